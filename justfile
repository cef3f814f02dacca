# `just` lists what there is.

default:
    @just --list

# Everything that CI checks
ci:
    bash .ci/run

# The plugins of this repository
plugins:
    cargo run -- plugin build plugins/redact plugins/prompt plugins/extract plugins/classify plugins/summarize plugins/translate plugins/judge plugins/clean plugins/misbehave

# The plugins in other languages; each says what it needs and how to get it
kits:
    cargo run -- plugin build plugins/redact-py plugins/summarize-py plugins/redact-js plugins/summarize-ts plugins/redact-go

test:
    rustup target add wasm32-wasip2 && cargo test --workspace

# Everything that is measured, beside its yardsticks, and the tables of it in README.md and docs/performance.md; three quarters of an hour on two idle cores
bench *args="all --write README.md --write docs/performance.md": bench-small
    cargo build --release --workspace && target/release/sandmill-bench {{args}}

# Single functions that every item, line or request goes through, beside the libraries that do the same work
bench-small *args:
    cargo bench --workspace --bench small -- {{args}}

# Hundreds of kills at random moments over every workload, and as many power losses; half an hour on two cores
soak kills="300":
    SANDMILL_TEST_KILLS={{kills}} cargo test --workspace --test e2e crash:: -- --nocapture --test-threads 2

# Every fuzz target for so many seconds, with a nightly toolchain and cargo-fuzz; `just fuzz 600 input_csv` runs one
fuzz seconds="60" *targets="":
    bash tests/fuzz/run {{seconds}} {{targets}}

# Everything that attacks the host, at full length: the table of attacks, 10,000 rounds of looking for secrets, 3,000 damaged
# components and as many Parquet files, 10,000 mixed items; an hour on two cores
hostile:
    SANDMILL_TEST_HOSTILE=full cargo test --release --workspace --test e2e hostile:: -- --nocapture --test-threads 1
