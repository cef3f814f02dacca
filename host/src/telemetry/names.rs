//! From the fields of the program's spans to attributes of OpenTelemetry's semantic conventions
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>, as of semconv 1.38), and names of our own below `sandmill.`. What is not named here is
//! not sent.

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;
use reqwest::Url;

/// Of the program's own spans.
pub(super) const JOB: &str = "job";
pub(super) const ITEM: &str = "item";
pub(super) const CALL: &str = "call";

/// Fields and what they are called outside; those of numbers second.
const TEXTS: [(&str, &str); 7] = [
    ("job", "sandmill.job.name"),
    ("item", "sandmill.item.id"),
    ("outcome", "sandmill.outcome"),
    ("route", "sandmill.route"),
    ("model", "gen_ai.request.model"),
    ("gen_ai.response.model", "gen_ai.response.model"),
    ("error.type", "error.type"),
];
const NUMBERS: [(&str, &str); 7] = [
    ("run", "sandmill.run"),
    ("attempt", "sandmill.item.attempt"),
    ("try", "sandmill.call.try"),
    ("status", "http.response.status_code"),
    ("cost_micro_dollars", "sandmill.call.cost_micro_dollars"),
    ("gen_ai.usage.input_tokens", "gen_ai.usage.input_tokens"),
    ("gen_ai.usage.output_tokens", "gen_ai.usage.output_tokens"),
];

/// What a field says, whatever type it came in.
pub(super) fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    attributes.iter().find(|it| it.key.as_str() == name).map(|it| it.value.as_str().into_owned())
}

/// A span as it is sent.
pub(super) fn outside(mut span: SpanData) -> SpanData {
    let inside = std::mem::take(&mut span.attributes);
    let mut attributes = Vec::with_capacity(inside.len() + 2);
    for KeyValue { key, value, .. } in inside {
        let of = |names: &[(&'static str, &'static str)]| {
            names.iter().find(|(name, _)| *name == key.as_str()).map(|(_, outside)| *outside)
        };
        if let Some(outside) = of(&TEXTS) {
            attributes.push(KeyValue::new(outside, Value::String(StringValue::from(value.as_str().into_owned()))));
        } else if let Some((outside, number)) = of(&NUMBERS).zip(value.as_str().parse::<i64>().ok()) {
            attributes.push(KeyValue::new(outside, number));
        } else {
            special(&mut attributes, &key, &value.as_str());
        }
    }
    if span.name == CALL {
        attributes.push(KeyValue::new("gen_ai.operation.name", "chat"));
        let model = text(&attributes, "gen_ai.request.model").unwrap_or_default();
        span.name = format!("chat {model}").into();
        span.span_kind = SpanKind::Client;
    }
    let error = text(&attributes, "error.type");
    let is_failed = text(&attributes, "sandmill.outcome").is_some_and(|outcome| outcome == "failed");
    if error.is_some() || is_failed {
        span.status = Status::error(error.unwrap_or_default());
    }
    span.attributes = attributes;
    span
}

fn special(attributes: &mut Vec<KeyValue>, key: &Key, value: &str) {
    match key.as_str() {
        "provider" => attributes.push(KeyValue::new("gen_ai.provider.name", provider(value))),
        "server" => attributes.extend(server(value)),
        "gen_ai.response.finish_reasons" => {
            let reasons = Value::Array(Array::String(vec![StringValue::from(value.to_owned())]));
            attributes.push(KeyValue::new("gen_ai.response.finish_reasons", reasons));
        }
        _ => {}
    }
}

/// The conventions' own names for those that they know.
pub(super) fn provider(name: &str) -> String {
    match name {
        "gemini" => "gcp.gemini".to_owned(),
        "azure" => "azure.ai.openai".to_owned(),
        other => other.to_owned(),
    }
}

/// Of a base URL.
pub(super) fn server(url: &str) -> Vec<KeyValue> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let address = url.host_str().map(|host| KeyValue::new("server.address", host.to_owned()));
    let port = url.port_or_known_default().map(|port| KeyValue::new("server.port", i64::from(port)));
    address.into_iter().chain(port).collect()
}
