//! What providers send: answers, errors, headers.

use super::text::is_line;
use sandmill::domain::Completion;
use sandmill::provider::fuzzing::{Heard, Wire, rate_limits, retry_after};
use sandmill::provider::{ProviderError, RateLimits};
use sandmill::store::fuzzing::{decode_completion, encode_completion};
use std::time::Duration;

/// 2026-01-01.
const NOW_MS: u64 = 1_767_225_600_000;
const YEAR: Duration = Duration::from_hours(365 * 24);
const MONTH: Duration = Duration::from_hours(31 * 24);

/// As it stands in HTTP: a line with the status, headers, an empty line, the body. Read on every wire.
pub(crate) fn answer(bytes: &[u8]) {
    let heard = heard(bytes);
    for wire in Wire::ALL {
        match wire.read(&heard).expect("a wire") {
            Ok(answer) => {
                assert!((200..300).contains(&heard.status));
                check_completion(&answer.completion);
                check_limits(&answer.limits);
                assert!(answer.request_id.as_deref().is_none_or(is_line), "{:?}", answer.request_id);
            }
            Err(error) => check_error(&error),
        }
        let facts = wire.model_facts(heard.body, "m").expect("a wire");
        assert!(facts.context != Some(0) && facts.max_output != Some(0));
    }
}

fn heard(bytes: &[u8]) -> Heard<'_> {
    let (mut head, body) = match bytes.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let mut line = || {
        let end = head.iter().position(|byte| *byte == b'\n');
        let line = &head[..end.unwrap_or(head.len())];
        head = end.map_or(&[], |end| &head[end + 1..]);
        line
    };
    let status = std::str::from_utf8(line()).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(200);
    let headers = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty())).take(30);
    Heard { status, headers: headers.filter_map(header).collect(), body, now_unix_ms: NOW_MS }
}

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|byte| *byte == b':')?;
    Some((&line[..at], line[at + 1..].trim_ascii()))
}

/// An answer says something, or why it says nothing; and it can be kept.
fn check_completion(completion: &Completion) {
    let excused = ["length", "content-filter", "refusal", "model_context_window_exceeded"];
    let says = !completion.text.is_empty() || !completion.tool_calls.is_empty();
    assert!(says || excused.contains(&completion.finish.as_str()), "{completion:?}");
    assert!(is_line(&completion.model) && is_line(&completion.finish), "{completion:?}");
    let json = completion.extra.iter().chain(&completion.usage.extra).map(|pair| &pair.value);
    let json = json.chain(completion.opaque.iter().map(|part| &part.value));
    for value in json.chain(completion.tool_calls.iter().flat_map(|call| &call.extra).map(|pair| &pair.value)) {
        assert!(serde_json::from_str::<serde_json::Value>(value).is_ok(), "{value}");
    }
    let stored = encode_completion(completion).expect("what came can be stored");
    assert_eq!(&decode_completion(&stored).expect("and read"), completion);
}

/// Every failure has a class, a code and words that can be shown.
fn check_error(error: &ProviderError) {
    assert!(!error.message.is_empty() && error.message.len() < 2_000 && is_line(&error.message), "{:?}", error.message);
    assert!(!error.code.is_empty() && error.code.len() <= 100 && is_line(&error.code), "{:?}", error.code);
    assert!(error.request_id.as_deref().is_none_or(is_line), "{:?}", error.request_id);
    assert!(error.body.len() <= 3 * 4_096, "bounded");
    check_wait(error.retry_after);
    check_limits(&error.limits);
    let numbers = [error.overflow.limit, error.overflow.input, error.overflow.output, error.overflow.output_limit];
    assert!(
        error.status.is_some()
            && numbers.iter().all(|number| *number != Some(0) || *number == error.overflow.output_limit)
    );
}

fn check_wait(wait: Option<Duration>) {
    assert!(wait.is_none_or(|wait| wait > Duration::ZERO && wait <= YEAR), "{wait:?}");
}

fn check_limits(limits: &RateLimits) {
    for allowance in [limits.requests, limits.tokens, limits.input_tokens, limits.output_tokens] {
        assert!(allowance.limit != Some(0));
        assert!(allowance.reset.is_none_or(|reset| reset > Duration::ZERO && reset <= MONTH), "{allowance:?}");
    }
}

/// Lines `NAME: VALUE`; the time is that of the first eight bytes.
pub(crate) fn headers(bytes: &[u8]) {
    let Some((now, rest)) = bytes.split_first_chunk::<8>() else { return };
    let headers: Vec<(&[u8], &[u8])> = rest.split(|byte| *byte == b'\n').take(30).filter_map(header).collect();
    for now in [u64::from_le_bytes(*now), NOW_MS] {
        check_wait(retry_after(&headers, now));
        check_limits(&rate_limits(&headers, now));
    }
}
