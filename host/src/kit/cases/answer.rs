//! An answer as a case has it: a text, an object with what else belongs to an answer, or an error.

use super::spaced;
use crate::config::with_suggestion;
use crate::domain::{Completion, Cut, Digest, LlmError, LlmErrorKind, OtherPart, Pair, ToolCall, Usage};
use crate::resilience::Taped;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an answer says it was written by, where the case does not say.
const MODEL: &str = "test";

/// An object. Either `error`, or the others.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageForm>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCallForm>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    opaque: Vec<OpaqueForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<CutForm>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
    /// The end of the last text of the question, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<String>,
    /// The digest of the question that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorForm {
    kind: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UsageForm {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_read_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    reasoning_tokens: u64,
    #[serde(skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolCallForm {
    #[serde(default)]
    id: String,
    name: String,
    /// Text as the model wrote it, or the object itself.
    #[serde(default)]
    arguments: Value,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpaqueForm {
    kind: String,
    value: Value,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CutForm {
    how: String,
    tokens_before: u64,
    tokens_after: u64,
    #[serde(default)]
    messages_dropped: u32,
}

/// The names of the contract.
const KINDS: [(&str, LlmErrorKind); 7] = [
    ("transient", LlmErrorKind::Transient),
    ("too-large", LlmErrorKind::TooLarge),
    ("rejected", LlmErrorKind::Rejected),
    ("refused", LlmErrorKind::Refused),
    ("limit", LlmErrorKind::Limit),
    ("denied", LlmErrorKind::Denied),
    ("cancelled", LlmErrorKind::Cancelled),
];

/// The error is for a person.
pub(super) fn parse(text: &str) -> Result<Taped, String> {
    let form = match serde_json::from_str::<Value>(text).map_err(|error| error.to_string())? {
        Value::String(text) => Form { text: Some(text), ..Form::default() },
        object @ Value::Object(_) => {
            serde_json::from_value(object).map_err(|error| with_suggestion(error.to_string()))?
        }
        _ => return Err("it is neither a text nor an object".into()),
    };
    let request = match &form.request {
        None => None,
        Some(text) => Some(text.parse::<Digest>().map_err(|error| format!("`request`: {error}"))?.bytes()),
    };
    let asked = form.asked.clone();
    Ok(Taped { request, asked, end: end(form)? })
}

fn end(form: Form) -> Result<Result<Completion, LlmError>, String> {
    if let Some(error) = form.error {
        if form.text.is_some() || !form.tool_calls.is_empty() {
            return Err("it has an `error` beside an answer: leave one of them".into());
        }
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == error.kind) else {
            let known: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            return Err(format!("`error.kind` is `{}`, and there is {}", error.kind, known.join(", ")));
        };
        let (code, message) = (error.code, error.message);
        return Ok(Err(LlmError { kind: *kind, code, message, extra: pairs(error.extra) }));
    }
    if form.text.is_none() && form.tool_calls.is_empty() {
        return Err("it has neither `text` nor `tool_calls` nor `error`".into());
    }
    let finish = form.finish.unwrap_or_else(|| if form.tool_calls.is_empty() { "stop" } else { "tool-calls" }.into());
    let usage = form.usage.unwrap_or_default();
    Ok(Ok(Completion {
        text: form.text.unwrap_or_default(),
        tool_calls: form.tool_calls.into_iter().map(tool_call).collect(),
        finish,
        model: form.model.unwrap_or_else(|| MODEL.into()),
        usage: Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            extra: pairs(usage.extra),
        },
        opaque: form
            .opaque
            .into_iter()
            .map(|part| OtherPart { kind: part.kind, value: part.value.to_string() })
            .collect(),
        cut: form.cut.map(|cut| Cut {
            how: cut.how,
            tokens_before: cut.tokens_before,
            tokens_after: cut.tokens_after,
            messages_dropped: cut.messages_dropped,
        }),
        extra: pairs(form.extra),
    }))
}

fn tool_call(form: ToolCallForm) -> ToolCall {
    let arguments = match form.arguments {
        Value::String(text) => text,
        Value::Null => "{}".into(),
        other => other.to_string(),
    };
    ToolCall { id: form.id, name: form.name, arguments, extra: pairs(form.extra) }
}

fn pairs(map: Map<String, Value>) -> Vec<Pair> {
    map.into_iter().map(|(name, value)| Pair { name, value: value.to_string() }).collect()
}

/// As it is written into a case: with the question it answers, and nothing that is as it would be without.
pub(super) fn write(taped: &Taped) -> Result<String, serde_json::Error> {
    let mut form = match &taped.end {
        Ok(completion) => of_completion(completion),
        Err(error) => Form {
            error: Some(ErrorForm {
                kind: KINDS.iter().find(|(_, kind)| *kind == error.kind).map_or("", |(name, _)| name).into(),
                code: error.code.clone(),
                message: error.message.clone(),
                extra: map(&error.extra),
            }),
            ..Form::default()
        },
    };
    form.asked.clone_from(&taped.asked);
    form.request = taped.request.map(|digest| Digest::from_bytes(digest).to_string());
    spaced::to_string(&form)
}

