//! `--log-format json`: everything that is said on stderr, as one JSON object a line.
//!
//! Events go through `tracing`, so that what surrounds them (job, item, attempt, route) comes from the spans that they happen in. Keys
//! are flat; `docs/screen.md` names them. Where nobody asks for it nothing is listened to, and spans cost nothing.

use super::console::Verbosity;
use super::told::line;
use crate::clock::Clock;
use crate::domain::{Event, escape_json, sanitize_line};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, debug, error, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Of everything that is ours; what crates say is not told.
pub(super) const TARGET: &str = "sandmill";
/// A field whose text is JSON, and stands in the line as such.
const FIGURES: &str = "figures";
const SUMMARY: &str = "summary";
/// What is said of a message of a guest or a provider, in bytes.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// What is listened to, and how it is written. `job`: stands in every line.
pub fn layer<S>(job: &str, verbosity: Verbosity, clock: Arc<dyn Clock>) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let level = match verbosity {
        Verbosity::Quiet => LevelFilter::ERROR,
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Lines { job: job.to_owned(), clock })
        .with_writer(std::io::stderr)
        .with_filter(Targets::new().with_target(TARGET, level))
}

/// What happened, with what a program wants to know of it. The words are put together only where somebody hears them.
pub(super) fn tell(event: &Event) {
    match event {
        Event::CallRetry { .. }
        | Event::CallAnswered { .. }
        | Event::CallReused { .. }
        | Event::CallFailed { .. }
        | Event::RequestCut { .. } => tell_of_call(event),
        Event::BreakerChanged { .. }
        | Event::ConcurrencyChanged { .. }
        | Event::PaceLearned { .. }
        | Event::FellBack { .. }
        | Event::NoProgress { .. } => tell_of_route(event),
        Event::ItemRetry { .. }
        | Event::ItemDone { .. }
        | Event::GuestGaveWay { .. }
        | Event::ItemSkipped { .. }
        | Event::ItemFailed { .. }
        | Event::GuestLog { .. } => tell_of_item(event),
    }
}

