//! Between the WIT's types and the host's. What comes from a guest is checked here, once; behind this file it is trusted.

use super::attempt::Job;
use super::bindings::v0_1::exports::sandmill::plugin::handler as out;
use super::bindings::v0_1::sandmill::plugin::{llm as wl, types as wt};
use super::limits::Limits;
use super::manifest::{Manifest, ModelRole};
use super::sound;
use crate::domain::{
    AttemptNumber, Blob, Budget, Completion, Cut, Emission, Failure, FailureClass, Item, JsonSchema, LlmError,
    LlmErrorKind, Media, MediaSource, Message, OtherPart, Outcome, Pair, Part, Request, ResponseFormat, Retryable,
    Speaker, TokenCount, Tool, ToolCall, ToolChoice, ToolResult, Usage, Verdict, sanitize_line, sanitize_text,
};
use crate::schema;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of short texts that a plugin may hand over, in bytes: names and codes, messages, schemas and details.
const NAME_BYTES_MAX: usize = 200;
const MESSAGE_BYTES_MAX: usize = 4_000;
const JSON_BYTES_MAX: usize = 1 << 20;
const JSON_DEPTH_MAX: usize = 100;
/// Fields and roles that a manifest may name.
const NAMES_MAX: usize = 1_000;
/// A plugin's own wait before the next attempt is cut at this.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// What is wrong with what a plugin returned.
#[derive(Debug)]
pub(super) enum OutputProblem {
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

pub(super) fn item_to_wit(item: &Item) -> wt::Item {
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
            })
            .collect(),
        extra: Vec::new(),
    }
}

pub(super) fn context_to_wit(job: &Job, attempt: AttemptNumber, budget: Budget) -> wt::Context {
    wt::Context {
        job: job.name.clone(),
        attempt: attempt.0,
        config: job.config.clone(),
        budget: wt::Budget { calls: budget.calls, tokens: budget.tokens, micro_dollars: budget.micro_dollars },
        extra: Vec::new(),
    }
}

