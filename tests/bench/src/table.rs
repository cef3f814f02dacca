//! What was measured, as a table.

use anyhow::bail;
use std::path::Path;

const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- /bench -->";

/// A figure beside its yardstick.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: f64,
    /// With a name.
    pub(crate) yardstick: Option<(&'static str, f64)>,
    pub(crate) unit: &'static str,
    /// What the ratio of ours to the yardstick, or ours where there is none, shall be.
    pub(crate) wanted: Bound,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// It is told, and nothing is asked of it.
    Told,
}

impl Row {
    fn is_met(&self) -> Option<bool> {
        let value = self.yardstick.map_or(self.ours, |(_, yardstick)| self.ours / yardstick);
        match self.wanted {
            Bound::AtLeast(bound) => Some(value >= bound),
            Bound::AtMost(bound) => Some(value <= bound),
            Bound::Told => None,
        }
    }

    fn text(&self) -> String {
        let (name, yardstick, ratio) = match self.yardstick {
            Some((name, value)) => {
                (name, format!("{} {}", number(value), self.unit), format!("{:.2}", self.ours / value))
            }
            None => ("", String::new(), String::new()),
        };
        let wanted = match self.wanted {
            Bound::AtLeast(bound) => format!("≥ {}", number(bound)),
            Bound::AtMost(bound) => format!("≤ {}", number(bound)),
            Bound::Told => String::new(),
        };
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        format!(
            "| {} | {} {} | {name} | {yardstick} | {ratio} | {wanted} | {met} |",
            self.what,
            number(self.ours),
            self.unit
        )
    }
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub(crate) fn text(rows: &[Row]) -> String {
    let mut lines = vec![
        "| measured | sandmill | beside | yardstick | ratio | wanted | met |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows.iter().map(Row::text));
    lines.join("\n") + "\n"
}

pub(crate) fn write(path: &Path, table: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let (Some(begin), Some(end)) = (text.find(BEGIN), text.find(END)) else {
        bail!("there is no {} and {END} in it", BEGIN.trim_end());
    };
    let (before, after) = (text.get(..begin + BEGIN.len()).unwrap_or_default(), text.get(end..).unwrap_or_default());
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

    #[test]
    fn the_table_goes_where_it_stood_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("README.md");
        std::fs::write(&path, format!("before\n{BEGIN}old\n{END}\nafter\n")).unwrap();
        let row = Row {
            what: "items".into(),
            ours: 50.0,
            yardstick: Some(("a loop", 100.0)),
            unit: "items/s",
            wanted: Bound::AtLeast(0.4),
        };
        write(&path, &text(&[row])).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("before\n<!-- bench -->\n| measured") && text.ends_with("<!-- /bench -->\nafter\n"));
        assert!(text.contains("| items | 50.0 items/s | a loop | 100 items/s | 0.50 | ≥ 0.40 | yes |"), "{text}");
        std::fs::write(&path, "nothing").unwrap();
        assert!(write(&path, "x").is_err());
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
