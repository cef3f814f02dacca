//! Names of fields that others may not set, in whatever spelling and at whatever depth they mean the same.

use super::Protocol;
use super::{anthropic, gemini, openai};
use crate::domain::Pair;
use serde_json::Value;

/// Fields that hold further fields of the body: Gemini's, and those that gateways unpack.
const HOLDERS: [&str; 4] = ["generationconfig", "extrabody", "google", "config"];

/// A field's name without what spellings differ in: `serviceTier` and `service_tier` are one.
pub fn spelling(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Where a field, or one inside it that means the same, is called one of `reserved` (in any spelling): its path.
pub fn find_reserved(pair: &Pair, reserved: &[&str]) -> Option<String> {
    let is_reserved = |name: &str| reserved.iter().any(|known| spelling(known) == spelling(name));
    if is_reserved(&pair.name) {
        return Some(pair.name.clone());
    }
    if !is_holder(&pair.name) {
        return None;
    }
    // What is no JSON is refused where the body is written.
    let value: Value = serde_json::from_str(&pair.value).ok()?;
    inside(&value, &is_reserved).map(|path| format!("{}.{path}", pair.name))
}

fn is_holder(name: &str) -> bool {
    HOLDERS.contains(&spelling(name).as_str())
}

fn inside(value: &Value, is_reserved: &impl Fn(&str) -> bool) -> Option<String> {
    value.as_object()?.iter().find_map(|(name, value)| match name {
        name if is_reserved(name) => Some(name.clone()),
        name if is_holder(name) => inside(value, is_reserved).map(|path| format!("{name}.{path}")),
        _ => None,
    })
}

/// The first of a route's parameters that the protocol leaves to the host.
pub fn reserved_parameter(protocol: &Protocol, parameters: &[Pair]) -> Option<String> {
    let reserved: &[&str] = match protocol {
        Protocol::OpenAi | Protocol::Azure { .. } => &openai::RESERVED,
        Protocol::Anthropic => &anthropic::RESERVED,
        Protocol::Gemini => &gemini::RESERVED,
    };
    parameters.iter().find_map(|pair| find_reserved(pair, reserved))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, expected: Option<&str>) {
        let pair = Pair { name: name.into(), value: value.into() };
        assert_eq!(find_reserved(&pair, &["service_tier", "candidateCount", "n"]).as_deref(), expected, "{name}");
    }

    #[test]
    fn a_reserved_name_is_found_in_every_spelling_and_wherever_it_means_the_same() {
        check("service_tier", "1", Some("service_tier"));
        check("serviceTier", "1", Some("serviceTier"));
        check("Service-Tier", "1", Some("Service-Tier"));
        check("generationConfig", r#"{"topK":1,"candidate_count":2}"#, Some("generationConfig.candidate_count"));
        check("extra_body", r#"{"google":{"N":2}}"#, Some("extra_body.google.N"));
        check("metadata", r#"{"n":2}"#, None);
        check("generationConfig", r#"{"responseSchema":{"n":{}}}"#, None);
        check("generationConfig", "no json", None);
    }

    #[test]
    fn each_protocol_leaves_its_own_fields_to_the_host() {
        let of = |protocol: &Protocol, name: &str| {
            reserved_parameter(protocol, &[Pair { name: name.into(), value: "{\"candidateCount\":2}".into() }])
        };
        assert_eq!(of(&Protocol::OpenAi, "n").as_deref(), Some("n"));
        assert_eq!(of(&Protocol::Anthropic, "System").as_deref(), Some("System"));
        assert_eq!(of(&Protocol::Gemini, "generationConfig").as_deref(), Some("generationConfig.candidateCount"));
        assert_eq!(of(&Protocol::Gemini, "serviceTier"), None, "the operator chooses the tier");
    }
}
