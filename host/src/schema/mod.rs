//! JSON Schemas that plugins bring: of their configuration, of what they emit, of the answers they ask for.
//!
//! A schema is a program, and nobody has read it. What would recurse without end, or grow with every level, is refused before it is
//! compiled (`bounds`); what a check would take is counted on the value before it is checked (`cost`), since the check itself can neither
//! be stopped nor asked. Checks still take long, and belong off the async threads (`heavy`).

mod bounds;
mod cache;
mod cost;
mod keywords;

use crate::domain::sanitize_line;
use cost::{Counted, Mode};
use jsonschema::PatternOptions;
use serde_json::Value;

pub use cache::SchemaCache;

/// Of the text, in bytes.
pub const BYTES_MAX: usize = 1 << 20;

/// Violations that are told of one value.
const VIOLATIONS_MAX: usize = 5;
/// Steps of one match that goes back and forth; `^(a|a)*$` takes more on thirty letters.
const BACKTRACKS_MAX: usize = 20_000;
/// A compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Larger values are told of by their first violation alone: one a value adds up.
const DETAILED_VALUES_MAX: u64 = 50_000;

/// A schema within bounds, ready to be checked with.
pub struct Schema {
    value: Value,
    validator: jsonschema::Validator,
}

/// One thing that a value does not keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// A JSON pointer into the value; empty for the whole.
    pub place: String,
    pub text: String,
}

/// The check would take too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the value cannot be checked in {} steps or less: the schema's alternatives overlap, level by level, or are nested too deep; let them differ by a `const` that stands first",
    cost::steps_max(0)
)]
pub struct TooCostly;

impl Schema {
    /// The error says what is wrong with it. No schema may reach for files or addresses: the crate is built without resolvers.
    pub fn compile(text: &str) -> Result<Self, String> {
        let value = bounds::parse(text)?;
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(BACKTRACKS_MAX)
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX);
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .build(&value)
            .map_err(|error| sanitize_line(&error.to_string(), 1_000))?;
        Ok(Self { value, validator })
    }

    /// What `value` does not keep to; empty: it does.
    pub fn violations(&self, value: &Value) -> Result<Vec<Violation>, TooCostly> {
        let Counted { values, .. } = cost::count(&self.value, value, Mode::StopsAtOnce)?;
        if self.validator.is_valid(value) {
            return Ok(Vec::new());
        }
        // To tell everything, all alternatives are gone through, those that differ at first sight too.
        let detailed = values <= DETAILED_VALUES_MAX && cost::count(&self.value, value, Mode::GoesThroughAll).is_ok();
        if !detailed {
            let text = "it does not keep to the schema".to_owned();
            return Ok(vec![Violation { place: String::new(), text }]);
        }
        let told = self.validator.iter_errors(value).take(VIOLATIONS_MAX).map(|error| Violation {
            place: sanitize_line(error.instance_path().as_str(), 300),
            text: sanitize_line(&error.to_string(), 300),
        });
        Ok(told.collect())
    }
}

/// Whether a schema is within bounds, without compiling it; the error says what is not.
pub fn check_bounds(text: &str) -> Result<(), String> {
    bounds::parse(text).map(|_| ())
}

#[cfg(test)]
mod tests;
