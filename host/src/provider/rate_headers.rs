//! What a provider's headers tell of its limits.
//!
//! Two families of names: `x-ratelimit-*` (`OpenAI`, and most who speak its protocol) and `anthropic-ratelimit-*`. What
//! makes no sense is left out: a wrong limit would be obeyed for the rest of a run.

use super::{Allowance, RateLimits, span};
use reqwest::header::HeaderMap;
use std::time::Duration;

/// A limit by the day comes back within one; longer resets are points in time, or mistakes.
const RESET_MAX: Duration = Duration::from_hours(31 * 24);

/// `now_unix_ms` is what points in time are relative to.
pub(super) fn parse(headers: &HeaderMap, now_unix_ms: u64) -> RateLimits {
    // Most servers of one's own tell nothing, and there are two dozen names to look for.
    if !headers.keys().any(|name| name.as_str().contains("-ratelimit-")) {
        return RateLimits::default();
    }
    let of = |kind: &str| {
        let openai = allowance(headers, |field| format!("x-ratelimit-{field}-{kind}"), now_unix_ms);
        if openai == Allowance::default() {
            allowance(headers, |field| format!("anthropic-ratelimit-{kind}-{field}"), now_unix_ms)
        } else {
            openai
        }
    };
    RateLimits {
        requests: of("requests"),
        tokens: of("tokens"),
        input_tokens: of("input-tokens"),
        output_tokens: of("output-tokens"),
    }
}

fn allowance(headers: &HeaderMap, name: impl Fn(&str) -> String, now_unix_ms: u64) -> Allowance {
    let text = |field: &str| Some(headers.get(name(field))?.to_str().ok()?.trim());
    let number = |field: &str| text(field)?.parse::<u64>().ok();
    // Azure sends 0 and -1 for what it does not count.
    let limit = number("limit").filter(|limit| *limit > 0);
    Allowance {
        limit,
        remaining: number("remaining").filter(|remaining| *remaining > 0 || limit.is_some()),
        reset: text("reset").and_then(|value| reset(value, now_unix_ms)),
    }
}

fn reset(text: &str, now_unix_ms: u64) -> Option<Duration> {
    let span = span::whole(text).or_else(|| {
        let then = u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok()?;
        then.checked_sub(now_unix_ms).map(Duration::from_millis)
    })?;
    (span > Duration::ZERO && span <= RESET_MAX).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    /// 2024-01-01T00:00:00Z.
    const NOW_MS: u64 = 1_704_067_200_000;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let name = |name: &str| name.parse::<HeaderName>().unwrap();
        pairs.iter().map(|(n, value)| (name(n), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn read(pairs: &[(&str, &str)]) -> RateLimits {
        parse(&headers(pairs), NOW_MS)
    }

    fn all(limit: u64, remaining: u64, reset_ms: u64) -> Allowance {
        Allowance { limit: Some(limit), remaining: Some(remaining), reset: Some(Duration::from_millis(reset_ms)) }
    }

    #[test]
    fn openais_headers_are_read() {
        let limits = read(&[
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        let expected = RateLimits {
            requests: all(60, 59, 1_000),
            tokens: all(150_000, 149_984, 360_000),
            ..RateLimits::default()
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn anthropics_headers_are_read() {
        let limits = read(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2024-01-01T00:00:30Z"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "29000"),
            ("anthropic-ratelimit-input-tokens-reset", "2024-01-01T01:00:02+01:00"),
            ("anthropic-ratelimit-output-tokens-remaining", "7000"),
            ("anthropic-ratelimit-tokens-reset", "2023-12-31T23:59:59Z"),
        ]);
        let expected = RateLimits {
            requests: all(50, 0, 30_000),
            tokens: Allowance::default(),
            input_tokens: all(30_000, 29_000, 2_000),
            output_tokens: Allowance { remaining: Some(7_000), ..Allowance::default() },
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn what_azure_does_not_count_is_left_out() {
        for value in ["-1", "0", "", "many"] {
            let limits = read(&[
                ("x-ratelimit-limit-tokens", value),
                ("x-ratelimit-remaining-tokens", value),
                ("x-ratelimit-reset-tokens", value),
            ]);
            assert_eq!(limits, RateLimits::default(), "{value}");
        }
        let seconds = read(&[("x-ratelimit-reset-tokens", "42")]);
        assert_eq!(seconds.tokens.reset, Some(Duration::from_secs(42)));
        let used_up = read(&[("x-ratelimit-limit-tokens", "10"), ("x-ratelimit-remaining-tokens", "0")]);
        assert_eq!(used_up.tokens.remaining, Some(0));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_tell_nonsense(
            values in prop::collection::vec("[-0-9.:TZhms+]{0,25}|[ -~]{0,10}", 9),
            now in any::<u64>(),
        ) {
            let mut map = HeaderMap::new();
            let kinds = ["requests", "tokens", "input-tokens"];
            for (nth, value) in values.iter().enumerate() {
                let (kind, field) = (kinds[nth / 3], ["limit", "remaining", "reset"][nth % 3]);
                let Ok(value) = HeaderValue::from_str(value) else { continue };
                for name in [format!("x-ratelimit-{field}-{kind}"), format!("anthropic-ratelimit-{kind}-{field}")] {
                    map.insert(name.parse::<HeaderName>().unwrap(), value.clone());
                }
            }
            let RateLimits { requests, tokens, input_tokens, output_tokens } = parse(&map, now);
            for allowance in [requests, tokens, input_tokens, output_tokens] {
                prop_assert!(allowance.limit != Some(0));
                prop_assert!(allowance.remaining != Some(0) || allowance.limit.is_some());
                prop_assert!(allowance.reset.is_none_or(|reset| reset > Duration::ZERO && reset <= RESET_MAX));
            }
        }

        #[test]
        fn a_point_in_time_is_as_far_away_as_it_says(seconds in 1_i64..2_000_000) {
            let then = jiff::Timestamp::from_millisecond(NOW_MS.cast_signed() + seconds * 1_000).unwrap().to_string();
            let limits = read(&[("anthropic-ratelimit-tokens-reset", &then)]);
            prop_assert_eq!(limits.tokens.reset, Some(Duration::from_secs(seconds.unsigned_abs())));
        }
    }
}
