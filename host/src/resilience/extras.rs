//! What of a request is the provider's own: fields and parts that a plugin adds, and that the host passes on as they are.
//!
//! Each needs the operator's leave on the route that the call really goes to (`extra_allow`), wherever in the request it stands, but
//! for what an answer brought: that goes back as it came. What the host decides, and what costs extra, has no leave at all.

use super::route::Route;
use crate::domain::{Completion, Media, Message, OtherPart, Pair, Part, Request, ResponseFormat, Tool};
use crate::provider::{find_reserved, spelling};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Fields of the body that no plugin sets by itself, whatever a route allows.
const RESERVED: [&str; 31] = [
    "background",
    "best_of",
    "candidate_count",
    "container",
    "contents",
    "inference_geo",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "mcp_servers",
    "messages",
    "model",
    "models",
    "n",
    "plugins",
    "priority",
    "provider",
    "route",
    "service_tier",
    "speed",
    "store",
    "stream",
    "stream_options",
    "system",
    "system_instruction",
    "tool_choice",
    "tool_config",
    "tools",
    "transforms",
    "user",
    "web_search_options",
];

/// What answers of an attempt brought that a plugin sends back: signed thoughts, signatures of tool calls.
#[derive(Default)]
pub(super) struct Brought(HashSet<[u8; 32]>);

/// What a request needs leave for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extras(Vec<String>);

/// A field that no route lets through.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reserved(pub(super) String);

impl Brought {
    pub(super) fn take(&mut self, answer: &Completion) {
        let of_calls = answer.tool_calls.iter().flat_map(|call| &call.extra);
        let pairs = answer.extra.iter().chain(of_calls).map(|pair| (&pair.name, &pair.value));
        let parts = answer.opaque.iter().map(|part| (&part.kind, &part.value));
        self.0.extend(pairs.chain(parts).map(|(name, value)| digest(name, value)));
    }

    fn has(&self, name: &str, value: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&digest(name, value))
    }
}

/// JSON counts by its meaning: a plugin may have read and written it again.
fn digest(name: &str, value: &str) -> [u8; 32] {
    let canonical = serde_json::from_str::<Value>(value).ok().and_then(|value| {
        // A `Value` always serialises; its numbers are finite.
        serde_json_canonicalizer::to_vec(&value).ok()
    });
    let mut hasher = Sha256::new();
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name);
    hasher.update(canonical.as_deref().unwrap_or(value.as_bytes()));
    hasher.finalize().into()
}

impl Extras {
    pub(super) fn of(request: &Request, brought: &Brought) -> Result<Self, Reserved> {
        let of_schema = match &request.format {
            ResponseFormat::JsonSchema(schema) => schema.extra.as_slice(),
            ResponseFormat::Text | ResponseFormat::Json => &[],
        };
        // Where a wire has no object for the schema, its fields stand among the request's own.
        let own = || request.extra.iter().chain(of_schema);
        if let Some(path) = own().find_map(|pair| find_reserved(pair, &RESERVED)) {
            return Err(Reserved(path));
        }
        let mut extras = Self(own().map(|pair| pair.name.clone()).collect());
        for message in &request.messages {
            extras.add_message(message, brought);
        }
        for tool in &request.tools {
            extras.add_tool(tool)?;
        }
        Ok(extras)
    }

    fn add_message(&mut self, message: &Message, brought: &Brought) {
        self.add(&message.extra, brought);
        for part in &message.parts {
            match part {
                Part::Text(_) => {}
                Part::Media(media) => self.add_media(media),
                Part::ToolCall(call) => self.add(&call.extra, brought),
                Part::ToolResult(result) => {
                    self.add(&result.extra, brought);
                    result.media.iter().for_each(|media| self.add_media(media));
                }
                Part::Other(part) if brought.has(&part.kind, &part.value) => {}
                Part::Other(part) => self.0.extend(kinds(part)),
            }
        }
    }

    fn add(&mut self, pairs: &[Pair], brought: &Brought) {
        let own = pairs.iter().filter(|pair| !brought.has(&pair.name, &pair.value));
        self.0.extend(own.map(|pair| pair.name.clone()));
    }

    fn add_media(&mut self, media: &Media) {
        self.0.extend(media.extra.iter().map(|pair| pair.name.clone()));
    }

    /// A tool's type makes it one that the provider runs, and is paid for.
    fn add_tool(&mut self, tool: &Tool) -> Result<(), Reserved> {
        for pair in &tool.extra {
            if spelling(&pair.name) == "type" {
                return Err(Reserved(format!("tools.{}", pair.name)));
            }
            self.0.push(pair.name.clone());
        }
        Ok(())
    }

    /// The first that a route gives no leave for.
    pub(super) fn refused_by(&self, route: &Route) -> Option<&str> {
        let is_allowed = |name: &&String| route.extra_allow.contains(*name);
        self.0.iter().find(|name| !is_allowed(name)).map(String::as_str)
    }
}

