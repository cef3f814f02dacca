//! A later attempt points at the one before: items that are begun anew, calls that are tried again.

use super::names::{CALL, ITEM, text};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanContext, SpanId};
use opentelemetry_sdk::trace::{Span, SpanData};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Attempts that one more may follow. With more of them than this some are sent without the link.
const KEPT_MAX: usize = 20_000;

#[derive(Debug, Default)]
struct Kept {
    /// By item.
    items: HashMap<String, SpanContext>,
    /// By the span of the item that asks; of several questions at once the last that failed.
    calls: HashMap<SpanId, SpanContext>,
}

#[derive(Debug, Default)]
pub(super) struct Links(Mutex<Kept>);

impl Links {
    /// A span begins.
    pub(super) fn begin(&self, span: &mut Span) {
        let Some(data) = span.exported_data() else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match data.name.as_ref() {
            ITEM if number(&data.attributes, "attempt") > 1 => {
                text(&data.attributes, "item").and_then(|item| kept.items.remove(&item))
            }
            CALL if number(&data.attributes, "try") > 1 => kept.calls.remove(&data.parent_span_id),
            _ => None,
        };
        drop(kept);
        if let Some(before) = before {
            span.add_link(before, vec![KeyValue::new("sandmill.link", "the try before")]);
        }
    }

    /// A span has ended, as the program calls it.
    pub(super) fn end(&self, span: &SpanData) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match span.name.as_ref() {
            ITEM => {
                kept.calls.remove(&span.span_context.span_id());
                let is_begun_anew = text(&span.attributes, "outcome").is_some_and(|outcome| outcome == "rejected");
                if let Some(item) =
                    text(&span.attributes, "item").filter(|_| is_begun_anew && kept.items.len() < KEPT_MAX)
                {
                    kept.items.insert(item, span.span_context.clone());
                }
            }
            CALL if text(&span.attributes, "error.type").is_some() && kept.calls.len() < KEPT_MAX => {
                kept.calls.insert(span.parent_span_id, span.span_context.clone());
            }
            _ => {}
        }
    }
}

fn number(attributes: &[KeyValue], name: &str) -> u64 {
    text(attributes, name).and_then(|text| text.parse().ok()).unwrap_or(0)
}
