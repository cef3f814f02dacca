//! The attacks, and what must become of each.

use std::fmt;

/// What the component is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    /// The attack of its name in `wat/*.wat`.
    Wat,
    /// A mode of the crate in `guest/`: the items' JSON, without its braces.
    Rust(&'static str),
    /// `c/NAME.c`.
    C,
    /// A plugin in text with schemas of its own: of its configuration, of its output, and what it yields.
    Schemas(Option<&'static str>, Option<&'static str>, &'static str),
}

impl Guest {
    pub(super) const fn language(self) -> &'static str {
        match self {
            Self::Wat | Self::Schemas(..) => "WAT",
            Self::Rust(_) => "Rust",
            Self::C => "C",
        }
    }
}

/// What becomes of the items that attack. Their neighbours are done, always.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// All fail in this class.
    Fails(&'static str),
    /// Contained: they are done, and this is in their output.
    Done(&'static str),
    Skipped,
    /// Each is done, or fails in this class, and both occur: the guest does not know who it is.
    SomeFail(&'static str),
    /// No item runs, and this is said.
    Refused(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(class) => write!(f, "`{class}`"),
            Self::Done(_) => f.write_str("done, with harmless output"),
            Self::Skipped => f.write_str("skipped"),
            Self::SomeFail(class) => write!(f, "`{class}`, or done"),
            Self::Refused(_) => f.write_str("refused before any item runs"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) guest: Guest,
    pub(super) expected: Expected,
    /// Flags beside those that all have.
    pub(super) flags: &'static [&'static str],
}

const fn wat(name: &'static str, expected: Expected) -> Attack {
    Attack { name, guest: Guest::Wat, expected, flags: &[] }
}

const fn rust(name: &'static str, json: &'static str, expected: Expected) -> Attack {
    Attack { name, guest: Guest::Rust(json), expected, flags: &[] }
}

const fn c(name: &'static str, expected: Expected) -> Attack {
    Attack { name, guest: Guest::C, expected, flags: &[] }
}

/// A mode that needs a model.
const fn asks(name: &'static str, json: &'static str, expected: Expected) -> Attack {
    rust(name, json, expected).with(&["--provider", "mock"])
}

const fn output_schema(name: &'static str, schema: &'static str, value: &'static str, expected: Expected) -> Attack {
    Attack { name, guest: Guest::Schemas(None, Some(schema), value), expected, flags: &[] }
}

const fn config_schema(name: &'static str, schema: &'static str, expected: Expected) -> Attack {
    Attack { name, guest: Guest::Schemas(Some(schema), None, "1"), expected, flags: &[] }
}

impl Attack {
    const fn with(mut self, flags: &'static [&'static str]) -> Self {
        self.flags = flags;
        self
    }
}

use Expected::{Done, Fails, Refused, Skipped, SomeFail};

const OK: Expected = Done("{\"ok\":true}");
const CPU: Expected = Fails("cpu_time");
const TRAP: Expected = Fails("trap");
const MEMORY: Expected = Fails("memory");
const STACK: Expected = Fails("stack");
const TOO_LARGE: Expected = Fails("output_too_large");
const BAD: Expected = Fails("bad_output");
const PLUGIN: Expected = Fails("plugin");
const CALLS: Expected = Fails("host_calls");
const HANDLES: Expected = Fails("handles");
const TRANSFER: Expected = Fails("transfer");
const TOO_DEEP: Expected = Fails("output_too_deep");
/// So few that a flood meets them before anything else.
const FEW_CALLS: [&str; 2] = ["--limit-host-calls", "1000"];
const ASKS_FEW_CALLS: [&str; 4] = ["--provider", "mock", "--limit-host-calls", "50"];

pub(super) const ATTACKS: &[Attack] = &[
    // Time.
    wat("endless-loop", CPU),
    wat("endless-tail-call", Refused("tail calls")),
    wat("endless-call-indirect", CPU),
    wat("two-to-the-fortieth", CPU),
    wat("endless-loop-in-realloc", CPU),
    wat("endless-loop-in-post-return", CPU),
    wat("endless-loop-in-start", SomeFail("cpu_time")),
    wat("endless-loop-in-describe", Refused("processor time")),
    wat("bulk-memory", CPU).with(&["--limit-memory", "128MiB"]),
    wat("bulk-table", CPU),
    wat("clock-flood", CALLS).with(&FEW_CALLS),
    wat("random-flood", CPU),
    wat("log-flood", CALLS).with(&FEW_CALLS),
    wat("handle-flood", CALLS).with(&FEW_CALLS),
    rust("sleep-for-ever", r#""attack":"sleep-for-ever""#, CALLS).with(&FEW_CALLS),
    // Memory.
    wat("memory-storm", MEMORY),
    wat("memory-all-at-once", MEMORY),
    wat("memory-refused-and-lived-with", OK),
    wat("many-small-memories", MEMORY),
    wat("ninety-memories", Refused("cannot be used")),
    wat("table-storm", Fails("table")),
    wat("a-hundred-tables", Refused("cannot be used")),
    wat("a-table-of-ten-million", Refused("cannot be used")),
    wat("two-hundred-instances", Refused("cannot be used")),
    wat("globals-by-the-million", Refused("cannot be used")),
    wat("own-handles", HANDLES),
    wat("leaked-timers", HANDLES),
    wat("one-timer-polled-by-the-million", TRANSFER),
    wat("random-by-the-gigabyte", TRAP),
    wat("zeroes-without-end", TRAP),
    rust("secrets-in-memory", r#""attack":"secrets-in-memory""#, Done("0")),
    // Stack.
    wat("deep-recursion", STACK),
    wat("mutual-recursion", STACK),
    wat("wide-frames", STACK),
    wat("recursion-through-the-host", STACK),
    wat("recursion-in-realloc", STACK),
    asks("deep-at-the-bottom", r#""attack":"deep-at-the-bottom""#, STACK),
    rust("recursion-with-arrays", r#""attack":"recursion-with-arrays""#, TRAP),
    // Traps.
    wat("unreachable", TRAP),
    wat("divide-by-zero", TRAP),
    wat("integer-overflow", TRAP),
    wat("not-a-number-to-integer", TRAP),
    wat("memory-out-of-bounds", TRAP),
    wat("guard-pages", TRAP),
    wat("table-out-of-bounds", TRAP),
    wat("null-function", TRAP),
    wat("function-of-another-type", TRAP),
    wat("trap-in-describe", Refused("unreachable")),
    wat("trap-in-realloc", TRAP),
    wat("realloc-beyond-memory", TRAP),
    wat("trap-in-post-return", TRAP),
    wat("call-out-of-post-return", TRAP),
    wat("forged-handle", TRAP),
    wat("handle-of-another-kind", TRAP),
    wat("dropped-twice", TRAP),
    rust("exit-zero", r#""attack":"exit-zero""#, TRAP),
    rust("abort", r#""attack":"abort""#, TRAP),
    rust("panic-with-escapes", r#""attack":"panic-with-escapes""#, TRAP),
    c("c-endless-loop", CPU),
    c("c-buffer-overflow", TRAP),
    c("c-null-pointer", OK),
    c("c-own-result-overwritten", TRAP),
    c("c-function-pointer", TRAP),
    c("c-arrays-on-the-stack", TRAP),
    // What is returned.
    wat("huge-string", TOO_LARGE),
    wat("string-of-two-gigabytes", TRAP),
    wat("string-around-the-end", TRAP),
    wat("string-with-the-highest-bit", TRAP),
    wat("one-string-a-million-times", TOO_LARGE),
    wat("a-million-empty-emissions", TOO_LARGE),
    wat("list-of-two-billion", TRAP),
    wat("list-unaligned", TRAP),
    wat("result-beyond-memory", TRAP),
    wat("result-unaligned", TRAP),
    wat("case-that-is-not", TRAP),
    wat("not-utf-8", TRAP),
    wat("surrogates-in-utf-8", TRAP),
    wat("overlong-utf-8", TRAP),
    wat("utf-16-surrogates", TRAP),
    wat("tagged-utf-16-without-end", TRAP),
    wat("skip-reason-of-forty-megabytes", Skipped),
    wat("failure-of-forty-megabytes", PLUGIN),
    wat("floats-that-are-not-numbers", OK),
    rust("depth-bomb", r#""attack":"depth-bomb""#, TOO_DEEP),
    rust("depth-bomb-closed", r#""attack":"depth-bomb-closed""#, TOO_DEEP),
    rust("key-bomb", r#""attack":"key-bomb""#, Done("\"key199999\":199999")),
    rust("digit-bomb", r#""attack":"digit-bomb""#, BAD),
    rust("string-bomb", r#""attack":"string-bomb""#, Done("\\u0000\\u0000")),
    rust("number-beyond-all-floats", r#""attack":"emit","value":"{\"a\":1e999}""#, BAD),
    rust("half-a-character", r#""attack":"emit","value":"{\"a\":\"\\ud800\"}""#, BAD),
    rust("half-a-character-in-a-key", r#""attack":"emit","value":"{\"\\ud800\":1}""#, BAD),
    rust("keys-twice", r#""attack":"emit","value":"{\"a\":1,\"a\":2}""#, Done("\"a\":2")),
    rust("not-a-number", r#""attack":"emit","value":"NaN""#, BAD),
    rust("endless-number", r#""attack":"emit","value":"-Infinity""#, BAD),
    rust("not-json", r#""attack":"emit","value":"\u001b[2J""#, BAD),
    rust("escape-in-a-string", r#""attack":"emit","value":"\"\u001b[2J\"""#, BAD),
    rust("escaped-escape", r#""attack":"emit","value":"\"\\u001b[2J\"""#, Done("\\u001b[2J")),
    rust("more-than-one-value", r#""attack":"emit","value":"1 2""#, BAD),
    rust("no-value", r#""attack":"emit","value":"""#, BAD),
    rust("byte-order-mark", r#""attack":"emit","value":"\ufeff1""#, BAD),
    rust("output-of-many-kinds", r#""attack":"emit-kinds""#, Done("{\"a\":[]}")),
    rust("emission-names", r#""attack":"emission-names""#, Done("1")),
    rust("emission-extras", r#""attack":"emission-extras""#, TOO_LARGE),
    rust("emission-extra-names", r#""attack":"emission-extra-names""#, BAD),
    rust("fail-with-escapes", r#""attack":"fail-with-escapes""#, PLUGIN),
    rust("fail-with-megabytes", r#""attack":"fail-with-megabytes""#, PLUGIN),
    rust("fail-with-a-huge-detail", r#""attack":"fail-with-a-huge-detail""#, TOO_LARGE),
    rust("fail-with-a-detail-that-is-none", r#""attack":"fail-with-a-detail-that-is-none""#, BAD),
    rust("fail-without-words", r#""attack":"fail-without-words""#, PLUGIN),
    rust("fail-as-the-host", r#""attack":"fail-as-the-host""#, PLUGIN),
    rust("skip-with-escapes", r#""attack":"skip-with-escapes""#, Skipped),
    rust("retry-for-ever", r#""attack":"retry-for-ever""#, Fails("attempts_exhausted")),
    // Logs and streams.
    rust("log-escapes", r#""attack":"log-escapes""#, Done("logged")),
    rust("log-megabytes", r#""attack":"log-megabytes""#, Done("logged")),
    rust("stdout-flood", r#""attack":"stdout-flood","n":100000"#, Done("written")),
    rust("stderr-flood", r#""attack":"stderr-flood","n":100000"#, Done("written")),
    // Models.
    asks("ask-then-trap", r#""attack":"ask-then-trap""#, TRAP),
    asks("error-then-trap", r#""attack":"error-then-trap""#, TRAP),
    asks("ask-for-ever", r#""attack":"ask-for-ever""#, Fails("item_calls")).with(&[
        "--provider",
        "mock",
        "--max-item-calls",
        "20",
    ]),
    asks("ask-wrongly-for-ever", r#""attack":"ask-wrongly-for-ever""#, CALLS).with(&ASKS_FEW_CALLS),
    asks("ask-without-leave-for-ever", r#""attack":"ask-without-leave-for-ever""#, CALLS).with(&ASKS_FEW_CALLS),
    asks("ask-a-million-at-once", r#""attack":"ask-a-million-at-once","n":50000"#, Fails("requests_at_once")),
    asks("ask-too-many-at-once", r#""attack":"ask-too-many-at-once""#, Fails("requests_at_once")),
    asks("ask-none-at-once", r#""attack":"ask-none-at-once""#, Done("0")),
    asks("prompt-of-a-gigabyte", r#""attack":"prompt-of-a-gigabyte""#, MEMORY),
    asks("prompt-of-megabytes", r#""attack":"prompt-of-megabytes""#, Done("answer")).with(&[
        "--provider",
        "mock",
        "--on-overflow",
        "truncate",
    ]),
    asks("prompt-of-endless-parts", r#""attack":"prompt-of-endless-parts""#, PLUGIN),
    asks("no-messages", r#""attack":"no-messages""#, PLUGIN),
    asks("count-for-ever", r#""attack":"count-for-ever""#, CALLS).with(&ASKS_FEW_CALLS),
    asks("count-megabytes-for-ever", r#""attack":"count-megabytes-for-ever""#, CALLS).with(&ASKS_FEW_CALLS),
    asks("hostile-fields", r#""attack":"hostile-fields""#, PLUGIN),
    asks("deep-schema", r#""attack":"deep-schema""#, PLUGIN),
    asks("too-deep-schema", r#""attack":"too-deep-schema""#, PLUGIN),
    asks("answer-schema-in-a-circle", r#""attack":"schema-in-a-circle""#, PLUGIN),
    // The world.
    rust("environment", r#""attack":"environment""#, Done("{\"variables\":[],\"arguments\":0")),
    rust("files", r#""attack":"files""#, Done("{\"reached\":[]}")),
    rust("network", r#""attack":"network""#, Done("{\"reached\":[]}")),
    rust("names", r#""attack":"names""#, Done("{\"reached\":[]}")),
    rust("clock-and-chance", r#""attack":"clock-and-chance""#, Done("\"slept_s\":86400,\"wall_slept_s\":86400")),
    rust("blobs", r#""attack":"blobs""#, Done("{\"end\":[0,0,0,0],")).with(&["--attach", "table=in.jsonl"]),
    rust("blobs-for-ever", r#""attack":"blobs-for-ever""#, CALLS).with(&[
        "--attach",
        "table=in.jsonl",
        "--limit-host-calls",
        "1000",
    ]),
    // What a plugin says of itself.
    wat("name-of-ten-megabytes", OK),
    wat("nameless", Refused("name")),
    wat("a-million-required-fields", Refused("")),
    wat("required-field-with-escapes", Refused("is no name")),
    output_schema("schema-that-is-none", "[1,2]", "1", Refused("no JSON Schema")),
    output_schema("schema-that-refers-to-itself", r##"{"$ref":"#"}"##, "1", Refused("no end")),
    output_schema(
        "schema-in-a-circle",
        r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"allOf":[{"$ref":"#/$defs/a"}]}"##,
        "1",
        Refused("no end"),
    ),
    output_schema("schema-from-elsewhere", r#"{"$ref":"file:///etc/passwd"}"#, "1", Refused("leads nowhere")),
    output_schema(
        "schema-with-a-slow-pattern",
        r#"{"pattern":"^(?=(a+)+$)((a|aa)+)+b$"}"#,
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
        BAD,
    ),
    config_schema("configuration-schema-in-a-circle", r##"{"$ref":"#"}"##, Refused("no end")),
    // Components that are no plugins.
    wat("unknown-import", Refused("acme:spy/keys")),
    wat("imports-http", OK),
    wat("import-of-another-shape", Refused("does not fit the plugin world")),
    wat("newer-interface", Refused("built for sandmill:plugin@9.0.0")),
    wat("newer-minor-interface", Refused("knows up to")),
    wat("interface-of-two-versions", Refused("several versions of sandmill:plugin at once (1.0.0, 1.9.0)")),
    wat("interface-that-was-never-released", Refused("sandmill:plugin@0.1.0, which was never released")),
    wat("another-world", Refused("another world")),
    wat("exports-nothing", Refused("exports nothing")),
    wat("core-module", Refused("core WebAssembly module")),
    wat("process-of-another-shape", Refused("fails to describe itself")),
    wat("handler-that-is-a-function", Refused("does not fit the plugin world")),
];
