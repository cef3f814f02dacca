//! Spans of time as providers write them: `12ms`, `6m0s`, `1.5s`, `20 seconds`.
//!
//! A parser without a policy; whoever asks says what is too long.

use std::time::Duration;

/// Units in seconds, longer names first where one begins with another.
const UNITS: [(&str, f64); 18] = [
    ("milliseconds", 0.001),
    ("millisecond", 0.001),
    ("msec", 0.001),
    ("ms", 0.001),
    ("seconds", 1.0),
    ("second", 1.0),
    ("secs", 1.0),
    ("sec", 1.0),
    ("s", 1.0),
    ("minutes", 60.0),
    ("minute", 60.0),
    ("mins", 60.0),
    ("min", 60.0),
    ("m", 60.0),
    ("hours", 3_600.0),
    ("hour", 3_600.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
];

/// The span at the start of a text, and what stands behind it. `None` where no number with a unit stands there, or where it is
/// more than fits. Zero is a span.
pub(super) fn leading(text: &str) -> Option<(Duration, &str)> {
    let mut rest = text;
    let mut seconds = None;
    while let Some((part, behind)) = part(rest) {
        seconds = Some(seconds.unwrap_or(0.0) + part);
        rest = behind;
    }
    Some((Duration::try_from_secs_f64(seconds?).ok()?, rest))
}

/// The whole text as a span; a number alone counts seconds.
pub(super) fn whole(text: &str) -> Option<Duration> {
    match leading(text) {
        Some((span, "")) => Some(span),
        Some(_) => None,
        None => Duration::try_from_secs_f64(text.parse().ok()?).ok(),
    }
}

/// One number with its unit, in seconds.
fn part(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let behind = &text[end..];
    let behind = behind.strip_prefix(' ').unwrap_or(behind);
    UNITS.iter().find_map(|(name, seconds)| {
        let rest = behind.strip_prefix(name)?;
        // `5 messages` are no minutes.
        (!rest.starts_with(|c: char| c.is_alphabetic())).then_some((number * seconds, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, milliseconds: Option<u64>) {
        assert_eq!(whole(text), milliseconds.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn every_form_is_understood() {
        check("12ms", Some(12));
        check("6m0s", Some(360_000));
        check("1s", Some(1_000));
        check("59", Some(59_000));
        check("0.5", Some(500));
        check("1h2m3s", Some(3_723_000));
        check("1m30.951s", Some(90_951));
        check("20 seconds", Some(20_000));
        check("0s", Some(0));
    }

    #[test]
    fn what_is_no_span_is_none() {
        for text in
            ["", "s", "-1", "1x", "1m 2", "5 messages", "1.2.3s", "NaN", "inf", "1e400", "99999999999999999999d"]
        {
            check(text, None);
        }
    }

    #[test]
    fn what_stands_behind_is_given_back() {
        assert_eq!(leading("599ms. visit"), Some((Duration::from_millis(599), ". visit")));
        assert_eq!(leading("36.1s."), Some((Duration::from_millis(36_100), ".")));
        assert_eq!(leading("soon"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-0-9. a-zé]{0,20}") {
            let _ = (whole(&text), leading(&text));
        }

        #[test]
        fn minutes_and_seconds_are_read_as_they_are_written(minutes in 0_u64..10_000, seconds in 0_u64..60) {
            let expected = Some(Duration::from_secs(minutes * 60 + seconds));
            prop_assert_eq!(whole(&format!("{minutes}m{seconds}s")), expected);
        }
    }
}
