//! What a plugin is handed of an item, and what it returns.

use super::pairs::pairs_from_wit;
use super::{JSON_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, json, out, sound, wt};
use crate::domain::{
    AttemptNumber, Budget, Emission, Failure, FailureClass, Item, Outcome, Retryable, Verdict, sanitize_line,
    sanitize_text,
};
use crate::sandbox::attempt::Job;
use crate::sandbox::limits::Limits;
use std::time::Duration;

/// A plugin's own wait before the next attempt is cut at this.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// What is wrong with what a plugin returned.
#[derive(Debug)]
pub(in crate::sandbox) enum OutputProblem {
    TooLarge(String),
    TooDeep(String),
    Bad(String),
}

impl From<OutputProblem> for Failure {
    fn from(problem: OutputProblem) -> Self {
        match problem {
            OutputProblem::TooLarge(message) => Self::new(FailureClass::OutputTooLarge, message),
            OutputProblem::TooDeep(message) => Self::new(FailureClass::OutputTooDeep, message),
            OutputProblem::Bad(message) => Self::new(FailureClass::BadOutput, message),
        }
    }
}

pub(in crate::sandbox) fn item_to_wit(item: &Item) -> wt::Item {
    wt::Item {
        id: item.id.as_str().to_owned(),
        index: item.index,
        json: item.json.to_string(),
        blobs: item
            .blobs
            .iter()
            .map(|blob| wt::Blob {
                name: blob.name.clone(),
                mime_type: blob.mime_type.clone(),
                size: blob.bytes.len() as u64,
                digest: blob.digest.clone(),
                extra: Vec::new(),
            })
            .collect(),
        extra: Vec::new(),
    }
}

pub(in crate::sandbox) fn context_to_wit(job: &Job, attempt: AttemptNumber, budget: Budget) -> wt::Context {
    wt::Context {
        job: job.name.clone(),
        attempt: attempt.0,
        config: job.config.clone(),
        budget: wt::Budget {
            calls: budget.calls,
            tokens: budget.tokens,
            micro_dollars: budget.micro_dollars,
            extra: Vec::new(),
        },
        extra: Vec::new(),
    }
}

pub(in crate::sandbox) fn verdict_from_wit(
    result: Result<out::Outcome, out::Failure>,
    limits: &Limits,
) -> Result<Verdict, OutputProblem> {
    match result {
        Ok(out::Outcome::Emit(emissions)) => {
            Ok(Verdict::Finished(Outcome::Done(emissions_from_wit(emissions, limits)?)))
        }
        Ok(out::Outcome::Skip(skip)) => {
            Ok(Verdict::Finished(Outcome::Skipped { reason: sanitize_text(&skip.reason, MESSAGE_BYTES_MAX) }))
        }
        Err(failure) => failure_from_wit(failure, limits),
    }
}

/// What an outcome has to be checked of, in bytes.
pub(in crate::sandbox) fn outcome_bytes(result: &Result<out::Outcome, out::Failure>) -> usize {
    match result {
        Ok(out::Outcome::Emit(emissions)) => emitted_bytes(emissions),
        Ok(out::Outcome::Skip(skip)) => skip.reason.len(),
        Err(failure) => failure.message.len() + failure.detail.as_ref().map_or(0, String::len),
    }
}

fn emitted_bytes(emissions: &[wt::Emission]) -> usize {
    let of_pair = |pair: &wt::Pair| pair.name.len() + pair.value.len();
    let of_one = |emission: &wt::Emission| {
        let name = emission.name.as_ref().map_or(0, String::len);
        emission.value.len() + name + emission.extra.iter().map(of_pair).sum::<usize>()
    };
    emissions.iter().map(of_one).sum()
}

