//! The table.

use super::languages::Language::{self, C, Go, Python, Rust, TypeScript};
use serde_json::json;

/// One item, and how it ends in every language.
pub(super) struct Case {
    /// The item's id.
    pub(super) name: &'static str,
    /// JSON: what the item says beside its id.
    pub(super) work: String,
    pub(super) end: End,
    pub(super) differs: Vec<Differs>,
}

/// How a case ends in some languages, and why, in words for the document.
pub(super) struct Differs {
    pub(super) languages: &'static [Language],
    pub(super) end: End,
    pub(super) why: &'static str,
}

#[derive(Clone)]
pub(super) enum End {
    /// Each value as it stands in the output, byte for byte.
    Emits(Vec<String>),
    /// One value, whatever the order of its fields.
    Gives(serde_json::Value),
    /// One object, with fields of these names and JSON types.
    Has(&'static [(&'static str, &'static str)]),
    /// Several values, some of which have names.
    Names(Vec<(&'static str, Option<&'static str>)>),
    Skips(&'static str),
    /// A class, a code, and something that the message says.
    Fails(&'static str, &'static str, &'static str),
    /// A trap with these words and the author's line in the crash card.
    Crashes(&'static str),
    /// It yields `logged`, and these lines stand in the log in this order.
    Logs(&'static [&'static str]),
}

impl Case {
    pub(super) fn end_in(&self, language: Language) -> (&End, Option<&'static str>) {
        let other = self.differs.iter().find(|differs| differs.languages.contains(&language));
        other.map_or((&self.end, None), |differs| (&differs.end, Some(differs.why)))
    }

    fn but(mut self, languages: &'static [Language], end: End, why: &'static str) -> Self {
        self.differs.push(Differs { languages, end, why });
        self
    }
}

fn case(name: &'static str, work: impl Into<String>, end: End) -> Case {
    Case { name, work: work.into(), end, differs: Vec::new() }
}

fn emits(text: &str) -> End {
    End::Emits(vec![text.to_owned()])
}

fn echo(name: &'static str, value: &str) -> Case {
    case(name, format!(r#"{{"do":"echo","value":{value}}}"#), emits(value))
}

fn does(name: &'static str, what: &str, end: End) -> Case {
    case(name, json!({"do": what, "text": TEXT}).to_string(), end)
}

fn asks(name: &'static str, what: &str, role: &str, end: End) -> Case {
    case(name, json!({"do": what, "role": role, "text": TEXT}).to_string(), end)
}

fn error(name: &'static str, role: &str, kind: &str, code: &str) -> Case {
    asks(name, "error", role, End::Gives(json!({"kind": kind, "code": code})))
}

/// What is asked and echoed.
pub(super) const TEXT: &str = "What is \u{e4}\u{1f600}?";
const DOUBLE: &str = "its number is a double";

pub(super) fn cases() -> Vec<Case> {
    [handed(), texts(), numbers(), endings(), models(), broken()].into_iter().flatten().collect()
}

fn texts() -> Vec<Case> {
    let long = format!("\"{}\"", "0123456789abcde\u{e4}".repeat(1 << 16));
    vec![
        echo("text-astral", "\"\u{1f600}\u{10ffff}\""),
        echo("text-combining", "\"e\u{301} \u{e9} \u{1100}\u{1161}\""),
        echo("text-line-separators", "\"a\u{2028}b\u{2029}c\u{85}d\"").but(
            &[Go],
            emits("\"a\\u2028b\\u2029c\u{85}d\""),
            "the same text, two of its characters as escapes",
        ),
        echo("text-right-to-left", "\"\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}abc\u{202c}\""),
        echo("text-nul", r#""a\u0000b""#),
        echo("text-escapes", r#""\"\\\n\r\t\u001b""#).but(
            &[C],
            emits(r#""\"\\\n\r\t\u001B""#),
            "the same text, written otherwise",
        ),
        echo("text-not-a-character", "\"\u{fffe}\u{feff}\""),
        echo("text-empty", r#""""#),
        echo("text-of-a-megabyte", &long),
        echo("object-empty", "{}"),
        echo("object-in-order", "{\"z\":1,\"a\":2,\"\":3,\"\u{e4} \\\"\":4}").but(
            &[Go],
            emits("{\"\":3,\"a\":2,\"z\":1,\"\u{e4} \\\"\":4}"),
            "its maps have no order: fields are sorted",
        ),
        echo("list-empty", "[]"),
        echo("null", "null"),
        echo("nested", r#"[[[{"a":[{"b":[null,true,false]}]}]]]"#),
    ]
}

/// As the language writes the largest and the zero.
fn own_numbers(large: &str, zero: &str) -> End {
    let whole = "9007199254740991,9007199254740993,18446744073709551615,-9223372036854775808";
    emits(&format!("[{whole},{large},5e-324,{zero},0.1]"))
}

fn numbers() -> Vec<Case> {
    vec![
        echo("number-2^53-1", "9007199254740991"),
        echo("number-2^53", "9007199254740992"),
        echo("number-2^53+1", "9007199254740993"),
        echo("number-u64-max", "18446744073709551615"),
        echo("number-i64-min", "-9223372036854775808"),
        echo("number-2^64", "18446744073709551616").but(&[Rust], emits("1.8446744073709552e+19"), DOUBLE),
        echo("number-1e308", "1e308").but(
            &[Rust, Python, TypeScript],
            emits("1e+308"),
            "the same number, written otherwise",
        ),
        echo("number-5e-324", "5e-324"),
        echo("number-minus-0.0", "-0.0").but(&[TypeScript], emits("0"), "it writes no sign of a zero"),
        echo("number-1.0", "1.0").but(&[TypeScript], emits("1"), "it has one kind of number"),
        echo("number-of-many-decimals", "0.1234567890123456789012345").but(
            &[Rust, Python, TypeScript, C],
            emits("0.12345678901234568"),
            DOUBLE,
        ),
        does("numbers-of-the-language", "numbers", own_numbers("1e308", "-0.0"))
            .but(&[Rust, Python], own_numbers("1e+308", "-0.0"), "the same numbers, written otherwise")
            .but(&[TypeScript], own_numbers("1e+308", "0"), "it writes no sign of a zero")
            .but(&[Go], own_numbers("1e+308", "-0"), "the same numbers, written otherwise"),
        does("no-number", "no-json", End::Fails("plugin", "bad_output", "JSON")).but(
            &[Rust],
            emits("null"),
            "serde_json writes NaN so",
        ),
    ]
}

fn endings() -> Vec<Case> {
    vec![
        does("emit-none", "none", End::Emits(Vec::new())),
        does(
            "emit-several",
            "many",
            End::Names(vec![
                ("1", None),
                ("{\"two\":\"What is \u{e4}\u{1f600}?\"}", Some("zweite \u{1f600}")),
                ("null", None),
            ]),
        ),
        does("skip", "skip", End::Skips("nothing to do")),
        does("fail", "fail", End::Fails("plugin", "no_text", "there is nothing here")),
        does("retry-at-once", "retry", emits("2")),
        does("retry-after-a-wait", "retry-later", emits("2")),
        does("retry-to-the-end", "retry-for-ever", End::Fails("attempts_exhausted", "never", "and again")),
        case("field-missing", r#"{"text":"x"}"#, End::Fails("bad_input", "missing_field", "`do`")),
        case(
            "item-of-another-shape",
            r#"{"do":7}"#,
            End::Fails("plugin", "bad_item", "the item is not what this plugin reads"),
        )
        .but(
            &[TypeScript, C],
            End::Fails("trap", "trap", "cannot do"),
            "it reads no types: that is for the plugin to check",
        ),
    ]
}

fn models() -> Vec<Case> {
    let failed = json!({"kind": "transient", "code": "server_error"});
    vec![
        does("chat", "chat", emits("\"mock answer to What is \u{e4}\u{1f600}? [bc9633f76a98]\"")),
        does("json", "json", End::Has(&[("topic", "string"), ("next", "number")])),
        asks("json-asked-for-again", "json", "sloppy", End::Gives(json!({"topic": "spam", "next": 8}))),
        asks("json-never", "json", "stubborn", End::Fails("plugin", "not_json", "JSON")),
        error("error-transient", "transient", "transient", "server_error"),
        error("error-too-large", "small", "too-large", "context_overflow"),
        error("error-rejected", "rejected", "rejected", "invalid_value"),
        error("error-refused", "refused", "refused", "content_policy_violation"),
        error("error-denied", "stranger", "denied", "unknown_role"),
        asks("error-not-caught", "chat", "stranger", End::Fails("plugin", "unknown_role", "stranger")),
        does(
            "error-limit",
            "ask-on",
            End::Gives(json!({"asked": 20, "error": {"kind": "limit", "code": "too_many_calls"}})),
        ),
        does(
            "several-one-fails",
            "several",
            End::Gives(json!(["mock answer to a [dddb6be0dd4c]", failed, "mock answer to c [41bb211e24b4]"])),
        ),
        does("several-too-many", "too-many", End::Gives(json!({"kind": "limit", "code": "too_many_requests_at_once"}))),
        does("count-tokens", "count", End::Gives(json!({"tokens": 13, "window": 128_000, "exact": false}))),
        does("attach-a-blob", "attach", emits("\"mock answer to What is \u{e4}\u{1f600}? [8201a2bf38d7]\"")),
    ]
}

/// What a plugin is handed, and what it logs.
fn handed() -> Vec<Case> {
    vec![
        does(
            "identity",
            "identity",
            End::Gives(json!({"id": "identity", "index": 0, "job": "j", "attempt": 1, "calls": 20})),
        ),
        does("config", "config", emits("\"r\u{f6}d\"")),
        does(
            "blob",
            "blob",
            End::Gives(json!({
                "name": "page", "mime_type": "text/plain", "size": 9, "text": "a page \u{e4}", "middle": "pag", "behind": "",
                "digest": "5cb49ac14934fd26d6d11652cf1ebc9253ff9e7472d60a3a0b8932515f73461d",
            })),
        ),
        does(
            "log",
            "log",
            End::Logs(&[
                "trace: finest n=1 who=\"J\u{fc}rgen\"",
                "debug: fine n=1 who=\"J\u{fc}rgen\"",
                "info: plain n=1 who=\"J\u{fc}rgen\"",
                "warn: careful n=1 who=\"J\u{fc}rgen\"",
                "error: wrong n=1 who=\"J\u{fc}rgen\"",
                "printed",
            ]),
        ),
    ]
}

fn broken() -> Vec<Case> {
    vec![
        does("crash", "crash", End::Crashes("cannot do crash: What is \u{e4}\u{1f600}?")),
        does("endless-loop", "loop", End::Fails("cpu_time", "cpu_time", "--limit-cpu")),
        does("memory-hog", "hog", End::Fails("memory", "memory", "--limit-memory")),
    ]
}
