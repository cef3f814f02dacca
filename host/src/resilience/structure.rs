//! Whether an answer has the form that was asked for.

use crate::domain::{Completion, ErrorClass, Request, ResponseFormat};
use crate::provider::ProviderError;
use serde::de::IgnoredAny;

/// An answer that was asked to be JSON and is not, is no answer. Not for one that was cut off, refused, or that calls tools: how
/// it ended says so, and the plugin decides.
pub(super) fn check(request: &Request, completion: &Completion) -> Result<(), ProviderError> {
    match request.format {
        ResponseFormat::Text => return Ok(()),
        ResponseFormat::Json | ResponseFormat::JsonSchema(_) => {}
    }
    if completion.finish != "stop" || !completion.tool_calls.is_empty() {
        return Ok(());
    }
    serde_json::from_str::<IgnoredAny>(&completion.text).map(|_| ()).map_err(|error| {
        let mut garbage = ProviderError::new(
            ErrorClass::Garbage,
            format!("the model was asked for JSON and wrote something else: {error}"),
        );
        garbage.code = "not_json".into();
        garbage.body = crate::domain::sanitize_text(&completion.text, 2_000);
        garbage
    })
}
