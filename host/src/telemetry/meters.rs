//! The figures of a run as OpenTelemetry has them: those of the conventions for models
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>), and our own, which are those of `docs/metrics.md`.

use super::names::{provider, server};
use crate::domain::{Event, EventSink};
use crate::monitor::Standing;
use crate::resilience::{BreakerState, GateStatus};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What the conventions advise, in seconds and in tokens.
const DURATIONS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Whom a route asks.
#[derive(Debug, Clone)]
pub struct RouteNames {
    pub route: String,
    /// The provider's name, such as `openai`.
    pub provider: String,
    pub model: String,
    /// The provider's base URL, where it has one.
    pub server: Option<String>,
}

/// How things stand, asked whenever figures are sent; `None`: nothing goes on any more.
pub(super) type Look = Box<dyn Fn() -> Option<Standing> + Send + Sync>;

pub(super) struct Meters {
    of_routes: BTreeMap<String, Vec<KeyValue>>,
    duration: Histogram<f64>,
    tokens: Histogram<u64>,
    items: Counter<u64>,
    item_retries: Counter<u64>,
    reused: Counter<u64>,
    retries: Counter<u64>,
    retry_wait: Counter<f64>,
    cost: Counter<f64>,
    cut: Counter<u64>,
    fallbacks: Counter<u64>,
    openings: Counter<u64>,
    suspensions: Counter<u64>,
}

impl Meters {
    pub(super) fn new(meter: &Meter, routes: &[RouteNames], look: Arc<OnceLock<Look>>) -> Self {
        gauges(meter, look);
        let count = |name: &'static str, unit: &'static str, what: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(what).build()
        };
        Self {
            of_routes: routes.iter().map(|names| (names.route.clone(), attributes(names))).collect(),
            duration: meter
                .f64_histogram("gen_ai.client.operation.duration")
                .with_unit("s")
                .with_description("How long provider calls took, each try by itself")
                .with_boundaries(DURATIONS.to_vec())
                .build(),
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Tokens of answers, as the provider counted them")
                .with_boundaries(TOKENS.to_vec())
                .build(),
            items: count("sandmill.items.ended", "{item}", "Items that ended in this run"),
            item_retries: count("sandmill.item.retries", "{attempt}", "Attempts that the plugin rejected"),
            reused: count("sandmill.calls.reused", "{call}", "Questions answered from the journal"),
            retries: count("sandmill.call.retries", "{call}", "Calls tried again"),
            retry_wait: meter.f64_counter("sandmill.call.retry_wait").with_unit("s").build(),
            cost: meter
                .f64_counter("sandmill.cost")
                .with_unit("{dollar}")
                .with_description("What calls cost; those without an answer with what they may have cost")
                .build(),
            cut: count("sandmill.requests.cut", "{request}", "Requests shortened to fit the model's context"),
            fallbacks: count("sandmill.fallbacks", "{call}", "Calls that another route stepped in for"),
            suspensions: count("sandmill.guest.suspensions", "{suspension}", "Guests that gave their instance back"),
            openings: count("sandmill.breaker.openings", "{opening}", "Times that a circuit breaker opened"),
        }
    }

    fn called(&self, route: &str, took: Duration, error: Option<&'static str>, cost: Option<u64>) {
        let mut attributes = self.of_routes.get(route).cloned().unwrap_or_default();
        attributes.extend(error.map(|class| KeyValue::new("error.type", class)));
        self.duration.record(took.as_secs_f64(), &attributes);
        if let Some(micro) = cost {
            #[expect(clippy::cast_precision_loss, reason = "a figure for reading")]
            self.cost.add(micro as f64 / 1e6, &[of_route(route)]);
        }
    }

    fn read(&self, route: &str, kind: &'static str, tokens: u64) {
        let mut attributes = self.of_routes.get(route).cloned().unwrap_or_default();
        attributes.push(KeyValue::new("gen_ai.token.type", kind));
        self.tokens.record(tokens, &attributes);
    }

    fn ended(&self, state: &'static str) {
        self.items.add(1, &[KeyValue::new("sandmill.state", state)]);
    }
}

