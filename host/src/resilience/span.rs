//! One HTTP attempt as a span, for whoever listens: the log, traces. Where nobody does, nothing is put together.
//!
//! The names of what models say are OpenTelemetry's, <https://opentelemetry.io/docs/specs/semconv/gen-ai/>. Nothing of what was asked or
//! answered is in it.

use super::Route;
use super::ledger::{Exchanged, NoAnswer};
use tracing::field::Empty;
use tracing::{Span, info_span};

/// Within the span of the item that asks. `try_number`: of the question, from 1.
pub(super) fn of_call(route: &Route, try_number: u32) -> Span {
    info_span!(
        target: "sandmill",
        "call",
        route = %route.name,
        model = %route.model,
        provider = %described(route).0,
        server = described(route).1,
        "try" = try_number,
        status = Empty,
        cost_micro_dollars = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        "error.type" = Empty,
    )
}

/// How it ended.
pub(super) fn ended(span: &Span, exchanged: &Exchanged, is_priced: bool) {
    if span.is_disabled() {
        return;
    }
    if is_priced {
        span.record("cost_micro_dollars", exchanged.used.micro_dollars);
    }
    match &exchanged.result {
        Ok(answer) => {
            let completion = &answer.completion;
            span.record("gen_ai.response.model", completion.model.as_str());
            span.record("gen_ai.response.finish_reasons", completion.finish.as_str());
            span.record("gen_ai.usage.input_tokens", completion.usage.input_tokens);
            span.record("gen_ai.usage.output_tokens", completion.usage.output_tokens);
        }
        Err(failure) => {
            let NoAnswer { error, .. } = &**failure;
            span.record("error.type", error.class.name());
            if let Some(status) = error.status {
                span.record("status", status);
            }
        }
    }
}

/// What kind of provider it is, and where.
fn described(route: &Route) -> (String, Option<String>) {
    let text = route.provider.describe();
    match text.split_once(" at ") {
        Some((name, server)) => (name.to_owned(), Some(server.to_owned())),
        None => (text, None),
    }
}
