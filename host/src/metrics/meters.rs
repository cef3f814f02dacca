//! Every figure by its name, as Prometheus wants it: <https://prometheus.io/docs/practices/naming/>.

use crate::domain::{ErrorClass, Event, EventSink};
use crate::monitor::{RunFacts, Standing};
use crate::resilience::BreakerState;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// In seconds: a cached answer to a long piece of reasoning.
const CALL_BUCKETS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0];
const BREAKER_STATES: [(&str, BreakerState); 3] =
    [("closed", BreakerState::Closed), ("open", BreakerState::Open), ("half_open", BreakerState::HalfOpen)];

type Seconds = Counter<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByClass {
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    route: String,
    /// `answered`, or the class of the error.
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDirection {
    route: String,
    /// `input`, `output`.
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByBreaker {
    route: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    from: String,
    to: String,
    reason: &'static str,
}

/// What grows with events.
#[derive(Default)]
struct Counters {
    items: Family<ByState, Counter>,
    item_retries: Counter,
    guest_suspensions: Counter,
    calls: Family<ByOutcome, Counter>,
    calls_reused: Counter,
    retries: Family<ByClass, Counter>,
    retry_wait: Family<ByClass, Seconds>,
    tokens: Family<ByDirection, Counter>,
    cost: Family<ByRoute, Seconds>,
    cut: Counter,
    fallbacks: Family<ByReason, Counter>,
    breaker_openings: Family<ByRoute, Counter>,
}

/// What is read when somebody asks.
#[derive(Default)]
struct Gauges {
    items: Family<ByState, Gauge>,
    items_in_flight: Gauge,
    instances: Gauge,
    instances_max: Gauge,
    paused: Gauge,
    memory: Gauge,
    guests_memory: Gauge,
    guests_memory_max: Gauge,
    calls_in_flight: Family<ByRoute, Gauge>,
    calls_waiting: Family<ByRoute, Gauge>,
    calls_max: Family<ByRoute, Gauge>,
    breaker: Family<ByBreaker, Gauge>,
}

/// All figures of one run.
pub struct Meters {
    registry: Mutex<Registry>,
    counters: Counters,
    gauges: Gauges,
    duration: Family<ByRoute, Histogram, fn() -> Histogram>,
    facts: RunFacts,
}

impl Meters {
    pub fn new(facts: RunFacts) -> Self {
        let mut registry = Registry::with_prefix("sandmill");
        let (counters, gauges) = (Counters::default(), Gauges::default());
        let duration: Family<ByRoute, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS));
        counters.register(&mut registry);
        gauges.register(&mut registry);
        registry.register(
            "call_duration_seconds",
            "How long provider calls took that ended in this run, from the bytes that left to the end of the answer",
            duration.clone(),
        );
        register_facts(&mut registry, &facts);
        for state in ["done", "skipped", "failed"] {
            // There from the start, so that a rate of the first of them is one.
            counters.items.get_or_create(&ByState { state }).inc_by(0);
        }
        Self { registry: Mutex::new(registry), counters, gauges, duration, facts }
    }

    /// The text that a scrape gets: the exposition format, version 0.0.4.
    pub fn text(&self, standing: &Standing) -> Result<String, std::fmt::Error> {
        // One at a time, so that nobody reads what another has half set.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.set_items();
        self.gauges.set(standing);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn set_items(&self) {
        let ended = |state| self.counters.items.get_or_create(&ByState { state }).get();
        let (done, skipped, failed) = (ended("done"), ended("skipped"), ended("failed"));
        let pending = self.facts.total.saturating_sub(self.facts.before + done + skipped + failed);
        let rows = [
            ("before", self.facts.before),
            ("done", done),
            ("skipped", skipped),
            ("failed", failed),
            ("pending", pending),
        ];
        for (state, count) in rows {
            set(&self.gauges.items.get_or_create(&ByState { state }), count);
        }
    }

    fn call_ended(&self, route: &str, outcome: &'static str, took: Duration, cost: Option<u64>) {
        let by_route = ByRoute { route: route.to_owned() };
        self.counters.calls.get_or_create(&ByOutcome { route: route.to_owned(), outcome }).inc();
        self.duration.get_or_create(&by_route).observe(took.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "dollars, of which nobody spends so many")]
        if let Some(cost) = cost {
            self.counters.cost.get_or_create(&by_route).inc_by(cost as f64 / 1e6);
        }
    }

    fn retried(&self, class: ErrorClass, wait: Duration) {
        let by_class = ByClass { class: class.name() };
        self.counters.retries.get_or_create(&by_class).inc();
        self.counters.retry_wait.get_or_create(&by_class).inc_by(wait.as_secs_f64());
    }

    fn item_ended(&self, state: &'static str) {
        self.counters.items.get_or_create(&ByState { state }).inc();
    }
}

