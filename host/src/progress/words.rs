//! Numbers, times and money, as short as a person can still use them.

/// `1,204,331`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.3`, `23.1`, `412`, `41.2k`, `3.1M`; `-`: nothing is known yet.
pub(super) fn rate(rate: Option<f64>) -> String {
    let Some(rate) = rate else { return "-".into() };
    let (number, unit) = match rate {
        rate if rate >= 999_950.0 => (rate / 1e6, "M"),
        rate if rate >= 999.5 => (rate / 1e3, "k"),
        rate => (rate, ""),
    };
    if number < 99.95 { format!("{number:.1}{unit}") } else { format!("{number:.0}{unit}") }
}

/// `0 B`, `12.0 MiB`, `5.4 GiB`.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

/// In its two largest units: `2d 3h`, `1h 12m`, `3m 20s`, `8s`.
pub(super) fn time(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// Millionths of a dollar: cents, and of less than a dollar their hundredths too.
pub(super) fn money(micro: u64) -> String {
    let hundredths = (micro.saturating_add(50)) / 100;
    if hundredths < 10_000 {
        return format!("$0.{hundredths:04}");
    }
    let cents = (micro.saturating_add(5_000)) / 10_000;
    format!("${}.{:02}", count(cents / 100), cents % 100)
}

/// `part` of `whole` in whole per cents, which are 100 only when all is done.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let percent = if whole == 0 { 100 } else { u128::from(part.min(whole)) * 100 / u128::from(whole) };
    format!("{percent} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_000, 1_204_331].map(count), ["0", "999", "1,000", "1,204,331"]);
        let rates = [0.0, 0.04, 23.06, 99.96, 412.4, 999.6, 41_234.0, 3_100_000.0].map(|r| rate(Some(r)));
        assert_eq!(rates, ["0.0", "0.0", "23.1", "100", "412", "1.0k", "41.2k", "3.1M"]);
        assert_eq!(rate(None), "-");
    }

    #[test]
    fn a_time_has_two_units_at_most() {
        let times = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 1_000_000].map(time);
        assert_eq!(times, ["0s", "59s", "1m 0s", "59m 59s", "1h 0m", "23h 59m", "1d 0h", "11d 13h"]);
    }

    #[test]
    fn money_has_cents_and_small_money_more() {
        let money = [0, 1_200, 11_000, 999_949, 999_950, 1_234_567, 12_000_000_000].map(money);
        assert_eq!(money, ["$0.0000", "$0.0012", "$0.0110", "$0.9999", "$1.00", "$1.23", "$12,000.00"]);
    }

    #[test]
    fn not_all_is_never_a_hundred_per_cent() {
        assert_eq!(
            [(0, 0), (1, 3), (199, 200), (200, 200)].map(|(p, w)| percent(p, w)),
            ["100 %", "33 %", "99 %", "100 %"]
        );
    }
}
