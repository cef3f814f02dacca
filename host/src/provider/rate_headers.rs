//! What a provider's headers tell of its limits: `x-ratelimit-*` of `OpenAI` and all that copy it, `anthropic-ratelimit-*`.
//!
//! A parser without a policy. Azure sends -1 and 0 where it does not know: what cannot be a limit counts as absent.

use super::{Allowance, RateLimits};
use reqwest::header::HeaderMap;
use std::time::Duration;

/// A reset beyond this is garbage.
const RESET_MAX: Duration = Duration::from_hours(24 * 32);

/// `now_unix_ms` is what points in time are relative to.
pub(super) fn parse(headers: &HeaderMap, now_unix_ms: u64) -> RateLimits {
    let read = |names: [&str; 3]| {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let [limit, remaining, reset] = names.map(text);
        Allowance {
            limit: limit.and_then(|text| text.parse().ok()).filter(|limit| *limit > 0),
            remaining: remaining.and_then(|text| text.parse().ok()),
            reset: reset.and_then(|text| reset_of(text, now_unix_ms)),
        }
    };
    let either = |open_ai: [&str; 3], anthropic: [&str; 3]| {
        let told = read(open_ai);
        if told.limit.is_some() { told } else { read(anthropic) }
    };
    RateLimits {
        requests: either(
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
            [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
        ),
        tokens: either(
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
            [
                "anthropic-ratelimit-tokens-limit",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ],
        ),
        input_tokens: read([
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ]),
        output_tokens: read([
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ]),
    }
}

/// `12ms`, `6m0s`, `0.5s`, whole seconds (Azure), or a point in time (RFC 3339).
fn reset_of(text: &str, now_unix_ms: u64) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let wait = seconds.or_else(|| super::retry_after::span(text)).or_else(|| {
        let then = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
        u64::try_from(then).ok().map(|then| Duration::from_millis(then.saturating_sub(now_unix_ms)))
    })?;
    (wait <= RESET_MAX).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let name = |name: &str| name.parse::<HeaderName>().unwrap();
        pairs.iter().map(|(n, value)| (name(n), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn limits_are_read_in_the_words_of_each_provider() {
        let open_ai = [
            ("x-ratelimit-limit-requests", "600"),
            ("x-ratelimit-remaining-requests", "599"),
            ("x-ratelimit-reset-requests", "100ms"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        let told = parse(&headers(&open_ai), 0);
        let reset = Some(Duration::from_millis(100));
        assert_eq!(told.requests, Allowance { limit: Some(600), remaining: Some(599), reset });
        assert_eq!(told.tokens.reset, Some(Duration::from_mins(6)));
        let anthropic = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:30Z"),
        ];
        let told = parse(&headers(&anthropic), 10_000);
        assert_eq!((told.requests.limit, told.requests.reset), (Some(50), Some(Duration::from_secs(20))));
        assert_eq!(told.input_tokens.limit, Some(30_000));
    }

    #[test]
    fn what_cannot_be_a_limit_is_none() {
        for value in ["-1", "0", "", "many", "1.5"] {
            assert_eq!(parse(&headers(&[("x-ratelimit-limit-requests", value)]), 0).requests.limit, None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in "[-0-9a-zA-Z:. ]{0,30}", now: u64) {
            let told = parse(&headers(&[("x-ratelimit-reset-requests", &value), ("x-ratelimit-limit-tokens", &value)]), now);
            prop_assert!(told.requests.reset.is_none_or(|reset| reset <= RESET_MAX));
        }
    }
}