fn ms(time: &Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn short(text: &str) -> String {
    sanitize_line(text, MESSAGE_BYTES_MAX)
}

fn tell_of_call(event: &Event) {
    match event {
        Event::CallRetry { route, class, code, message: reason, attempt, attempts_max, wait, .. } => warn!(
            target: TARGET, event = "call_retry", route, class = class.name(), code = short(code), reason = short(reason),
            tries = attempt, tries_max = attempts_max, wait_ms = ms(wait), "{}", line(event)
        ),
        Event::CallAnswered { route, took, input_tokens, output_tokens, cost, .. } => debug!(
            target: TARGET, event = "call_answered", route, took_ms = ms(took), input_tokens, output_tokens,
            cost_micro_dollars = cost, "{}", line(event)
        ),
        Event::CallReused { .. } => debug!(target: TARGET, event = "call_reused", "{}", line(event)),
        Event::CallFailed { route, took, class, cost, .. } => debug!(
            target: TARGET, event = "call_failed", route, class = class.name(), took_ms = ms(took), cost_micro_dollars = cost,
            "{}", line(event)
        ),
        Event::RequestCut { tokens_before, tokens_after, .. } => {
            info!(target: TARGET, event = "request_cut", tokens_before, tokens_after, "{}", line(event));
        }
        _ => {}
    }
}

/// Whatever item it happened in, it concerns all of them.
fn tell_of_route(event: &Event) {
    match event {
        Event::BreakerChanged { route, from, to, reason, pause } => warn!(
            target: TARGET, parent: None, event = "breaker_changed", route, from, to, reason = short(reason), pause_ms = pause.as_ref().map(ms),
            "{}", line(event)
        ),
        Event::ConcurrencyChanged { route, limit } => {
            debug!(target: TARGET, parent: None, event = "concurrency_changed", route, limit, "{}", line(event));
        }
        Event::PaceLearned { route, requests, tokens } => info!(
            target: TARGET, parent: None, event = "pace_learned", route, requests_per_minute = requests, tokens_per_minute = tokens, "{}", line(event)
        ),
        Event::FellBack { from, to, reason } => {
            info!(target: TARGET, parent: None, event = "fell_back", route = from, to, reason, "{}", line(event));
        }
        Event::NoProgress { patience, .. } => {
            warn!(target: TARGET, parent: None, event = "no_progress", patience_ms = ms(patience), "{}", line(event));
        }
        _ => {}
    }
}

fn tell_of_item(event: &Event) {
    match event {
        Event::ItemRetry { code, message: reason, wait, .. } => info!(
            target: TARGET, event = "item_retry", code = short(code), reason = short(reason), wait_ms = ms(wait), "{}", line(event)
        ),
        Event::ItemDone { .. } => debug!(target: TARGET, event = "item_done", "{}", line(event)),
        Event::GuestGaveWay { .. } => debug!(target: TARGET, event = "guest_gave_way", "{}", line(event)),
        Event::ItemSkipped { reason, .. } => {
            debug!(target: TARGET, event = "item_skipped", reason = short(reason), "{}", line(event));
        }
        Event::ItemFailed { class, code, message: reason, .. } => warn!(
            target: TARGET, event = "item_failed", class = class.name(), code = short(code), reason = short(reason), "{}", line(event)
        ),
        Event::GuestLog { level, message: said, .. } if matches!(*level, "error" | "warn") => {
            warn!(target: TARGET, event = "guest_log", guest_level = level, said = short(said), "{}", line(event));
        }
        Event::GuestLog { level, message: said, .. } => {
            debug!(target: TARGET, event = "guest_log", guest_level = level, said = short(said), "{}", line(event));
        }
        _ => {}
    }
}

/// Something said to whoever reads; `warning: ` before it makes it one.
pub(super) fn say(text: &str) {
    if let Some(text) = text.strip_prefix("warning: ") {
        warn!(target: TARGET, event = "message", "{}", text.trim());
    } else {
        info!(target: TARGET, event = "message", "{}", text.trim());
    }
}

/// `figures`: JSON.
pub(super) fn progress(text: &str, figures: &str) {
    info!(target: TARGET, event = "progress", figures, "{text}");
}

/// How it ended; also for whoever wants to hear of errors only. `summary`: JSON.
pub(super) fn summary(text: &str, summary: &str, is_well: bool) {
    if is_well {
        info!(target: TARGET, event = "summary", summary, "{text}");
    } else {
        error!(target: TARGET, event = "summary", summary, "{text}");
    }
}

/// Told whoever listens, perhaps nobody does yet: `ERROR` with the exit code that the program ends in, else `INFO`.
pub fn object(message: &str, exit_code: Option<u8>, job: Option<&str>, clock: &dyn Clock) -> String {
    let mut line = start(clock.unix_ms(), if exit_code.is_some() { "ERROR" } else { "INFO" });
    line.insert("message".into(), message.trim().into());
    line.insert("event".into(), if exit_code.is_some() { "error" } else { "message" }.into());
    for (name, value) in [("job", job.map(Value::from)), ("exit_code", exit_code.map(Value::from))] {
        if let Some(value) = value {
            line.insert(name.into(), value);
        }
    }
    escape_json(&Value::Object(line).to_string()).into_owned()
}

fn start(unix_ms: u64, level: &str) -> Map<String, Value> {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = time.map(|time| format!("{time:.3}")).unwrap_or_default();
    Map::from_iter([("timestamp".to_owned(), time.into()), ("level".to_owned(), level.into())])
}

/// One JSON object an event.
struct Lines {
    job: String,
    clock: Arc<dyn Clock>,
}

impl<S> FormatEvent<S, JsonFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut line = start(self.clock.unix_ms(), event.metadata().level().as_str());
        line.insert("message".into(), Value::Null);
        event.record(&mut Fields(&mut line));
        line.entry("job").or_insert_with(|| self.job.as_str().into());
        for span in ctx.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.and_then(|fields| serde_json::from_str::<Map<String, Value>>(&fields.fields).ok());
            for (name, value) in fields.into_iter().flatten() {
                line.entry(name).or_insert(value);
            }
        }
        writeln!(writer, "{}", escape_json(&Value::Object(line).to_string()))
    }
}

/// An event's own fields.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match serde_json::from_str::<Value>(value) {
            Ok(value) if matches!(field.name(), FIGURES | SUMMARY) => self.put(field, value),
            Ok(_) | Err(_) => self.put(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}
