//! How answers, emissions and contexts are stored: JSON with a version, apart from the domain's types, so that a name can change there
//! without a byte changing here.

use super::StoreError;
use crate::domain::{Budget, Completion, Cut, Emission, OtherPart, Pair, Prices, Rates, TierRates, ToolCall, Usage};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// About what stands around an emission, in bytes.
const EMISSION_BYTES: usize = 40;

#[derive(Serialize, Deserialize)]
struct StoredPair(String, String);

#[derive(Serialize, Deserialize)]
struct StoredCompletion {
    v: u32,
    text: String,
    finish: String,
    model: String,
    usage: StoredUsage,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<StoredToolCall>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    opaque: Vec<StoredPair>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<StoredCut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extra: Vec<StoredPair>,
}

#[derive(Serialize, Deserialize)]
struct StoredUsage {
    input: u64,
    output: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_read: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    reasoning: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extra: Vec<StoredPair>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
struct StoredToolCall {
    id: String,
    name: String,
    arguments: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extra: Vec<StoredPair>,
}

#[derive(Serialize, Deserialize)]
struct StoredCut {
    how: String,
    before: u64,
    after: u64,
    dropped: u32,
}

#[derive(Deserialize)]
struct StoredEmissions {
    v: u32,
    e: Vec<StoredEmission>,
}

#[derive(Deserialize)]
struct StoredEmission {
    value: Box<serde_json::value::RawValue>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    extra: Vec<StoredPair>,
}

#[derive(Serialize, Deserialize)]
struct StoredContext {
    v: u32,
    budget: StoredBudget,
}

#[derive(Serialize, Deserialize)]
struct StoredBudget {
    calls: Option<u64>,
    tokens: Option<u64>,
    micro_dollars: Option<u64>,
}

fn store_pairs(pairs: &[Pair]) -> Vec<StoredPair> {
    pairs.iter().map(|pair| StoredPair(pair.name.clone(), pair.value.clone())).collect()
}

fn load_pairs(pairs: Vec<StoredPair>) -> Vec<Pair> {
    pairs.into_iter().map(|StoredPair(name, value)| Pair { name, value }).collect()
}

fn format_error(what: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Format(format!("{what}: {error}"))
}

fn check_version(what: &str, version: u32) -> Result<(), StoreError> {
    if version == VERSION { Ok(()) } else { Err(StoreError::Format(format!("{what} of version {version}"))) }
}

pub(super) fn encode_completion(completion: &Completion) -> Result<String, StoreError> {
    let usage = &completion.usage;
    let stored = StoredCompletion {
        v: VERSION,
        text: completion.text.clone(),
        finish: completion.finish.clone(),
        model: completion.model.clone(),
        usage: StoredUsage {
            input: usage.input_tokens,
            output: usage.output_tokens,
            cache_read: usage.cache_read_tokens,
            cache_write: usage.cache_write_tokens,
            reasoning: usage.reasoning_tokens,
            extra: store_pairs(&usage.extra),
        },
        tool_calls: completion
            .tool_calls
            .iter()
            .map(|call| StoredToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                extra: store_pairs(&call.extra),
            })
            .collect(),
        opaque: completion.opaque.iter().map(|part| StoredPair(part.kind.clone(), part.value.clone())).collect(),
        cut: completion.cut.as_ref().map(|cut| StoredCut {
            how: cut.how.clone(),
            before: cut.tokens_before,
            after: cut.tokens_after,
            dropped: cut.messages_dropped,
        }),
        extra: store_pairs(&completion.extra),
    };
    serde_json::to_string(&stored).map_err(|error| format_error("an answer", &error))
}

pub(super) fn decode_completion(text: &str) -> Result<Completion, StoreError> {
    let stored: StoredCompletion = serde_json::from_str(text).map_err(|error| format_error("an answer", &error))?;
    check_version("an answer", stored.v)?;
    Ok(Completion {
        text: stored.text,
        tool_calls: stored
            .tool_calls
            .into_iter()
            .map(|call| ToolCall {
                id: call.id,
                name: call.name,
                arguments: call.arguments,
                extra: load_pairs(call.extra),
            })
            .collect(),
        finish: stored.finish,
        model: stored.model,
        usage: Usage {
            input_tokens: stored.usage.input,
            output_tokens: stored.usage.output,
            cache_read_tokens: stored.usage.cache_read,
            cache_write_tokens: stored.usage.cache_write,
            reasoning_tokens: stored.usage.reasoning,
            extra: load_pairs(stored.usage.extra),
        },
        opaque: stored.opaque.into_iter().map(|StoredPair(kind, value)| OtherPart { kind, value }).collect(),
        cut: stored.cut.map(|cut| Cut {
            how: cut.how,
            tokens_before: cut.before,
            tokens_after: cut.after,
            messages_dropped: cut.dropped,
        }),
        extra: load_pairs(stored.extra),
    })
}