fn of_completion(completion: &Completion) -> Form {
    let usual = if completion.tool_calls.is_empty() { "stop" } else { "tool-calls" };
    let Usage { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, extra } =
        completion.usage.clone();
    Form {
        text: (!completion.text.is_empty() || completion.tool_calls.is_empty()).then(|| completion.text.clone()),
        finish: (completion.finish != usual).then(|| completion.finish.clone()),
        model: (completion.model != MODEL).then(|| completion.model.clone()),
        usage: (completion.usage != Usage::default()).then(|| UsageForm {
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            reasoning_tokens,
            extra: map(&extra),
        }),
        tool_calls: completion
            .tool_calls
            .iter()
            .map(|call| ToolCallForm {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.as_str().into(),
                extra: map(&call.extra),
            })
            .collect(),
        opaque: completion
            .opaque
            .iter()
            .map(|part| OpaqueForm { kind: part.kind.clone(), value: value(&part.value) })
            .collect(),
        cut: completion.cut.as_ref().map(|cut| CutForm {
            how: cut.how.clone(),
            tokens_before: cut.tokens_before,
            tokens_after: cut.tokens_after,
            messages_dropped: cut.messages_dropped,
        }),
        extra: map(&completion.extra),
        ..Form::default()
    }
}

fn map(pairs: &[Pair]) -> Map<String, Value> {
    pairs.iter().map(|pair| (pair.name.clone(), value(&pair.value))).collect()
}

/// Valid JSON, by the domain's promise.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn says(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn a_text_is_a_plain_answer() {
        let taped = parse(r#""yes\n""#).unwrap();
        let answer = taped.end.unwrap();
        assert_eq!((answer.text.as_str(), answer.finish.as_str(), answer.model.as_str()), ("yes\n", "stop", "test"));
        assert_eq!((taped.request, taped.asked), (None, None));
    }

    #[test]
    fn arguments_of_a_tool_may_be_the_object_itself_and_end_the_answer_as_calls_of_tools_do() {
        let parsed =
            parse(r#"{"tool_calls": [{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": "{"}]}"#);
        let answer = parsed.unwrap().end.unwrap();
        let arguments: Vec<_> = answer.tool_calls.iter().map(|call| call.arguments.as_str()).collect();
        assert_eq!((arguments, answer.finish.as_str()), (vec![r#"{"a":1}"#, "{"], "tool-calls"));
    }

    #[test]
    fn an_error_has_a_kind_of_the_contract() {
        let error = parse(r#"{"error": {"kind": "too-large", "code": "c"}}"#).unwrap().end.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (LlmErrorKind::TooLarge, "c"));
        assert!(says(r#"{"error": {"kind": "nope"}}"#).contains("transient, too-large, rejected"));
    }

    #[test]
    fn what_is_no_answer_is_told_with_what_was_meant() {
        assert!(says("1").contains("neither a text nor an object"));
        assert!(says("{}").contains("neither `text`"));
        assert!(says(r#"{"txt": "a"}"#).contains("did you mean `text`?"));
        assert!(says(r#"{"text": "a", "error": {"kind": "denied"}}"#).contains("leave one of them"));
        assert!(says(r#"{"text": "a", "request": "sha256:12"}"#).contains("`request`: it is no digest"));
    }

    fn a_pair() -> impl Strategy<Value = Vec<Pair>> {
        prop::option::of("[a-z]{1,4}").prop_map(|name| {
            name.map(|name| Pair { name, value: r#"{"a":[1,null]}"#.into() }).into_iter().collect::<Vec<_>>()
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            text in ".{0,20}", finish in "stop|length|tool-calls", model in "test|m-1", tokens: u64, calls in 0..3_usize,
            pairs in a_pair(), request in prop::option::of(any::<[u8; 32]>()), is_error: bool, kind in 0..7_usize,
        ) {
            let call = ToolCall { id: "i".into(), name: "n".into(), arguments: text.clone(), extra: pairs.clone() };
            let completion = Completion {
                text: text.clone(),
                tool_calls: vec![call; calls],
                finish,
                model,
                usage: Usage { input_tokens: tokens, reasoning_tokens: tokens / 2, extra: pairs.clone(), ..Usage::default() },
                opaque: vec![OtherPart { kind: "k".into(), value: "[1]".into() }],
                cut: Some(Cut { how: "truncate".into(), tokens_before: 9, tokens_after: 3, messages_dropped: 1 }),
                extra: pairs.clone(),
            };
            let end = if is_error {
                Err(LlmError { kind: KINDS[kind].1, code: text.clone(), message: text.clone(), extra: pairs })
            } else {
                Ok(completion)
            };
            let taped = Taped { request, asked: Some(text), end };
            let written = write(&taped).unwrap();
            prop_assert!(!written.contains('\n'));
            prop_assert_eq!(parse(&written).unwrap(), taped);
        }
    }
}
