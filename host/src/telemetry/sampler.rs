//! Which items are traced: by their ids, so that all attempts at one are, or none, in every run. What lies within an item follows it.

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use sha2::{Digest, Sha256};

#[derive(Debug, Clone)]
pub(super) struct ByItem {
    /// Of items, from 0 to 1.
    pub(super) share: f64,
}

impl ByItem {
    fn takes(&self, id: &str) -> bool {
        let digest = Sha256::digest(id.as_bytes());
        let first = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        f64::from(first) < self.share * (f64::from(u32::MAX) + 1.0)
    }
}

impl ShouldSample for ByItem {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _trace: TraceId,
        name: &str,
        _kind: &SpanKind,
        attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let above = parent.map(|context| context.span().span_context().clone()).filter(SpanContext::is_valid);
        let is_left_out = match &above {
            Some(above) if !above.is_sampled() => true,
            Some(_) | None if name == "item" => {
                let id = attributes.iter().find(|it| it.key.as_str() == "item").map(|it| it.value.as_str());
                id.is_some_and(|id| !self.takes(&id))
            }
            Some(_) | None => false,
        };
        let decision = if is_left_out { SamplingDecision::Drop } else { SamplingDecision::RecordAndSample };
        let trace_state = above.map_or_else(TraceState::default, |above| above.trace_state().clone());
        SamplingResult { decision, attributes: Vec::new(), trace_state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(share: f64, name: &str, id: &str) -> bool {
        let attributes = [KeyValue::new("item", id.to_owned())];
        let sampler = ByItem { share };
        let result = sampler.should_sample(None, TraceId::INVALID, name, &SpanKind::Internal, &attributes, &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn a_share_of_the_items_is_taken_and_always_the_same_ones() {
        let taken_of = |share: f64| (0..1_000).filter(|n| taken(share, "item", &format!("i{n}"))).count();
        assert_eq!((taken_of(0.0), taken_of(1.0)), (0, 1_000));
        assert!((150..250).contains(&taken_of(0.2)), "{}", taken_of(0.2));
        assert_eq!(taken(0.5, "item", "i7"), taken(0.5, "item", "i7"));
        assert!(taken(0.0, "job", "x"), "the job is always there");
    }
}