fn emissions_from_wit(emissions: Vec<wt::Emission>, limits: &Limits) -> Result<Vec<Emission>, OutputProblem> {
    let total = emitted_bytes(&emissions);
    if total > limits.output_bytes {
        return Err(OutputProblem::TooLarge(format!(
            "the plugin emitted {total} bytes, and an item may emit {}: emit less, or raise --limit-output",
            limits.output_bytes
        )));
    }
    if emissions.len() > limits.emissions {
        return Err(OutputProblem::TooLarge(format!(
            "the plugin emitted {} values, and an item may emit {}: emit less, or raise --limit-emissions",
            emissions.len(),
            limits.emissions
        )));
    }
    emissions
        .into_iter()
        .map(|emission| {
            Ok(Emission {
                value: one_line_json(emission.value, "an emitted value", limits)?,
                name: emission.name.map(|name| sanitize_line(&name, NAME_BYTES_MAX)),
                extra: pairs_from_wit(emission.extra).map_err(OutputProblem::Bad)?,
            })
        })
        .collect()
}

fn failure_from_wit(failure: out::Failure, limits: &Limits) -> Result<Verdict, OutputProblem> {
    let code = sanitize_line(&failure.code, NAME_BYTES_MAX).replace(char::is_whitespace, "_");
    let code = if code.is_empty() { FailureClass::Plugin.name().to_owned() } else { code };
    let message = sanitize_text(&failure.message, MESSAGE_BYTES_MAX);
    let detail = match failure.detail {
        Some(detail) if detail.len() > JSON_BYTES_MAX => {
            return Err(OutputProblem::TooLarge(format!("a failure's detail may have {JSON_BYTES_MAX} bytes")));
        }
        Some(detail) => Some(one_line_json(detail, "a failure's detail", limits)?),
        None => None,
    };
    Ok(match failure.kind {
        wt::FailureKind::Permanent => {
            Verdict::Failed(Failure { class: FailureClass::Plugin, code, message, detail, backtrace: None, card: None })
        }
        wt::FailureKind::Retryable(after_ms) => Verdict::Retry(Retryable {
            after: after_ms.map(|ms| Duration::from_millis(ms).min(RETRY_AFTER_MAX)),
            code,
            message,
            detail,
        }),
    })
}

/// Valid JSON, not nested too deep for those who read it later, without line breaks between its tokens.
fn one_line_json(text: String, what: &str, limits: &Limits) -> Result<String, OutputProblem> {
    if json::is_deeper(&text, limits.output_depth) {
        let depth = json::depth(&text);
        return Err(OutputProblem::TooDeep(format!(
            "{what} is nested {depth} levels deep, and {} are allowed: raise --limit-depth",
            limits.output_depth
        )));
    }
    if let Err(error) = sound::check(&text) {
        return Err(OutputProblem::Bad(format!(
            "{what} is not JSON: {error}; it starts with `{}`",
            sanitize_line(&text, 60)
        )));
    }
    // In valid JSON a raw line break can only stand between tokens. What stands around it would not come back from the store.
    let trimmed = text.trim_ascii();
    let has_breaks = memchr::memchr2(b'\n', b'\r', trimmed.as_bytes()).is_some();
    Ok(match (has_breaks, trimmed.len() == text.len()) {
        (true, _) => trimmed.replace(['\n', '\r'], " "),
        (false, true) => text,
        (false, false) => trimmed.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let got = one_line_json(text.to_owned(), "a value", &Limits::default());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(OutputProblem::Bad(message) | OutputProblem::TooDeep(message)), Err(part)) => {
                assert!(message.contains(part), "{message}");
            }
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn an_emission_becomes_one_line_of_json_or_a_clear_refusal() {
        check("{\"a\":\n [1,\r\n2]}", Ok("{\"a\":  [1,  2]}"));
        check(r#""\n[[[""#, Ok(r#""\n[[[""#));
        check("\t1 \r\n", Ok("1"));
        check("{nope", Err("not JSON"));
        check("", Err("not JSON"));
        check("1 2", Err("not JSON"));
        check("1e999", Err("not JSON"));
        check(r#""\ud800""#, Err("not JSON"));
        check(&"[".repeat(1_000_000), Err("levels deep"));
        check(
            &format!("{}1{}", "[".repeat(100), "]".repeat(100)),
            Ok(&format!("{}1{}", "[".repeat(100), "]".repeat(100))),
        );
    }
}
