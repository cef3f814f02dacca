//! How long a provider asks to be left alone, read from its headers.
//!
//! A parser without a policy: how much of the wait is obeyed is decided above. What it cannot read, it does not guess.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, UNIX_EPOCH};

/// Longer waits are read as garbage: they are points in time (seconds since 1970), or mistakes.
const WAIT_MAX: Duration = Duration::from_hours(365 * 24);

/// The headers that hold milliseconds, the more exact ones, come first. Zero, negative and unreadable values count as
/// absent. `now_unix_ms` is what dates are relative to.
pub(super) fn parse(headers: &HeaderMap, now_unix_ms: u64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = |name: &str| text(name).and_then(|value| number(value, 0.001));
    milliseconds("retry-after-ms")
        .or_else(|| milliseconds("x-ms-retry-after-ms"))
        .or_else(|| {
            text(RETRY_AFTER.as_str()).and_then(|value| number(value, 1.0).or_else(|| date(value, now_unix_ms)))
        })
        // LiteLLM hands the upstream's header down under this name only.
        .or_else(|| text("llm_provider-retry-after").and_then(|value| number(value, 1.0)))
}

/// The wait in an error's words (in lower case), for those who tell it nowhere else: `try again in 599ms`, `in 1m30s`,
/// `retry after 20 seconds`.
pub(super) fn in_words(lower: &str) -> Option<Duration> {
    ["try again in ", "retry after ", "retry in "].iter().find_map(|words| {
        let rest = &lower[lower.find(words)? + words.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        let word = rest[..end].trim_end_matches('.');
        let unit = rest[end..].trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let unit_seconds = match unit {
            "milliseconds" | "ms" => 0.001,
            "minute" | "minutes" => 60.0,
            "hour" | "hours" => 3_600.0,
            "day" | "days" => 86_400.0,
            _ => 1.0,
        };
        number(word, unit_seconds).or_else(|| span(word).and_then(bounded))
    })
}

/// A span with units: `36s`, `6m0s`, `1h2m3.5s`, `599ms`.
pub(super) fn span(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value = rest[..digits].parse::<f64>().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        seconds += value
            * match &rest[..letters] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(seconds).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn number(text: &str, unit_seconds: f64) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok()? * unit_seconds;
    Duration::try_from_secs_f64(seconds).ok().and_then(bounded)
}

fn date(text: &str, now_unix_ms: u64) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    since_epoch.checked_sub(Duration::from_millis(now_unix_ms)).and_then(bounded)
}

fn bounded(wait: Duration) -> Option<Duration> {
    (wait > Duration::ZERO && wait <= WAIT_MAX).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    const NAMES: [&str; 4] = ["retry-after", "retry-after-ms", "x-ms-retry-after-ms", "llm_provider-retry-after"];
    /// 1994-11-06 08:49:37 GMT, the date of the examples in RFC 9110.
    const NOW_MS: u64 = 784_111_777_000;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let name = |name: &str| name.parse::<HeaderName>().unwrap();
        pairs.iter().map(|(n, value)| (name(n), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn check(pairs: &[(&str, &str)], expected_ms: Option<u64>) {
        assert_eq!(parse(&headers(pairs), NOW_MS), expected_ms.map(Duration::from_millis), "{pairs:?}");
    }

    #[test]
    fn every_form_is_understood() {
        check(&[("retry-after", "7")], Some(7_000));
        check(&[("retry-after", " 0.5 ")], Some(500));
        check(&[("retry-after-ms", "599")], Some(599));
        check(&[("x-ms-retry-after-ms", "1500")], Some(1_500));
        check(&[("llm_provider-retry-after", "7")], Some(7_000));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30_000));
        check(&[("retry-after", "Sunday, 06-Nov-94 08:50:07 GMT")], Some(30_000));
    }

    #[test]
    fn milliseconds_win_over_seconds_if_they_can_be_read() {
        check(&[("retry-after", "1"), ("retry-after-ms", "20")], Some(20));
        check(&[("retry-after", "1"), ("retry-after-ms", "soon")], Some(1_000));
    }

    #[test]
    fn what_makes_no_sense_counts_as_absent() {
        for value in ["0", "-1", "", "soon", "NaN", "inf", "1e300", "1784111777", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            check(&[("retry-after", value)], None);
        }
        check(&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")], None);
        check(&[], None);
    }

    #[test]
    fn a_wait_is_found_in_words() {
        let cases = [
            ("limit 60000, used 54134, requested 6465. please try again in 599ms. visit", Some(599)),
            ("please try again in 1m30s.", Some(90_000)),
            ("please try again in 7.66s.", Some(7_660)),
            ("please retry after 20 seconds.", Some(20_000)),
            ("please retry after 86400 seconds", Some(86_400_000)),
            ("please retry in 2 minutes", Some(120_000)),
            ("please try again in a moment", None),
            ("try again in 0s", None),
            ("try again in -1s", None),
            ("try again later", None),
        ];
        for (words, expected) in cases {
            assert_eq!(in_words(words), expected.map(Duration::from_millis), "{words}");
        }
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(text in "(try again in |retry after |[0-9.a-zé -]){0,20}") {
            let _ = (in_words(&text), span(&text));
        }

        #[test]
        fn no_header_makes_it_panic_or_wait_beyond_a_year(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), NAMES.len()),
            number in any::<f64>(),
            now in any::<u64>(),
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in NAMES.iter().zip(&values) {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    map.insert(*name, value);
                }
            }
            let within = |wait: Option<Duration>| wait.is_none_or(|w| w > Duration::ZERO && w <= WAIT_MAX);
            prop_assert!(within(parse(&map, now)));
            prop_assert!(within(parse(&headers(&[("retry-after", &number.to_string())]), now)));
        }

        #[test]
        fn a_date_is_as_far_away_as_it_says(seconds in 1_u64..31_000_000) {
            let then = UNIX_EPOCH + Duration::from_millis(NOW_MS) + Duration::from_secs(seconds);
            let text = httpdate::fmt_http_date(then);
            prop_assert_eq!(parse(&headers(&[("retry-after", &text)]), NOW_MS), Some(Duration::from_secs(seconds)));
        }
    }
}
