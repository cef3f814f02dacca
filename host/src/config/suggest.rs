//! What somebody may have meant by a name that is not known.

/// As alike as clap wants it, for the same taste everywhere.
const LIKENESS_MIN: f64 = 0.7;

/// `; did you mean `x`?`, or nothing.
pub fn did_you_mean(name: &str, known: &[&str]) -> String {
    let rated = known.iter().map(|known| (strsim::jaro(name, known), known));
    let best = rated.filter(|(likeness, _)| *likeness > LIKENESS_MIN).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?"))
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