impl EventSink for Meters {
    fn emit(&self, event: Event) {
        let counters = &self.counters;
        match event {
            Event::CallAnswered { route, took, input_tokens, output_tokens, cost, .. } => {
                self.call_ended(&route, "answered", took, cost);
                for (direction, tokens) in [("input", input_tokens), ("output", output_tokens)] {
                    counters.tokens.get_or_create(&ByDirection { route: route.clone(), direction }).inc_by(tokens);
                }
            }
            Event::CallFailed { route, took, class, cost, .. } => {
                self.call_ended(&route, class.name(), took, cost);
            }
            Event::CallRetry { class, wait, .. } => self.retried(class, wait),
            Event::CallReused { .. } => {
                counters.calls_reused.inc();
            }
            Event::RequestCut { .. } => {
                counters.cut.inc();
            }
            Event::FellBack { from, to, reason } => {
                counters.fallbacks.get_or_create(&ByReason { from, to, reason }).inc();
            }
            Event::BreakerChanged { route, to: "open", .. } => {
                counters.breaker_openings.get_or_create(&ByRoute { route }).inc();
            }
            Event::GuestGaveWay { .. } => {
                counters.guest_suspensions.inc();
            }
            Event::ItemRetry { .. } => {
                counters.item_retries.inc();
            }
            Event::ItemDone { .. } => self.item_ended("done"),
            Event::ItemSkipped { .. } => self.item_ended("skipped"),
            Event::ItemFailed { .. } => self.item_ended("failed"),
            Event::BreakerChanged { .. }
            | Event::ConcurrencyChanged { .. }
            | Event::PaceLearned { .. }
            | Event::NoProgress { .. }
            | Event::GuestLog { .. } => {}
        }
    }
}

