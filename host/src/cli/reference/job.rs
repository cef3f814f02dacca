//! `[run]`, `[retry]`, `[breaker]`, `[context]`, `[input]`: what a run as a whole goes by.

use super::{Default, Kind, Section, key, parser};
use crate::config;

pub(super) const RUN: Section = Section {
    heading: "`[run]`",
    before: "",
    after: "",
    shown_as: "run",
    parser: parser::<config::Run>(),
    keys: &[
        key("store", Kind::Path, Default::Shown, "the folder of the jobs' files").flag("`--store`"),
        key("route", Kind::Text("name"), Default::Shown, "the route that is asked where no flag says whom")
            .flag("`--route`, `--provider`"),
        key("concurrency", Kind::Number, Default::Shown, "items in flight")
            .within("1 to 10,000")
            .flag("`--concurrency`"),
        key(
            "max_instances",
            Kind::Number,
            Default::Said("as `concurrency`, at most 1,000"),
            "plugin instances that may be live at once",
        )
        .within("1 to 10,000")
        .flag("`--max-instances`"),
        key(
            "suspend",
            Kind::OneOf("`auto`, `never` or `always`"),
            Default::Shown,
            "whether a guest that waits for an answer [gives its instance back](limits.md#instances)",
        )
        .flag("`--suspend`"),
        key("suspend_after", Kind::Duration, Default::Shown, "how long it waits at least before it does")
            .flag("`--suspend-after`"),
        key(
            "memory_target",
            Kind::Size,
            Default::Said("70 % of what is there"),
            "what all live guests shall have of memory together; where it is short, [who waits gives way at once](limits.md#memory). 0: as much as they take",
        )
        .flag("`--memory-target`"),
        key("max_attempts", Kind::Number, Default::Shown, "attempts at an item whose answers the plugin rejects")
            .within("from 1")
            .flag("`--max-attempts`"),
        key(
            "max_consecutive_errors",
            Kind::Number,
            Default::Shown,
            "failed items in a row that stop the run; 0: never",
        )
        .flag("`--max-consecutive-errors`"),
        key(
            "max_traps",
            Kind::Number,
            Default::Shown,
            "items that crash the plugin (traps, limits) with none done in between, which stop the run; 0: never",
        )
        .flag("`--max-traps`"),
        key(
            "log_format",
            Kind::OneOf("`text` or `json`"),
            Default::Shown,
            "what stderr is: [a screen or lines for a person, or one JSON object a line](screen.md#json)",
        )
        .flag("`--log-format`"),
        key(
            "metrics",
            Kind::Text("port, or `ADDRESS:PORT`"),
            Default::Shown,
            "where [figures](metrics.md) are served for Prometheus; a port alone is one of this machine",
        )
        .flag("`--metrics`"),
        key(
            "dashboard",
            Kind::Text("port, or `ADDRESS:PORT`"),
            Default::Shown,
            "where [a live page](dashboard.md) of the run is served; a port alone is one of this machine",
        )
        .flag("`--dashboard`"),
        key(
            "dashboard_allow_remote",
            Kind::Bool,
            Default::Shown,
            "whether that may be an address that other machines can reach",
        )
        .flag("`--dashboard-allow-remote`"),
        key(
            "watchdog",
            Kind::Duration,
            Default::Shown,
            "how long nothing may move before it is said what everybody waits for; `0s`: never",
        )
        .flag("`--watchdog`"),
    ],
};

pub(super) const RETRY: Section = Section {
    heading: "`[retry]`",
    before: "",
    after: "",
    shown_as: "retry",
    parser: parser::<config::Retry>(),
    keys: &[
        key("attempts", Kind::Number, Default::Shown, "tries of one provider call, the first included")
            .within("from 1")
            .flag("`--retry-attempts`"),
        key(
            "json_attempts",
            Kind::Number,
            Default::Shown,
            "answers of which one may be the JSON that was asked for; asked again at once, with what was wrong",
        )
        .within("from 1"),
        key("wait_min", Kind::Duration, Default::Shown, "the least wait before a retry").flag("`--retry-min`"),
        key("wait_max", Kind::Duration, Default::Shown, "the most that is waited of our own accord")
            .flag("`--retry-max`"),
        key(
            "retry_after_max",
            Kind::Duration,
            Default::Shown,
            "a longer wait that a provider asks for parks the route; where nothing steps in, the job",
        )
        .flag("`--retry-after-max`"),
    ],
};

pub(super) const BREAKER: Section = Section {
    heading: "`[breaker]`",
    before: "Of every route.",
    after: "",
    shown_as: "breaker",
    parser: parser::<config::Breaker>(),
    keys: &[
        key(
            "overloaded_after",
            Kind::Number,
            Default::Shown,
            "it opens after so many answers in a row that say 529 (or Groq's 498); 1: after the first",
        )
        .within("from 1"),
        key("connections_after", Kind::Number, Default::Shown, "or after so many failed connections in a row")
            .within("from 1"),
        key(
            "fault_share",
            Kind::Share,
            Default::Shown,
            "or when so much of the last calls failed: 5xx, timeouts, broken connections",
        ),
        key("window", Kind::Number, Default::Shown, "how many calls are looked back at for that").within("1 to 10,000"),
        key("calls_min", Kind::Number, Default::Shown, "and how many there must be").within("from 1 to `window`"),
        key("rate_limited_after", Kind::Number, Default::Shown, "or on so many 429s with no answer between them,")
            .within("from 1"),
        key("rate_limited_for", Kind::Duration, Default::Shown, "over so long"),
        key("pause", Kind::Duration, Default::Shown, "how long it stays open").flag("`--breaker-pause`"),
        key(
            "pause_max",
            Kind::Duration,
            Default::Shown,
            "the most that failed probes, or the provider's Retry-After, make of that",
        ),
        key("max_outage", Kind::Duration, Default::Shown, "how long a provider may be away before the job is parked")
            .flag("`--max-outage`"),
    ],
};

pub(super) const CONTEXT: Section = Section {
    heading: "`[context]`",
    before: "What is done with requests that are too long for the model.",
    after: "",
    shown_as: "context",
    parser: parser::<config::Context>(),
    keys: &[
        key(
            "on_overflow",
            Kind::OneOf("`truncate`, `truncate-middle` or `error`"),
            Default::Shown,
            "what a request does not decide itself",
        )
        .flag("`--on-overflow`"),
        key(
            "reserve_output",
            Kind::Tokens,
            Default::Shown,
            "kept free for an answer, where a request does not say how much it wants",
        ),
        key("keep_last", Kind::Number, Default::Shown, "the last messages, which are never dropped"),
        key("assumed", Kind::Tokens, Default::Shown, "the context of a model of which nothing is known"),
    ],
};

pub(super) const INPUT: Section = Section {
    heading: "`[input]`",
    before: "How items are read. Parquet is decoded in a process of its own, which this bounds ([the security model](security.md#parquet)).",
    after: "",
    shown_as: "input",
    parser: parser::<config::Input>(),
    keys: &[key(
        "parquet_memory",
        Kind::Size,
        Default::Shown,
        "address space that decoding a Parquet file may take, beyond what the program has anyway",
    )
    .within("from 64MiB")],
};
