//! What was measured, as a table.

use anyhow::bail;
use std::path::Path;

/// Between these goes what something is asked of; between those with `all`, what is told beside it too.
const BEGIN: &str = "<!-- bench -->\n";
const BEGIN_ALL: &str = "<!-- bench: all -->\n";
const END: &str = "<!-- /bench -->";

/// A figure beside its yardstick.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// By itself: the row above may be left out.
    pub(crate) what: String,
    pub(crate) ours: f64,
    /// With a name.
    pub(crate) yardstick: Option<(&'static str, f64)>,
    pub(crate) unit: &'static str,
    /// What the ratio of ours to the yardstick, or ours where there is none, shall be.
    pub(crate) wanted: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// So much more than the yardstick, in the unit of both.
    AtMostMore(f64),
    /// It is told, and nothing is asked of it.
    Told,
}

impl Row {
    fn is_met(&self) -> Option<bool> {
        let value = self.yardstick.map_or(self.ours, |(_, yardstick)| self.ours / yardstick);
        match self.wanted {
            Bound::AtLeast(bound) => Some(value >= bound),
            Bound::AtMost(bound) => Some(value <= bound),
            Bound::AtMostMore(bound) => Some(self.ours - self.yardstick.map_or(0.0, |(_, value)| value) <= bound),
            Bound::Told => None,
        }
    }

    fn text(&self) -> String {
        let with_unit = |value: f64| format!("{} {}", number(value), self.unit);
        let (beside, ratio) = match self.yardstick {
            Some((name, value)) => {
                (format!("{name}: {}", with_unit(value)), format!("{} ×", number(self.ours / value)))
            }
            None => (String::new(), String::new()),
        };
        let bound = |bound: f64| match self.yardstick {
            Some(_) => format!("{} ×", number(bound)),
            None => with_unit(bound),
        };
        let wanted = match self.wanted {
            Bound::AtLeast(least) => format!("≥ {}", bound(least)),
            Bound::AtMost(most) => format!("≤ {}", bound(most)),
            Bound::AtMostMore(most) => format!("≤ {} more", with_unit(most)),
            Bound::Told => String::new(),
        };
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        format!("| {} | {} | {beside} | {ratio} | {wanted} | {met} |", self.what, with_unit(self.ours))
    }
}

/// So many of something.
#[expect(clippy::cast_precision_loss, reason = "some millions")]
pub(crate) fn count(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { self::number(number as f64) }
}

/// Three digits that say something, or thousands apart.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 999.5 => {
            let value = value.round();
            format!("{:.0},{:03.0}", (value / 1e3).trunc(), (value % 1e3).abs())
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn lines<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let head =
        ["| measured | sandmill | beside | ratio | wanted | met |".to_owned(), "|---|---|---|---|---|---|".to_owned()];
    head.into_iter().chain(rows.map(Row::text)).collect::<Vec<_>>().join("\n") + "\n"
}

/// All rows, and how they were taken.
pub(crate) fn text(rows: &[Row], how: &str) -> String {
    format!("{}\n{how}\n", lines(rows.iter()))
}

/// Those of which something is asked.
fn text_of_wanted(rows: &[Row], how: &str) -> String {
    format!("{}\n{how}\n", lines(rows.iter().filter(|row| row.wanted != Bound::Told)))
}

/// Where a document has room for it.
pub(crate) fn write(path: &Path, rows: &[Row], how: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let places = [(BEGIN, text_of_wanted(rows, how)), (BEGIN_ALL, self::text(rows, how))];
    let place = places.iter().find_map(|(begin, table)| Some((text.find(begin)? + begin.len(), table)));
    let (Some((begin, table)), Some(end)) = (place, text.find(END)) else {
        bail!("there is no {} or {}, and no {END} behind it", BEGIN.trim_end(), BEGIN_ALL.trim_end());
    };
    let (Some(before), Some(after)) = (text.get(..begin), text.get(begin.max(end)..)) else {
        bail!("{END} is cut in two");
    };
    Ok(std::fs::write(path, format!("{before}{table}{after}"))?)
}

/// Of an odd number of values the one in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: &str, ours: f64, wanted: Bound) -> Row {
        Row { what: what.into(), ours, yardstick: Some(("a loop", 100.0)), unit: "ms", wanted }
    }

    fn written(begin: &str, rows: &[Row]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("README.md");
        std::fs::write(&path, format!("before\n{begin}old\n{END}\nafter\n")).unwrap();
        write(&path, rows, "Medians of 5.").unwrap();
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn the_table_goes_where_it_stood_and_nothing_else_changes() {
        let rows = [row("a call", 50.0, Bound::AtLeast(0.4)), row("another", 50.0, Bound::Told)];
        let text = written(BEGIN, &rows);
        assert!(text.starts_with("before\n<!-- bench -->\n| measured"), "{text}");
        assert!(text.ends_with("|\n\nMedians of 5.\n<!-- /bench -->\nafter\n"), "{text}");
        assert!(text.contains("| a call | 50.0 ms | a loop: 100 ms | 0.50 × | ≥ 0.40 × | yes |"), "{text}");
        assert!(!text.contains("another") && written(BEGIN_ALL, &rows).contains("| another |"));
    }

    #[test]
    fn a_document_without_room_for_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("README.md");
        for text in ["nothing", BEGIN, END] {
            std::fs::write(&path, text).unwrap();
            assert!(write(&path, &[], "").is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_bound_is_a_ratio_or_a_difference_where_there_is_a_yardstick() {
        assert!(row("a", 102.0, Bound::AtMostMore(2.0)).text().ends_with("| ≤ 2.00 ms more | yes |"));
        assert!(row("a", 103.0, Bound::AtMostMore(2.0)).text().ends_with("| **no** |"));
        let alone = Row { yardstick: None, ..row("a", 31_004.0, Bound::AtLeast(30_000.0)) };
        assert_eq!(alone.text(), "| a | 31,004 ms |  |  | ≥ 30,000 ms | yes |");
    }

    #[test]
    fn thousands_stand_apart_and_small_numbers_keep_three_digits() {
        let all = [0.123, 9.876, 50.04, 999.4, 999.6, 4_096.0, 217_083.4];
        assert_eq!(all.map(number), ["0.12", "9.88", "50.0", "999", "1,000", "4,096", "217,083"]);
        assert_eq!(count(10), "10");
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