impl Counters {
    /// `_total` is put behind each name.
    fn register(&self, registry: &mut Registry) {
        registry.register("items_ended", "Items that ended in this run, by how", self.items.clone());
        registry.register(
            "item_retries",
            "Attempts that the plugin rejected and that were begun anew",
            self.item_retries.clone(),
        );
        registry.register(
            "guest_suspensions",
            "Times that a guest that waited for an answer gave its instance back",
            self.guest_suspensions.clone(),
        );
        registry.register(
            "calls",
            "Provider calls that ended in this run, retries among them, by how",
            self.calls.clone(),
        );
        registry.register("calls_reused", "Questions answered from the journal", self.calls_reused.clone());
        registry.register("call_retries", "Provider calls tried again, by why", self.retries.clone());
        registry.register(
            "call_retry_wait_seconds",
            "What callers waited in all before they tried again, by why",
            self.retry_wait.clone(),
        );
        registry.register("tokens", "Tokens as the provider counted them, of answers", self.tokens.clone());
        registry.register(
            "cost_dollars",
            "What calls cost; those without an answer with what they may have cost",
            self.cost.clone(),
        );
        registry.register("requests_cut", "Requests shortened to fit the model's context", self.cut.clone());
        registry.register("fallbacks", "Calls that another route stepped in for", self.fallbacks.clone());
        registry.register(
            "breaker_openings",
            "Times that a route's circuit breaker opened",
            self.breaker_openings.clone(),
        );
    }
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "items",
            "Items of the job: ended before this run, ended in it (done, skipped, failed), and pending",
            self.items.clone(),
        );
        registry.register("items_in_flight", "Items that are being run", self.items_in_flight.clone());
        registry.register("instances", "Plugin instances that are live", self.instances.clone());
        registry.register("instances_limit", "Plugin instances that may be live", self.instances_max.clone());
        registry.register("paused", "1 while the job is paused", self.paused.clone());
        registry.register(
            "resident_memory_bytes",
            "Memory of the process; 0 where the system does not say",
            self.memory.clone(),
        );
        registry.register("guest_memory_bytes", "What live guests were granted of memory", self.guests_memory.clone());
        registry.register(
            "guest_memory_target_bytes",
            "What they shall have together; 0: what they take",
            self.guests_memory_max.clone(),
        );
        registry.register("calls_in_flight", "Provider calls under way", self.calls_in_flight.clone());
        registry.register("calls_waiting", "Callers that a route has not let through yet", self.calls_waiting.clone());
        registry.register("calls_limit", "Provider calls that may be under way at once", self.calls_max.clone());
        registry.register(
            "breaker_state",
            "1 for the state that a route's circuit breaker is in",
            self.breaker.clone(),
        );
    }

    fn set(&self, standing: &Standing) {
        set(&self.items_in_flight, standing.items_in_flight);
        set(&self.instances, standing.instances);
        set(&self.instances_max, standing.instances_max);
        set(&self.paused, u64::from(standing.is_paused));
        set(&self.memory, standing.memory.unwrap_or(0));
        if let Some((suspension, memory)) = standing.guests {
            set(&self.guests_memory, memory.now);
            set(&self.guests_memory_max, suspension.memory_target.unwrap_or(0));
        }
        for (name, status) in &standing.routes {
            let route = || ByRoute { route: name.clone() };
            set(&self.calls_in_flight.get_or_create(&route()), status.in_flight.into());
            set(&self.calls_waiting.get_or_create(&route()), status.waiting.into());
            set(&self.calls_max.get_or_create(&route()), status.concurrency_limit.into());
            for (state, which) in BREAKER_STATES {
                let gauge = self.breaker.get_or_create(&ByBreaker { route: name.clone(), state });
                set(&gauge, u64::from(status.breaker == which));
            }
        }
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// What does not change over a run.
fn register_facts(registry: &mut Registry, facts: &RunFacts) {
    let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
    registry.register("build", "The program", Info::new(version.to_vec()));
    let RunFacts { job, plugin, plugin_version, .. } = facts.clone();
    let run = vec![("job_name", job), ("plugin", plugin), ("plugin_version", plugin_version)];
    registry.register("run", "The run", Info::new(run));
    let started: Gauge<f64, AtomicU64> = Gauge::default();
    started.set(Duration::from_millis(facts.started_ms).as_secs_f64());
    registry.register("run_start_time_seconds", "When the run began, since the Unix epoch", started);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ItemId;
    use crate::resilience::GateStatus;

    fn item() -> ItemId {
        ItemId::new("a").unwrap()
    }

    fn meters() -> Meters {
        let facts = RunFacts {
            job: "talks \"1\"".into(),
            plugin: "p".into(),
            plugin_version: "1.0".into(),
            started_ms: 1_500,
            total: 10,
            before: 3,
            ..RunFacts::default()
        };
        Meters::new(facts)
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }

    #[test]
    fn events_are_counted_by_what_they_are() {
        let meters = meters();
        let (route, took) = ("small".to_owned(), Duration::from_millis(700));
        let answered = Event::CallAnswered {
            item: item(),
            route: route.clone(),
            took,
            input_tokens: 100,
            output_tokens: 20,
            cost: Some(250_000),
        };
        meters.emit(answered.clone());
        meters.emit(answered);
        meters.emit(Event::CallFailed { item: item(), route, took, class: ErrorClass::RateLimited, cost: None });
        meters.emit(Event::CallRetry {
            item: item(),
            route: "small".into(),
            class: ErrorClass::RateLimited,
            code: String::new(),
            message: String::new(),
            attempt: 1,
            attempts_max: 5,
            wait: Duration::from_millis(1_500),
        });
        meters.emit(Event::ItemDone { item: item() });
        meters.emit(Event::ItemSkipped { item: item(), reason: String::new() });
        let text = meters.text(&Standing::default()).unwrap();
        for line in [
            "sandmill_calls_total{route=\"small\",outcome=\"answered\"} 2",
            "sandmill_calls_total{route=\"small\",outcome=\"rate_limited\"} 1",
            "sandmill_tokens_total{route=\"small\",direction=\"input\"} 200",
            "sandmill_cost_dollars_total{route=\"small\"} 0.5",
            "sandmill_call_retries_total{class=\"rate_limited\"} 1",
            "sandmill_call_retry_wait_seconds_total{class=\"rate_limited\"} 1.5",
            "sandmill_call_duration_seconds_bucket{route=\"small\",le=\"1\"} 3",
            "sandmill_call_duration_seconds_count{route=\"small\"} 3",
            "sandmill_items_ended_total{state=\"done\"} 1",
            "sandmill_items_ended_total{state=\"failed\"} 0",
            "sandmill_items{state=\"pending\"} 5",
            "sandmill_items{state=\"before\"} 3",
            "sandmill_run_start_time_seconds 1.5",
            "# TYPE sandmill_calls_total counter",
            "# TYPE sandmill_call_duration_seconds histogram",
        ] {
            has(&text, line);
        }
        assert!(text.contains("sandmill_run_info{job_name=\"talks \\\"1\\\"\",plugin=\"p\""), "{text}");
    }

    #[test]
    fn how_routes_stand_is_read_anew_each_time() {
        let meters = meters();
        let status = |breaker, in_flight| GateStatus {
            breaker,
            open_for: None,
            in_flight,
            waiting: 7,
            concurrency_limit: 16,
            pace: (None, None),
        };
        let standing = |breaker, in_flight| Standing {
            routes: vec![("small".into(), status(breaker, in_flight))],
            memory: Some(1 << 20),
            ..Standing::default()
        };
        meters.text(&standing(BreakerState::Open, 3)).unwrap();
        let text = meters.text(&standing(BreakerState::Closed, 4)).unwrap();
        for line in [
            "sandmill_calls_in_flight{route=\"small\"} 4",
            "sandmill_calls_waiting{route=\"small\"} 7",
            "sandmill_calls_limit{route=\"small\"} 16",
            "sandmill_breaker_state{route=\"small\",state=\"open\"} 0",
            "sandmill_breaker_state{route=\"small\",state=\"closed\"} 1",
            "sandmill_resident_memory_bytes 1048576",
        ] {
            has(&text, line);
        }
    }
}