/// What [`StoredEmissions`] reads. The values are JSON already (the sandbox has seen to it), and are put in as they are: parsing them here would
/// be the third time.
pub(super) fn encode_emissions(emissions: &[Emission]) -> Result<String, StoreError> {
    let encoded = |error| format_error("an output", &error);
    let bytes: usize = emissions.iter().map(|emission| emission.value.len() + EMISSION_BYTES).sum();
    let mut text = String::with_capacity(bytes + EMISSION_BYTES);
    for part in [r#"{"v":"#, &VERSION.to_string(), r#","e":["#] {
        text.push_str(part);
    }
    for (index, emission) in emissions.iter().enumerate() {
        text.push_str(if index == 0 { r#"{"value":"# } else { r#",{"value":"# });
        text.push_str(&emission.value);
        if let Some(name) = &emission.name {
            text.push_str(r#","name":"#);
            text.push_str(&serde_json::to_string(name).map_err(encoded)?);
        }
        if !emission.extra.is_empty() {
            text.push_str(r#","extra":"#);
            text.push_str(&serde_json::to_string(&store_pairs(&emission.extra)).map_err(encoded)?);
        }
        text.push('}');
    }
    text.push_str("]}");
    Ok(text)
}

pub(super) fn decode_emissions(text: &str) -> Result<Vec<Emission>, StoreError> {
    let stored: StoredEmissions = serde_json::from_str(text).map_err(|error| format_error("an output", &error))?;
    check_version("an output", stored.v)?;
    Ok(stored
        .e
        .into_iter()
        .map(|emission| Emission {
            value: emission.value.get().to_owned(),
            name: emission.name,
            extra: load_pairs(emission.extra),
        })
        .collect())
}

/// What an attempt's `context` column holds.
pub fn context_of_budget(budget: Budget) -> String {
    let Budget { calls, tokens, micro_dollars } = budget;
    let stored = StoredContext { v: VERSION, budget: StoredBudget { calls, tokens, micro_dollars } };
    serde_json::to_string(&stored).unwrap_or_default()
}

/// The budget that was handed over; `None` if a later version wrote it otherwise.
pub fn budget_from_context(context: &str) -> Option<Budget> {
    let stored: StoredContext = serde_json::from_str(context).ok()?;
    let StoredBudget { calls, tokens, micro_dollars } = stored.budget;
    (stored.v == VERSION).then_some(Budget { calls, tokens, micro_dollars })
}

/// Millionths of a dollar for a million tokens.
pub(super) fn encode_prices(prices: &Prices) -> String {
    let rates = |rates: &Rates| {
        serde_json::json!({
            "input": rates.input,
            "output": rates.output,
            "cache_read": rates.cache_read,
            "cache_write": rates.cache_write,
            "reasoning": rates.reasoning,
        })
    };
    let mut value = rates(&prices.rates);
    if let Some((above, long)) = &prices.long {
        value["long"] = serde_json::json!({"above_tokens": above, "rates": rates(long)});
    }
    let TierRates { standard, flex, priority, batch } = &prices.tiers;
    for (name, tier) in [("standard", standard), ("flex", flex), ("priority", priority), ("batch", batch)] {
        if let Some(tier) = tier {
            value[name] = rates(tier);
        }
    }
    value.to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::store) fn completion(text: &str) -> Completion {
        Completion {
            text: text.into(),
            tool_calls: Vec::new(),
            finish: "stop".into(),
            model: "m".into(),
            usage: Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() },
            opaque: Vec::new(),
            cut: None,
            extra: Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn an_answer_comes_back_as_it_was(text: String, finish: String, tokens: u64, name: String, dropped: u32) {
            let pair = Pair { name: name.clone(), value: "1".into() };
            let full = Completion {
                finish,
                usage: Usage { reasoning_tokens: tokens, extra: vec![pair.clone()], ..Usage::default() },
                tool_calls: vec![ToolCall { id: name.clone(), name: text.clone(), arguments: text.clone(), extra: vec![pair.clone()] }],
                opaque: vec![OtherPart { kind: name.clone(), value: "{}".into() }],
                cut: Some(Cut { how: name, tokens_before: tokens, tokens_after: 1, messages_dropped: dropped }),
                extra: vec![pair],
                ..completion(&text)
            };
            prop_assert_eq!(decode_completion(&encode_completion(&full).unwrap()).unwrap(), full);
        }

        #[test]
        fn emissions_come_back_as_they_were(name in proptest::option::of(".*"), number: f64) {
            let value = format!("{{\"n\": {}}}", serde_json::to_string(&number).unwrap());
            let emissions = vec![Emission { value, name, extra: Vec::new() }];
            prop_assert_eq!(decode_emissions(&encode_emissions(&emissions).unwrap()).unwrap(), emissions);
        }
    }

    #[test]
    fn a_later_form_is_refused_and_not_guessed_at() {
        assert!(matches!(decode_emissions(r#"{"v":2,"e":[]}"#), Err(StoreError::Format(_))));
    }

    #[test]
    fn a_budget_comes_back_from_a_context() {
        let budget = Budget { calls: Some(7), tokens: None, micro_dollars: Some(1) };
        assert_eq!(budget_from_context(&context_of_budget(budget)), Some(budget));
    }
}
