//! How long a provider asks to be left alone, read from its headers, or from its words where these say nothing.
//!
//! A parser without a policy: how much of the wait is obeyed is decided above. What it cannot read, it does not guess.

use super::span;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, UNIX_EPOCH};

/// Longer waits are read as garbage: they are points in time (seconds since 1970), or mistakes.
const WAIT_MAX: Duration = Duration::from_hours(365 * 24);

/// A message that asks for a day or more is not believed: Azure's `86400 seconds` stand for nothing.
const PROSE_MAX: Duration = Duration::from_hours(24);

/// What stands before a wait, in lower case.
const PHRASES: [&str; 6] =
    ["try again in ", "retry after ", "retry in ", "retry again in ", "wait for ", "please wait "];

/// The headers that hold milliseconds, the more exact ones, come first. Zero, negative and unreadable values count as
/// absent. `now_unix_ms` is what dates are relative to.
pub(crate) fn parse(headers: &HeaderMap, now_unix_ms: u64) -> Option<Duration> {
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

/// Whether the provider says that trying again helps, or that it does not.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-should-retry")?.to_str().ok()?.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The wait in a message in lower case, such as `please try again in 599ms`.
pub(super) fn of_prose(message: &str) -> Option<Duration> {
    let behind = |phrase: &&str| message.split_once(*phrase).map(|(_, behind)| behind);
    PHRASES.iter().filter_map(behind).find_map(|text| believable(span::leading(text)?.0))
}

/// A wait that stands alone, such as `36s`.
pub(super) fn of_text(text: &str) -> Option<Duration> {
    span::whole(text.trim()).and_then(believable)
}

fn believable(wait: Duration) -> Option<Duration> {
    (wait > Duration::ZERO && wait < PROSE_MAX).then_some(wait)
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
    fn waits_in_prose_are_found_if_they_can_be_believed() {
        for (message, expected_ms) in [
            ("limit 60000, used 54134. please try again in 599ms. visit", Some(599)),
            ("please try again in 1m30s.", Some(90_000)),
            ("please retry after 20 seconds.", Some(20_000)),
            ("please retry in 36.1s.", Some(36_100)),
            ("please retry after 86400 seconds.", None),
            ("please try again in 0s", None),
            ("please try again in -5s", None),
            ("please try again in 5 messages", None),
            ("please try again in 7", None),
            ("try again in 999999999999999999999999999h", None),
            ("please try again later", None),
        ] {
            assert_eq!(of_prose(message), expected_ms.map(Duration::from_millis), "{message}");
        }
        assert_eq!(of_text("36s"), Some(Duration::from_secs(36)));
        assert_eq!((of_text("0s"), of_text("-36s"), of_text("soon")), (None, None, None));
    }

    #[test]
    fn whether_to_retry_is_said_with_a_word() {
        for (value, expected) in [("true", Some(true)), (" false ", Some(false)), ("1", None), ("", None)] {
            assert_eq!(should_retry(&headers(&[("x-should-retry", value)])), expected, "{value}");
        }
        assert_eq!(should_retry(&headers(&[])), None);
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(text in "[-0-9. a-zé]{0,20}", nth in 0..PHRASES.len()) {
            let wait = of_prose(&format!("{}{text}", PHRASES[nth]));
            prop_assert!(wait.is_none_or(|wait| wait > Duration::ZERO && wait < PROSE_MAX));
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
