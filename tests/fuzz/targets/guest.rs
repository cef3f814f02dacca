//! What `process` returns.

use super::parts::Fields;
use super::text::{is_clean, is_line};
use sandmill::domain::{Emission, Outcome, Verdict};
use sandmill::sandbox::Limits;
use sandmill::sandbox::fuzzing::{handler, types, verdict};
use sandmill::store::fuzzing::{decode_emissions, encode_emissions};
use std::time::Duration;

/// Small, so that they are met.
fn limits() -> Limits {
    Limits { output_bytes: 4_000, emissions: 20, output_depth: 30, ..Limits::default() }
}

/// `e` NAME VALUE NAME VALUE…, `s` REASON, `f` CODE MESSAGE DETAIL, or `r` and a digit for the same after a wait.
pub(crate) fn outcome(bytes: &[u8]) {
    let limits = limits();
    match verdict(returned(bytes), &limits) {
        Ok(Verdict::Finished(Outcome::Done(emissions))) => check_emissions(&emissions, &limits),
        Ok(Verdict::Finished(Outcome::Skipped { reason })) => assert!(is_clean(&reason), "{reason:?}"),
        Ok(Verdict::Failed(failure)) => check_failure(&failure.code, &failure.message, failure.detail.as_deref()),
        Ok(Verdict::Retry(retry)) => {
            check_failure(&retry.code, &retry.message, retry.detail.as_deref());
            assert!(retry.after.is_none_or(|after| after <= Duration::from_hours(1)));
        }
        Ok(Verdict::Suspended) => panic!("no guest suspends itself"),
        Err(message) => assert!(!message.is_empty() && is_clean(&message), "{message:?}"),
    }
}

fn returned(bytes: &[u8]) -> Result<handler::Outcome, handler::Failure> {
    let mut fields = Fields::of(bytes);
    let (tag, first) = fields.tagged().unwrap_or((0, String::new()));
    let failure = |kind, code: String, mut fields: Fields<'_>| handler::Failure {
        kind,
        code,
        message: fields.text(),
        detail: fields.next().map(|detail| String::from_utf8_lossy(detail).into_owned()),
        extra: Vec::new(),
    };
    match tag {
        b's' => Ok(handler::Outcome::Skip(types::Skip { reason: first, extra: Vec::new() })),
        b'f' => Err(failure(types::FailureKind::Permanent, first, fields)),
        b'r' => {
            let wait = first.bytes().next().map(|digit| 10_u64.saturating_pow(u32::from(digit % 32)));
            Err(failure(types::FailureKind::Retryable(wait), first, fields))
        }
        _ => {
            let mut emissions = Vec::new();
            let mut name = first;
            while let Some(value) = fields.next() {
                let value = String::from_utf8_lossy(value).into_owned();
                let extra = match value.len() % 7 {
                    6 => vec![types::Pair { name: name.clone(), value: value.clone() }],
                    _ => Vec::new(),
                };
                emissions.push(types::Emission { value, name: (!name.is_empty()).then_some(name), extra });
                name = fields.text();
            }
            Ok(handler::Outcome::Emit(emissions))
        }
    }
}

fn check_emissions(emissions: &[Emission], limits: &Limits) {
    assert!(emissions.len() <= limits.emissions);
    assert!(emissions.iter().map(|emission| emission.value.len()).sum::<usize>() <= limits.output_bytes);
    for Emission { value, name, .. } in emissions {
        check_json(value);
        assert!(!value.contains(['\n', '\r']), "{value:?}");
        assert!(name.as_deref().is_none_or(is_line), "{name:?}");
    }
    let stored = encode_emissions(emissions).expect("what was taken can be stored");
    assert_eq!(decode_emissions(&stored).expect("and read"), emissions);
}

fn check_failure(code: &str, message: &str, detail: Option<&str>) {
    assert!(is_line(code) && !code.is_empty() && !code.contains(char::is_whitespace), "{code:?}");
    assert!(is_clean(message), "{message:?}");
    if let Some(detail) = detail {
        check_json(detail);
    }
}

#[track_caller]
fn check_json(text: &str) {
    assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok(), "{text:?}");
}