pub(super) fn verdict_from_wit(
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
pub(super) fn outcome_bytes(result: &Result<out::Outcome, out::Failure>) -> usize {
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
    let depth = json_depth(&text);
    if depth > limits.output_depth {
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
    Ok(match (trimmed.contains(['\n', '\r']), trimmed.len() == text.len()) {
        (true, _) => trimmed.replace(['\n', '\r'], " "),
        (false, true) => text,
        (false, false) => trimmed.to_owned(),
    })
}

/// How deep arrays and objects nest. Counted before parsing, since parsers recurse.
fn json_depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn check_json(text: &str, what: &str) -> Result<(), String> {
    if text.len() > JSON_BYTES_MAX {
        return Err(format!("{what} is larger than {JSON_BYTES_MAX} bytes"));
    }
    if json_depth(text) > JSON_DEPTH_MAX {
        return Err(format!("{what} is nested more than {JSON_DEPTH_MAX} levels deep"));
    }
    sound::check(text).map_err(|error| format!("{what} is not JSON: {error}"))
}

fn pairs_from_wit(pairs: Vec<wt::Pair>) -> Result<Vec<Pair>, String> {
    pairs
        .into_iter()
        .map(|pair| {
            let shown = sanitize_line(&pair.name, 60);
            if !is_name(&pair.name) {
                return Err(format!(
                    "the property `{shown}` is no name: it has more than {NAME_BYTES_MAX} bytes, or control characters"
                ));
            }
            check_json(&pair.value, &format!("the property `{shown}`"))?;
            Ok(Pair { name: pair.name, value: pair.value })
        })
        .collect()
}

/// Can be shown as it is.
fn is_name(text: &str) -> bool {
    sanitize_line(text, NAME_BYTES_MAX) == text
}

pub(super) fn pairs_to_wit(pairs: Vec<Pair>) -> Vec<wt::Pair> {
    pairs.into_iter().map(|pair| wt::Pair { name: pair.name, value: pair.value }).collect()
}

pub(super) fn manifest_from_wit(manifest: out::Manifest) -> Result<Manifest, String> {
    for (text, what) in [(&manifest.config_schema, "config-schema"), (&manifest.output_schema, "output-schema")] {
        if let Some(text) = text {
            schema::check_bounds(text).map_err(|why| format!("{what} is no JSON Schema that can be used: {why}"))?;
        }
    }
    let many = [(manifest.required_fields.len(), "required fields"), (manifest.model_roles.len(), "model roles")];
    if let Some((count, what)) = many.into_iter().find(|(count, _)| *count > NAMES_MAX) {
        return Err(format!("the manifest has {count} {what}, and {NAMES_MAX} are allowed"));
    }
    if let Some(field) = manifest.required_fields.iter().find(|field| !is_name(field)) {
        let shown = sanitize_line(field, 60);
        return Err(format!(
            "the required field `{shown}` is no name: it has more than {NAME_BYTES_MAX} bytes, or control characters"
        ));
    }
    let name = sanitize_line(&manifest.name, NAME_BYTES_MAX);
    if name.trim().is_empty() {
        return Err("the manifest has no name".into());
    }
    Ok(Manifest {
        name,
        version: sanitize_line(&manifest.version, NAME_BYTES_MAX),
        description: sanitize_text(&manifest.description, MESSAGE_BYTES_MAX),
        config_schema: manifest.config_schema,
        output_schema: manifest.output_schema,
        required_fields: manifest.required_fields,
        model_roles: manifest
            .model_roles
            .into_iter()
            .map(|role| ModelRole {
                name: sanitize_line(&role.name, NAME_BYTES_MAX),
                description: sanitize_text(&role.description, MESSAGE_BYTES_MAX),
                optional: role.optional,
            })
            .collect(),
    })
}

/// The error is for the plugin: its request is wrong.
pub(super) fn request_from_wit(request: wl::Request, blobs: &[Blob]) -> Result<Request, LlmError> {
    convert_request(request, blobs).map_err(|message| LlmError {
        kind: LlmErrorKind::Rejected,
        code: "bad_request".into(),
        message,
        extra: Vec::new(),
    })
}

fn convert_request(request: wl::Request, blobs: &[Blob]) -> Result<Request, String> {
    for (value, name) in [(request.temperature, "temperature"), (request.top_p, "top-p")] {
        if value.is_some_and(|value| !value.is_finite()) {
            return Err(format!("{name} is not a finite number"));
        }
    }
    if let Some(policy) = &request.on_overflow
        && !matches!(policy.as_str(), "truncate" | "truncate-middle" | "error")
    {
        return Err(format!(
            "on-overflow `{}` is not known: truncate, truncate-middle or error",
            sanitize_line(policy, NAME_BYTES_MAX)
        ));
    }
    if request.messages.is_empty() {
        return Err("the request has no messages".into());
    }
    Ok(Request {
        role: request.role,
        messages: request
            .messages
            .into_iter()
            .map(|message| message_from_wit(message, blobs))
            .collect::<Result<_, _>>()?,
        tools: request.tools.into_iter().map(tool_from_wit).collect::<Result<_, _>>()?,
        tool_choice: request.tool_choice.map(|choice| match choice {
            wl::ToolChoice::Auto => ToolChoice::Auto,
            wl::ToolChoice::None => ToolChoice::None,
            wl::ToolChoice::Required => ToolChoice::Required,
            wl::ToolChoice::Named(name) => ToolChoice::Named(name),
        }),
        format: match request.format {
            wl::ResponseFormat::Text => ResponseFormat::Text,
            wl::ResponseFormat::Json => ResponseFormat::Json,
            wl::ResponseFormat::JsonSchema(schema) => {
                schema::check_bounds(&schema.schema)
                    .map_err(|why| format!("the response's schema cannot be used: {why}"))?;
                ResponseFormat::JsonSchema(JsonSchema {
                    name: schema.name,
                    schema: schema.schema,
                    strict: schema.strict,
                })
            }
        },
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: request.stop,
        seed: request.seed,
        on_overflow: request.on_overflow,
        extra: pairs_from_wit(request.extra)?,
    })
}

fn message_from_wit(message: wl::Message, blobs: &[Blob]) -> Result<Message, String> {
    Ok(Message {
        speaker: match message.speaker {
            wl::Speaker::System => Speaker::System,
            wl::Speaker::User => Speaker::User,
            wl::Speaker::Assistant => Speaker::Assistant,
            wl::Speaker::Tool => Speaker::Tool,
        },
        parts: message.parts.into_iter().map(|part| part_from_wit(part, blobs)).collect::<Result<_, _>>()?,
        cache: message.cache,
        extra: pairs_from_wit(message.extra)?,
    })
}

fn part_from_wit(part: wl::Part, blobs: &[Blob]) -> Result<Part, String> {
    Ok(match part {
        wl::Part::Text(text) => Part::Text(text),
        wl::Part::Media(media) => Part::Media(media_from_wit(media, blobs)?),
        wl::Part::ToolCall(call) => Part::ToolCall(ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
            extra: pairs_from_wit(call.extra)?,
        }),
        wl::Part::ToolResult(result) => Part::ToolResult(ToolResult {
            call_id: result.call_id,
            name: result.name,
            content: result.content,
            is_error: result.is_error,
            media: result.media.into_iter().map(|media| media_from_wit(media, blobs)).collect::<Result<_, _>>()?,
        }),
        wl::Part::Other(other) => {
            check_json(&other.value, "a part's value")?;
            Part::Other(OtherPart { kind: other.kind, value: other.value })
        }
    })
}

fn media_from_wit(media: wl::Media, blobs: &[Blob]) -> Result<Media, String> {
    Ok(Media {
        mime_type: media.mime_type,
        source: match media.source {
            wl::MediaSource::Url(url) => MediaSource::Url(url),
            wl::MediaSource::Bytes(bytes) => MediaSource::Bytes(bytes.into()),
            wl::MediaSource::Blob(name) => MediaSource::Bytes(Arc::clone(&find_blob(blobs, &name)?.bytes)),
        },
        extra: pairs_from_wit(media.extra)?,
    })
}

pub(super) fn find_blob<'a>(blobs: &'a [Blob], name: &str) -> Result<&'a Blob, String> {
    blobs.iter().find(|blob| blob.name == name).ok_or_else(|| {
        let known: Vec<&str> = blobs.iter().map(|blob| blob.name.as_str()).collect();
        format!(
            "the item has no blob `{}`; it has: [{}]",
            sanitize_line(name, NAME_BYTES_MAX),
            sanitize_line(&known.join(", "), MESSAGE_BYTES_MAX)
        )
    })
}

