//! What somebody may have meant by a name that is not known.

use std::path::Path;

/// As alike as clap wants it, for the same taste everywhere.
const LIKENESS_MIN: f64 = 0.7;
/// Names of a folder that are looked at.
const NAMES_MAX: usize = 10_000;

/// `; did you mean `x`?`, or nothing.
pub fn did_you_mean(name: &str, known: &[&str]) -> String {
    let rated = known.iter().map(|known| (strsim::jaro(name, known), known));
    let best = rated.filter(|(likeness, _)| *likeness > LIKENESS_MIN).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?"))
}

/// The same for a path that is not there: its first part that is missing is taken for a mistyped one, and what stands there in its
/// place must be what `fits`.
pub fn did_you_mean_path(path: &Path, fits: impl Fn(&Path) -> bool) -> String {
    let Some(folder) = path.ancestors().skip(1).find(|above| above.as_os_str().is_empty() || above.is_dir()) else {
        return String::new();
    };
    let mut parts = path.strip_prefix(folder).unwrap_or(path).components();
    let Some(missing) = parts.next().and_then(|part| part.as_os_str().to_str()) else { return String::new() };
    let rest = parts.as_path();
    let listed = std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let meant = listed.into_iter().flatten().take(NAMES_MAX).filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let likeness = strsim::jaro(missing, &name);
        let whole = if rest.as_os_str().is_empty() { folder.join(name) } else { folder.join(name).join(rest) };
        (likeness > LIKENESS_MIN && fits(&whole)).then_some((likeness, whole))
    });
    // Of two that are as alike, always the same.
    let best = meant.max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)));
    best.map_or_else(String::new, |(_, path)| format!("; did you mean `{}`?", path.display()))
}

/// An error of serde's about an unknown name, with what may have been meant: it ends in the unknown name and those it knows, each in
/// backticks.
pub fn with_suggestion(message: String) -> String {
    let message = message.trim_end().to_owned();
    let Some((_, rest)) = message.rsplit_once("unknown field `").or_else(|| message.rsplit_once("unknown variant `"))
    else {
        return message;
    };
    // The name itself, then what is between, then each name that is known, with what is between.
    let mut words = rest.split('`');
    let name = words.next().unwrap_or_default();
    let known: Vec<&str> = words.skip(1).step_by(2).collect();
    let meant = did_you_mean(name, &known);
    format!("{message}{meant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_one_part_mistyped_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("plugins/summarize")).unwrap();
        std::fs::create_dir_all(dir.path().join("plugins/translate")).unwrap();
        std::fs::write(dir.path().join("plugins/summarise"), "no folder").unwrap();
        let check = |path: &str, meant: Option<&str>| {
            let said = did_you_mean_path(&dir.path().join(path), Path::is_dir);
            let meant = meant.map(|meant| format!("; did you mean `{}`?", dir.path().join(meant).display()));
            assert_eq!(said, meant.unwrap_or_default(), "{path}");
        };
        check("plugins/sumarize", Some("plugins/summarize"));
        check("plugin/translate", Some("plugins/translate"));
        check("plugin/else", None);
        check("plugins/xyz", None);
        check("no/such/folder", None);
    }

    #[test]
    fn what_is_alike_is_suggested_and_nothing_else() {
        let check = |message: &str, end: &str| {
            let said = with_suggestion(format!("at line 2\n{message}\n"));
            assert_eq!(said, format!("at line 2\n{message}{end}"));
        };
        check("unknown field `attemps`, expected one of `attempts`, `wait_min`", "; did you mean `attempts`?");
        check("unknown field `maxcost`, expected `max_cost` or `models`", "; did you mean `max_cost`?");
        check("unknown field `zzz`, expected one of `attempts`, `wait_min`", "");
        check("invalid type: integer `3`, expected a string", "");
    }
}
