//! `generateContent`, in Google's words.

use super::{Body, Counted, Trouble};
use crate::provider::mock::prompt::{Content, Message, Prompt};
use crate::provider::mock::reply::{Answer, Said};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    contents: Vec<Turn>,
    system_instruction: Option<Turn>,
    #[serde(default)]
    tools: Vec<Value>,
    tool_config: Option<Value>,
    #[serde(default)]
    generation_config: Value,
}

#[derive(Deserialize)]
struct Turn {
    role: Option<String>,
    #[serde(default)]
    parts: Vec<Value>,
}

pub(super) fn read(body: &[u8], model: &str) -> Result<Body, String> {
    let request: Request =
        serde_json::from_slice(body).map_err(|error| format!("the body is not a request: {error}"))?;
    let system = request.system_instruction.map(|turn| Message::of("system", Content::Parts(turn.parts)));
    let turns = request.contents.into_iter().map(|turn| {
        let role = turn.role.unwrap_or_else(|| "user".to_owned());
        Message::of(if role == "model" { "assistant" } else { &role }, Content::Parts(turn.parts))
    });
    let declarations = request.tools.iter().filter_map(|tool| tool["functionDeclarations"].as_array()).flatten();
    let tool = |tool: &Value| {
        let schema = tool.get("parametersJsonSchema").or_else(|| tool.get("parameters"));
        json!({"function": {"name": tool["name"], "parameters": schema}})
    };
    let calling = request.tool_config.map(|mut config| config["functionCallingConfig"].take()).unwrap_or_default();
    let choice = (calling["mode"] == "ANY").then(|| match &calling["allowedFunctionNames"][0] {
        Value::Null => "required".into(),
        name => json!({"function": {"name": name}}),
    });
    let config = &request.generation_config;
    let schema = config.get("responseJsonSchema").or_else(|| config.get("responseSchema"));
    let format = match (schema, config["responseMimeType"].as_str()) {
        (Some(schema), _) => Some(json!({"type": "json_schema", "json_schema": {"schema": schema}})),
        (None, Some("application/json")) => Some(json!({"type": "json_object"})),
        _ => None,
    };
    Ok(Body {
        model: model.to_owned(),
        messages: system.into_iter().chain(turns).collect(),
        tools: Some(declarations.map(tool).collect()),
        tool_choice: choice,
        response_format: format,
        max_tokens: config["maxOutputTokens"].as_u64(),
        max_completion_tokens: None,
        stream: None,
    })
}

pub(super) fn answer(prompt: &Prompt, answer: &Answer) -> Value {
    let (part, reason) = match &answer.said {
        Said::Text { text, is_cut } => (json!({"text": text}), if *is_cut { "MAX_TOKENS" } else { "STOP" }),
        Said::Call { name, arguments } => (json!({"functionCall": {"name": name, "args": arguments}}), "STOP"),
    };
    json!({
        "candidates": [{"content": {"parts": [part], "role": "model"}, "finishReason": reason, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": prompt.input_tokens,
            "candidatesTokenCount": answer.output_tokens,
            "totalTokenCount": prompt.input_tokens + answer.output_tokens,
        },
        "modelVersion": prompt.model,
        "responseId": format!("mock-{}", prompt.digest),
    })
}

pub(super) fn hollow(prompt: &Prompt) -> Value {
    json!({"usageMetadata": {"promptTokenCount": prompt.input_tokens}, "modelVersion": prompt.model})
}

pub(super) fn error(trouble: Trouble<'_>) -> (u16, Value) {
    let invalid = |message: &str| page(400, "INVALID_ARGUMENT", message);
    match trouble {
        Trouble::RateLimit { counted, limit, wait, .. } => {
            let (metric, quota) = match counted {
                Counted::Requests => ("generate_content_requests", "GenerateRequestsPerMinutePerProjectPerModel"),
                Counted::Tokens => ("generate_content_input_token_count", "GenerateContentInputTokensPerMinute"),
            };
            let seconds = format!("{}s", wait.as_secs_f64());
            let message = format!(
                "You exceeded your current quota, please check your plan and billing details.\n* Quota exceeded for \
                 metric: {metric}, limit: {limit}\nPlease retry in {seconds}."
            );
            let mut page = page(429, "RESOURCE_EXHAUSTED", &message);
            page.1["error"]["details"] = json!([
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds},
            ]);
            page
        }
        Trouble::TooLarge { limit, requested, .. } => {
            let message = format!("Request too large: Limit {limit}, Requested {requested}.");
            page(429, "RESOURCE_EXHAUSTED", &message)
        }
        Trouble::Overloaded => page(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        Trouble::ServerError => page(500, "INTERNAL", "An internal error has occurred."),
        Trouble::Timeout => page(504, "DEADLINE_EXCEEDED", "The mock kept its client waiting, as it was told to"),
        Trouble::Context { input, window, .. } => invalid(&format!(
            "The input token count ({input}) exceeds the maximum number of tokens allowed ({window})."
        )),
        Trouble::MaxOutput { asked, most, .. } => invalid(&format!(
            "Unable to submit request because it has a maxOutputTokens value of {asked} but the supported range is \
             from 1 (inclusive) to {} (exclusive).",
            most.saturating_add(1)
        )),
        Trouble::Model(model) => {
            let message = format!("models/{model} is not found for API version v1beta.");
            page(404, "NOT_FOUND", &message)
        }
        Trouble::Quota => {
            let mut page = page(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.");
            let quota = "GenerateRequestsPerDayPerProjectPerModel";
            page.1["error"]["details"] = json!([{"violations": [{"quotaId": quota}]}, {"retryDelay": "36s"}]);
            page
        }
        Trouble::Key => {
            let mut page = invalid("API key not valid. Please pass a valid API key.");
            page.1["error"]["details"] = json!([{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}]);
            page
        }
        Trouble::BadRequest(message) => invalid(message),
    }
}

fn page(status: u16, name: &str, message: &str) -> (u16, Value) {
    (status, json!({"error": {"code": status, "message": message, "status": name}}))
}