impl EventSink for Meters {
    fn emit(&self, event: Event) {
        match event {
            Event::CallAnswered { route, took, input_tokens, output_tokens, cost, .. } => {
                self.called(&route, took, None, cost);
                self.read(&route, "input", input_tokens);
                self.read(&route, "output", output_tokens);
            }
            Event::CallFailed { route, took, class, cost, .. } => self.called(&route, took, Some(class.name()), cost),
            Event::CallRetry { class, wait, .. } => {
                let of_class = [KeyValue::new("error.type", class.name())];
                self.retries.add(1, &of_class);
                self.retry_wait.add(wait.as_secs_f64(), &of_class);
            }
            Event::CallReused { .. } => self.reused.add(1, &[]),
            Event::GuestGaveWay { .. } => self.suspensions.add(1, &[]),
            Event::RequestCut { .. } => self.cut.add(1, &[]),
            Event::ItemRetry { .. } => self.item_retries.add(1, &[]),
            Event::ItemDone { .. } => self.ended("done"),
            Event::ItemSkipped { .. } => self.ended("skipped"),
            Event::ItemFailed { .. } => self.ended("failed"),
            Event::FellBack { from, to, reason } => {
                let how =
                    [of_route(&from), KeyValue::new("sandmill.fallback", to), KeyValue::new("sandmill.reason", reason)];
                self.fallbacks.add(1, &how);
            }
            Event::BreakerChanged { route, to: "open", .. } => self.openings.add(1, &[of_route(&route)]),
            Event::BreakerChanged { .. }
            | Event::ConcurrencyChanged { .. }
            | Event::PaceLearned { .. }
            | Event::NoProgress { .. }
            | Event::GuestLog { .. } => {}
        }
    }
}

fn of_route(route: &str) -> KeyValue {
    KeyValue::new("sandmill.route", route.to_owned())
}

fn attributes(names: &RouteNames) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::new("gen_ai.operation.name", "chat"),
        KeyValue::new("gen_ai.provider.name", provider(&names.provider)),
        KeyValue::new("gen_ai.request.model", names.model.clone()),
        of_route(&names.route),
    ];
    all.extend(names.server.as_deref().map(server).unwrap_or_default());
    all
}

/// Name, unit, and what is read.
type Gauge<T> = (&'static str, &'static str, fn(&T) -> u64);

/// What is looked at when figures are sent.
fn gauges(meter: &Meter, look: Arc<OnceLock<Look>>) {
    let plain: [Gauge<Standing>; 5] = [
        ("sandmill.items.in_flight", "{item}", |it| it.items_in_flight),
        ("sandmill.instances", "{instance}", |it| it.instances),
        ("sandmill.instances.limit", "{instance}", |it| it.instances_max),
        ("sandmill.paused", "1", |it| u64::from(it.is_paused)),
        ("sandmill.process.resident_memory", "By", |it| it.memory.unwrap_or(0)),
    ];
    for (name, unit, read) in plain {
        let look = Arc::clone(&look);
        meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_callback(move |gauge| {
                if let Some(standing) = look.get().and_then(|look| look()) {
                    gauge.observe(read(&standing), &[]);
                }
            })
            .build();
    }
    let of_routes: [Gauge<GateStatus>; 4] = [
        ("sandmill.calls.in_flight", "{call}", |gate| u64::from(gate.in_flight)),
        ("sandmill.calls.limit", "{call}", |gate| u64::from(gate.concurrency_limit)),
        ("sandmill.calls.waiting", "{call}", |gate| u64::from(gate.waiting)),
        ("sandmill.breaker.open", "1", |gate| u64::from(gate.breaker != BreakerState::Closed)),
    ];
    for (name, unit, read) in of_routes {
        let look = Arc::clone(&look);
        meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_callback(move |gauge| {
                let Some(standing) = look.get().and_then(|look| look()) else { return };
                for (route, status) in standing.routes {
                    gauge.observe(read(&status), &[of_route(&route)]);
                }
            })
            .build();
    }
}
