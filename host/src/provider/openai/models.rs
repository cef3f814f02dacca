//! What a list of models tells of one of them. `OpenAI` itself tells nothing; others each have names of their own.

use crate::provider::ModelFacts;
use serde_json::Value;

/// What holds for the server that runs comes before what the model was made for.
const CONTEXT: [&str; 9] = [
    // vLLM, SGLang.
    "/max_model_len",
    // llama.cpp: per request, and what the model was trained for.
    "/meta/n_ctx",
    "/meta/n_ctx_train",
    // OpenRouter: of the provider that is asked first, and of the model.
    "/top_provider/context_length",
    "/context_length",
    // Groq.
    "/context_window",
    // Mistral.
    "/max_context_length",
    // GitHub, and gateways.
    "/limits/max_input_tokens",
    "/max_input_tokens",
];
const MAX_OUTPUT: [&str; 4] = [
    "/top_provider/max_completion_tokens",
    "/max_completion_tokens",
    "/limits/max_output_tokens",
    "/max_output_tokens",
];

pub(super) fn names(list: &Value) -> Vec<String> {
    let named = models(list).iter().filter_map(|model| model.get("id")?.as_str());
    named.map(str::to_owned).collect()
}

/// Some servers send the list itself.
fn models(list: &Value) -> &[Value] {
    list.get("data").unwrap_or(list).as_array().map_or(&[][..], Vec::as_slice)
}

pub(super) fn facts(list: &Value, name: &str) -> ModelFacts {
    let models = models(list);
    let is_named = |model: &&Value| model.get("id").and_then(Value::as_str) == Some(name);
    // A server of one model (llama.cpp) answers for it whatever the name.
    let only = if let [only] = models { Some(only) } else { None };
    let Some(model) = models.iter().find(is_named).or(only) else { return ModelFacts::default() };
    let first = |paths: &[&str]| paths.iter().find_map(|path| model.pointer(path)?.as_u64().filter(|n| *n > 0));
    ModelFacts { context: first(&CONTEXT), max_output: first(&MAX_OUTPUT) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(list: Value, context: Option<u64>, max_output: Option<u64>) {
        assert_eq!(facts(&list, "m"), ModelFacts { context, max_output }, "{list}");
    }

    #[test]
    fn every_server_tells_in_its_own_way() {
        check(json!({"data": [{"id": "x", "max_model_len": 1}, {"id": "m", "max_model_len": 512}]}), Some(512), None);
        check(json!({"data": [{"id": "m", "meta": {"n_ctx_train": 32768, "n_ctx": 4096}}]}), Some(4096), None);
        check(json!({"data": [{"id": "m", "meta": {"n_ctx_train": 32768}}]}), Some(32_768), None);
        check(json!({"data": [{"id": "a.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 512}}]}), Some(512), None);
        let top = json!({"context_length": 8192, "max_completion_tokens": 4096});
        let router = json!({"data": [{"id": "m", "context_length": 131_072, "top_provider": top}]});
        check(router, Some(8192), Some(4096));
        let bare = json!({"context_length": null, "max_completion_tokens": null});
        check(json!({"data": [{"id": "m", "context_length": 10, "top_provider": bare}]}), Some(10), None);
        check(json!([{"id": "m", "context_length": 10}]), Some(10), None);
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        for list in [
            json!(null),
            json!({"data": [{"id": "m"}]}),
            json!({"data": [{"id": "other", "max_model_len": 512}, {"id": "another"}]}),
            json!({"data": [{"id": "m", "max_model_len": 0}]}),
            json!({"data": [{"id": "m", "max_model_len": "512"}]}),
            json!({"data": "m"}),
        ] {
            check(list, None, None);
        }
    }
}