/// What a part really is on the wire: its type, or the fields that it consists of. What the plugin calls it is sent to nobody.
fn kinds(part: &OtherPart) -> Vec<String> {
    match serde_json::from_str(&part.value) {
        Ok(Value::Object(fields)) if !fields.is_empty() => match fields.get("type") {
            Some(Value::String(kind)) => vec![kind.clone()],
            Some(_) | None => fields.keys().cloned().collect(),
        },
        Ok(_) | Err(_) => vec![part.kind.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::tests::request;
    use super::*;
    use crate::domain::{JsonSchema, MediaSource, Speaker, ToolCall, ToolResult};

    fn pair(name: &str, value: &str) -> Pair {
        Pair { name: name.into(), value: value.into() }
    }

    fn with_part(part: Part) -> Request {
        let mut request = request("a");
        request.messages[0].parts.push(part);
        request
    }

    fn with_schema(extra: Pair) -> Request {
        let schema = JsonSchema { name: "n".into(), schema: "{}".into(), strict: true, extra: vec![extra] };
        Request { format: ResponseFormat::JsonSchema(schema), ..request("a") }
    }

    fn check(request: &Request, expected: &[&str]) {
        let extras = Extras::of(request, &Brought::default()).unwrap();
        assert_eq!(extras.0, expected);
    }

    #[test]
    fn what_a_plugin_adds_is_found_wherever_it_stands() {
        check(&request("a"), &[]);
        check(&Request { extra: vec![pair("top_k", "3")], ..request("a") }, &["top_k"]);
        let mut named = request("a");
        named.messages[0].extra.push(pair("name", "\"x\""));
        check(&named, &["name"]);
        let source = MediaSource::Url("https://example.org/x.png".into());
        let media = Media { mime_type: "image/png".into(), source, extra: vec![pair("detail", "\"high\"")] };
        check(&with_part(Part::Media(media.clone())), &["detail"]);
        let result = ToolResult {
            call_id: "1".into(),
            name: "t".into(),
            content: String::new(),
            is_error: false,
            media: vec![media],
            extra: vec![pair("cache_control", "{}")],
        };
        check(&with_part(Part::ToolResult(result)), &["cache_control", "detail"]);
        let call = ToolCall {
            id: "1".into(),
            name: "t".into(),
            arguments: "{}".into(),
            extra: vec![pair("extra_content", "{}")],
        };
        check(&with_part(Part::ToolCall(call)), &["extra_content"]);
        let tool = Tool {
            name: "t".into(),
            description: String::new(),
            parameters: "{}".into(),
            extra: vec![pair("strict", "true")],
        };
        check(&Request { tools: vec![tool], ..request("a") }, &["strict"]);
        let other = |kind: &str, value: &str| Part::Other(OtherPart { kind: kind.into(), value: value.into() });
        check(&with_part(other("thinking", r#"{"type":"document"}"#)), &["document"]);
        check(&with_part(other("x", r#"{"executableCode":{}}"#)), &["executableCode"]);
        check(&with_part(other("x", "[]")), &["x"]);
        check(&with_schema(pair("description", "\"x\"")), &["description"]);
    }

    #[test]
    fn what_an_answer_brought_goes_back_as_it_came_and_nothing_else_does() {
        let thought = |value: &str| OtherPart { kind: "thinking".into(), value: value.into() };
        let mut brought = Brought::default();
        brought.take(&Completion {
            opaque: vec![thought(r#"{"type":"thinking","signature":"s"}"#)],
            extra: vec![pair("reasoning_details", "[1]")],
            ..Completion::default()
        });
        let with = |value: &str| Extras::of(&with_part(Part::Other(thought(value))), &brought).unwrap();
        assert_eq!(with(r#"{"signature": "s", "type": "thinking"}"#), Extras::default());
        assert_eq!(with(r#"{"type":"thinking","signature":"t"}"#).0, ["thinking"]);
        let mut answered = request("a");
        answered.messages[0].speaker = Speaker::Assistant;
        answered.messages[0].extra = vec![pair("reasoning_details", "[ 1 ]"), pair("reasoning_details", "[2]")];
        assert_eq!(Extras::of(&answered, &brought).unwrap().0, ["reasoning_details"]);
    }

    #[test]
    fn what_the_host_decides_and_what_costs_extra_never_passes() {
        for (name, value, path) in [
            ("serviceTier", "\"priority\"", "serviceTier"),
            ("Max_Completion_Tokens", "9", "Max_Completion_Tokens"),
            ("generationConfig", r#"{"candidateCount":4}"#, "generationConfig.candidateCount"),
            ("extra_body", r#"{"tools":[]}"#, "extra_body.tools"),
        ] {
            for request in [Request { extra: vec![pair(name, value)], ..request("a") }, with_schema(pair(name, value))]
            {
                assert_eq!(Extras::of(&request, &Brought::default()), Err(Reserved(path.into())));
            }
        }
        let tool = Tool {
            name: "t".into(),
            description: String::new(),
            parameters: "{}".into(),
            extra: vec![pair("type", "\"web_search_20250305\"")],
        };
        let request = Request { tools: vec![tool], ..request("a") };
        assert_eq!(Extras::of(&request, &Brought::default()), Err(Reserved("tools.type".into())));
    }
}
