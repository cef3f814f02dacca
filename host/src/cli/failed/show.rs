//! One failed item, with all that the store knows of it.

use super::super::card;
use super::at;
use crate::domain::{sanitize_line, sanitize_text};
use crate::store::{CallRow, ItemBooks, ItemDetail, StoreError, decode_card};
use std::fmt::Write;

/// What is shown of a text of the input, a model or a guest; the JSON has all of it.
const TEXT_BYTES_MAX: usize = 8_000;

pub(super) fn as_json(detail: &ItemDetail, again: &str) -> serde_json::Value {
    let ItemDetail { row, rejections, last_call } = detail;
    let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text));
    let rejections: Vec<_> = rejections
        .iter()
        .map(|rejection| {
            serde_json::json!({
                "attempt": rejection.attempt,
                "at": at(Some(rejection.ended_ms)),
                "code": rejection.code,
                "message": rejection.message,
            })
        })
        .collect();
    serde_json::json!({
        "id": row.id,
        "line": row.line,
        "input": if row.problem.is_some() { serde_json::Value::from(row.input.as_str()) } else { json(&row.input) },
        "class": row.class,
        "code": row.code,
        "message": row.message,
        "detail": row.detail.as_deref().map(json),
        "backtrace": row.backtrace,
        "attempts": row.attempts,
        "last_error_at": at(row.ended_ms),
        "plugin": row.plugin,
        "generation": row.generation,
        "rejections": rejections,
        "calls": row.books.as_ref().map_or(0, |books| books.calls),
        "last_request": row.last_request.as_deref().map(json),
        "last_call": last_call.as_ref().map(request),
        "last_answer": last_call.as_ref().map(answer),
        "card": row.card.as_deref().map(json),
        "debug": again,
    })
}

fn request(call: &CallRow) -> serde_json::Value {
    serde_json::json!({
        "attempt": call.attempt,
        "try": call.try_number,
        "sent_at": at(Some(call.sent_ms)),
        "route": call.route,
        "model": call.model,
        "sha256": call.hash,
    })
}

fn answer(call: &CallRow) -> serde_json::Value {
    serde_json::json!({
        "state": state(call),
        "source": call.source,
        "ended_at": at(call.ended_ms),
        "status": call.status,
        "class": call.class,
        "code": call.code,
        "message": call.message,
        "request_id": call.request_id,
        "text": call.answer.as_ref().map(|answer| &answer.text),
        "finish": call.answer.as_ref().map(|answer| &answer.finish),
        "body": call.body,
    })
}

fn state(call: &CallRow) -> &str {
    call.state.as_deref().unwrap_or("under way, or its process died")
}

pub(super) fn as_text(detail: &ItemDetail, again: &str) -> Result<String, StoreError> {
    let ItemDetail { row, rejections, last_call } = detail;
    let mut text = Text(String::new());
    text.line("item", &format!("{} (line {})", sanitize_line(&row.id, TEXT_BYTES_MAX), row.line));
    text.line("class", row.class.as_deref().unwrap_or_default());
    text.line("code", row.code.as_deref().unwrap_or_default());
    text.line("message", row.message.as_deref().unwrap_or_default());
    text.line("failed at", &at(row.ended_ms).unwrap_or_default());
    text.line("attempts", &row.attempts.to_string());
    for rejection in rejections {
        let line = format!("attempt {}, rejected: {}: {}", rejection.attempt, rejection.code, rejection.message);
        text.line("", &line);
    }
    if let Some(plugin) = &row.plugin {
        text.line("plugin", plugin);
    }
    if let Some(detail) = &row.detail {
        text.line("detail", detail);
    }
    text.line("calls", &calls(row.books.as_ref()));
    if let Some(call) = last_call {
        text.call(call);
    }
    if let Some(request) = &row.last_request {
        text.block("last request", request);
    }
    if let Some(card) = &row.card {
        text.0.push_str(&card::as_text(&decode_card(card)?, Some(again)));
    } else if let Some(backtrace) = &row.backtrace {
        text.block("backtrace", backtrace);
    }
    text.block("input", &row.input);
    Ok(text.0)
}

fn calls(books: Option<&ItemBooks>) -> String {
    let Some(books) = books.filter(|books| books.calls > 0) else { return "none".into() };
    format!(
        "{}: {} answered, {} failed, {} unknown; tokens: {} read, {} written",
        books.calls, books.answered, books.failed, books.unknown, books.input_tokens, books.output_tokens
    )
}

struct Text(String);

impl Text {
    fn line(&mut self, name: &str, value: &str) {
        let value = sanitize_text(value, TEXT_BYTES_MAX).trim_end().replace('\n', "\n            ");
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "{name:<11} {value}");
    }

    fn block(&mut self, name: &str, value: &str) {
        let value = sanitize_text(value, TEXT_BYTES_MAX).trim_end().replace('\n', "\n  ");
        let _ = writeln!(self.0, "{name}\n  {value}");
    }

    fn call(&mut self, call: &CallRow) {
        let to =
            format!("try {} of attempt {}, to {} on route {}", call.try_number, call.attempt, call.model, call.route);
        self.line("last call", &format!("{to}, {}", at(Some(call.sent_ms)).unwrap_or_default()));
        self.line("  request", &format!("SHA-256 {}; its text is not kept", call.hash));
        if let Some(source) = &call.source {
            self.line("  source", &format!("the answer was taken from job {source}, which paid for it"));
        }
        if let Some(answer) = &call.answer {
            self.line("  answer", &format!("({}) {}", answer.finish, answer.text));
            return;
        }
        if matches!(call.state.as_deref(), Some("answered" | "taken")) {
            self.line("  answer", "its text was dropped by `sandmill job prune`");
            return;
        }
        let status = call.status.map(|status| format!(" {status}")).unwrap_or_default();
        let why = [&call.class, &call.code, &call.message].into_iter().flatten().map(String::as_str);
        let why = why.collect::<Vec<_>>().join(": ");
        self.line("  answer", format!("{}{status} {why}", state(call)).trim_end());
        if let Some(body) = call.body.as_deref().filter(|body| !body.is_empty()) {
            self.line("  body", body);
        }
    }
}
