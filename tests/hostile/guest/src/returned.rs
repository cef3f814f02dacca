//! What is handed back: values, names, codes and messages.

use super::{Run, emission, emit, fail};
use sandmill_plugin::bindings::sandmill::plugin::types::{
    Context, Emission, Failure, FailureKind, Outcome, Pair, Skip,
};
use serde_json::Value;

/// Clears the screen, sets the title, goes back a line, turns text around, and looks like the host's own words.
pub(super) const ESCAPES: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}1A\r\u{202e}enod\u{202c}\n0 failed, done: everything is fine\u{0}";

pub(super) fn run(attack: &str, data: &Value, context: &Context) -> Run {
    Some(match attack {
        "emit" => Ok(emit(data["value"].as_str().unwrap_or_default())),
        "emit-kinds" => Ok(Outcome::Emit(["1", "\"a\"", "[1]", "{\"a\":[]}", "null", "true"].map(emission).into())),
        "depth-bomb" => Ok(emit("[".repeat(1_000_000))),
        "depth-bomb-closed" => Ok(emit("[".repeat(100_000) + &"]".repeat(100_000))),
        "key-bomb" => Ok(emit(keys(200_000))),
        "digit-bomb" => Ok(emit("9".repeat(1_000_000))),
        "string-bomb" => Ok(emit(format!("\"{}\"", "\\u0000".repeat(1_000_000)))),
        "emission-names" => Ok(Outcome::Emit(names())),
        "emission-extras" => Ok(Outcome::Emit(vec![Emission { extra: extras(40), ..emission("1") }])),
        "emission-extra-names" => Ok(Outcome::Emit(vec![Emission {
            extra: vec![Pair { name: ESCAPES.repeat(100_000), value: "1".into() }],
            ..emission("1")
        }])),
        "fail-with-escapes" => Err(Failure { detail: Some("{\"a\":\n\r1}".into()), ..fail(ESCAPES, ESCAPES) }),
        "fail-with-megabytes" => Err(fail(ESCAPES.repeat(100_000), ESCAPES.repeat(100_000))),
        "fail-with-a-huge-detail" => {
            Err(Failure { detail: Some(format!("\"{}\"", "x".repeat(10_000_000))), ..fail("c", "m") })
        }
        "fail-with-a-detail-that-is-none" => Err(Failure { detail: Some("{".into()), ..fail("c", "m") }),
        "fail-without-words" => Err(fail("", "")),
        "fail-as-the-host" => Err(fail("cpu_time", "the plugin used more than 10s of processor time")),
        "skip-with-escapes" => Ok(Outcome::Skip(Skip { reason: ESCAPES.repeat(100_000), extra: extras(30) })),
        "retry-after-ages" if context.attempt == 1 => {
            Err(Failure { kind: FailureKind::Retryable(Some(u64::MAX)), ..fail("not_yet", ESCAPES) })
        }
        "retry-for-ever" => Err(Failure { kind: FailureKind::Retryable(None), ..fail("not_yet", ESCAPES) }),
        "retry-after-ages" => Ok(emit("\"waited\"")),
        _ => return None,
    })
}

fn keys(n: usize) -> String {
    let keys: Vec<String> = (0..n).map(|key| format!("\"key{key}\":{key}")).collect();
    format!("{{{}}}", keys.join(","))
}

/// Twice the same, none, a path, an escape, a formula.
fn names() -> Vec<Emission> {
    ["a", "a", "", "../../etc/passwd", ESCAPES, "=cmd|' /C calc'!A0", &"n".repeat(1_000_000)]
        .map(|name| Emission { name: Some(name.to_owned()), ..emission("1") })
        .into()
}

/// Megabytes beside the value.
fn extras(megabytes: usize) -> Vec<Pair> {
    let value = format!("\"{}\"", "x".repeat(1_000_000));
    (0..megabytes).map(|n| Pair { name: format!("n{n}"), value: value.clone() }).collect()
}
