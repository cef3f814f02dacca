//! What a list of models tells of one of them. `OpenAI`'s own tells nothing; those of servers and brokers often do.

use crate::provider::ModelFacts;
use serde_json::Value;

/// vLLM; `OpenRouter`, Together; Groq; Mistral; `LiteLLM`; llama.cpp.
const CONTEXT: [&str; 6] =
    ["/max_model_len", "/context_length", "/context_window", "/max_context_length", "/max_input_tokens", "/meta/n_ctx"];
const MAX_OUTPUT: [&str; 3] = ["/top_provider/max_completion_tokens", "/max_completion_tokens", "/max_output_tokens"];

/// Nothing, if the list does not name the model, or is none.
pub(super) fn facts(body: &[u8], model: &str) -> ModelFacts {
    let list: Value = serde_json::from_slice(body).unwrap_or_default();
    let models = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let by_name = models.iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(model));
    // A server of one model (llama.cpp) answers to every name.
    let Some(found) = by_name.or(if let [only] = models { Some(only) } else { None }) else {
        return ModelFacts::default();
    };
    let number =
        |paths: &[&str]| paths.iter().find_map(|path| found.pointer(path)?.as_u64()).filter(|tokens| *tokens > 0);
    ModelFacts { context: number(&CONTEXT), max_output: number(&MAX_OUTPUT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entry: &str, context: Option<u64>, max_output: Option<u64>) {
        let body = format!(r#"{{"data":[{{"id":"other","max_model_len":1}},{entry}]}}"#);
        assert_eq!(facts(body.as_bytes(), "m"), ModelFacts { context, max_output }, "{entry}");
    }

    #[test]
    fn the_window_is_found_in_the_words_of_each_server() {
        check(r#"{"id":"m","max_model_len":4096}"#, Some(4_096), None);
        check(
            r#"{"id":"m","context_length":8192,"top_provider":{"max_completion_tokens":2048}}"#,
            Some(8_192),
            Some(2_048),
        );
        check(r#"{"id":"m","context_window":131072,"max_completion_tokens":32768}"#, Some(131_072), Some(32_768));
        check(r#"{"id":"m","owned_by":"openai"}"#, None, None);
        check(r#"{"id":"n","max_model_len":4096}"#, None, None);
        assert_eq!(facts(b"<html>", "m"), ModelFacts::default());
    }
}