fn tool_from_wit(tool: wl::Tool) -> Result<Tool, String> {
    check_json(&tool.parameters, &format!("the parameters of tool `{}`", sanitize_line(&tool.name, 60)))?;
    Ok(Tool {
        name: tool.name,
        description: tool.description,
        parameters: tool.parameters,
        extra: pairs_from_wit(tool.extra)?,
    })
}

pub(super) fn completion_to_wit(completion: Completion) -> wl::Response {
    wl::Response {
        text: completion.text,
        tool_calls: completion
            .tool_calls
            .into_iter()
            .map(|call| wl::ToolCall {
                id: call.id,
                name: call.name,
                arguments: call.arguments,
                extra: pairs_to_wit(call.extra),
            })
            .collect(),
        finish: completion.finish,
        model: completion.model,
        usage: usage_to_wit(completion.usage),
        opaque: completion
            .opaque
            .into_iter()
            .map(|part| wl::OtherPart { kind: part.kind, value: part.value })
            .collect(),
        cut: completion.cut.map(cut_to_wit),
        extra: pairs_to_wit(completion.extra),
    }
}

fn usage_to_wit(usage: Usage) -> wl::Usage {
    wl::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        extra: pairs_to_wit(usage.extra),
    }
}

fn cut_to_wit(cut: Cut) -> wl::Cut {
    wl::Cut {
        how: cut.how,
        tokens_before: cut.tokens_before,
        tokens_after: cut.tokens_after,
        messages_dropped: cut.messages_dropped,
    }
}

pub(super) fn error_to_wit(error: LlmError) -> wl::Error {
    wl::Error {
        kind: match error.kind {
            LlmErrorKind::Transient => wl::ErrorKind::Transient,
            LlmErrorKind::TooLarge => wl::ErrorKind::TooLarge,
            LlmErrorKind::Rejected => wl::ErrorKind::Rejected,
            LlmErrorKind::Refused => wl::ErrorKind::Refused,
            LlmErrorKind::Limit => wl::ErrorKind::Limit,
            LlmErrorKind::Denied => wl::ErrorKind::Denied,
            LlmErrorKind::Cancelled => wl::ErrorKind::Cancelled,
        },
        code: error.code,
        message: error.message,
        extra: pairs_to_wit(error.extra),
    }
}

pub(super) fn token_count_to_wit(count: TokenCount) -> wl::TokenCount {
    wl::TokenCount { tokens: count.tokens, window: count.window, exact: count.exact }
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
