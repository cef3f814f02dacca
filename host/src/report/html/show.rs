//! Numbers as people read them.

use crate::resilience::dollars;
use jiff::Timestamp;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `1,234,567`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12 items`, `1 item`.
pub(super) fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `250 ms`, `3.2 s`, `4 min 5 s`, `2 h 3 min`, `5 d 2 h`.
pub(super) fn time(ms: u64) -> String {
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {small_unit}") }
    };
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..MINUTE if ms.is_multiple_of(SECOND) => format!("{} s", ms / SECOND),
        SECOND..MINUTE => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        MINUTE..HOUR => two(ms / MINUTE, "min", ms % MINUTE / SECOND, "s"),
        HOUR..DAY => two(ms / HOUR, "h", ms % HOUR / MINUTE, "min"),
        _ => two(ms / DAY, "d", ms % DAY / HOUR, "h"),
    }
}

/// `2026-11-26 14:33:05`, in UTC.
pub(super) fn at(ms: u64) -> String {
    stamp(ms, "%Y-%m-%d %H:%M:%S")
}

/// The same for a program.
pub(super) fn machine(ms: u64) -> String {
    stamp(ms, "%Y-%m-%dT%H:%M:%SZ")
}

fn stamp(ms: u64, format: &str) -> String {
    let stamp = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(|| format!("{ms} ms"), |stamp| stamp.strftime(format).to_string())
}

/// Of dollars.
pub(super) fn money(cost: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for reading")]
    let micro = (cost * 1e6).round() as u64;
    dollars(micro)
}

/// `98.5 %`, and 100 % only where it is all.
pub(super) fn percent(share: f64) -> String {
    let share = share * 100.0;
    let shown = if share < 100.0 { share.min(99.9) } else { share };
    format!("{shown:.1} %")
}

/// `12.3`, and more digits of what is small.
pub(super) fn number(number: f64) -> String {
    if number >= 100.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for reading")]
        let whole = number.round() as u64;
        grouped(whole)
    } else if number >= 1.0 || number == 0.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.3}")
    }
}

/// The first twelve digits of a digest.
pub(super) fn short_digest(digest: &str) -> String {
    digest.chars().take(12).collect()
}

pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "item"), counted(1_000, "item")], ["1 item", "1,000 items"]);
        let times = [0, 999, 1_000, 3_250, 60_000, 245_000, 7_380_000, 86_400_000 * 5 + 7_200_000];
        let shown = ["0 ms", "999 ms", "1 s", "3.2 s", "1 min", "4 min 5 s", "2 h 3 min", "5 d 2 h"];
        assert_eq!(times.map(time), shown);
        assert_eq!([1.0, 0.999_99, 0.5].map(percent), ["100.0 %", "99.9 %", "50.0 %"]);
        assert_eq!([0.0, 0.0123, 12.34, 1_234.6].map(number), ["0.0", "0.012", "12.3", "1,235"]);
        assert_eq!(at(1_764_167_585_000), "2025-11-26 14:33:05");
        assert_eq!(at(u64::MAX), format!("{} ms", u64::MAX));
    }
}
