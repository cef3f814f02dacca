//! Where a model role leads: what the operator set for a route, and what a run learns of it.

use super::context::{Counting, KnownWindow, LearnedWindow};
use super::gate::{Gate, GateSettings, GateStatus, Surroundings};
use crate::domain::{Pair, Prices};
use crate::provider::Provider;
use crate::store::PriceId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A model at a provider, and how it is used. Fixed for a run.
#[derive(Clone)]
pub struct Route {
    pub name: String,
    pub model: String,
    pub provider: Arc<dyn Provider>,
    /// How long one exchange may take, from the first byte sent to the last received.
    pub timeout: Duration,
    /// What the model takes, as the operator set it, and as it is publicly known.
    pub set: KnownWindow,
    pub listed: KnownWindow,
    /// How its tokens are counted.
    pub counting: Counting,
    pub prices: Option<(Prices, PriceId)>,
    /// Fields of the body that the operator set; they win over the plugin's.
    pub parameters: Arc<[Pair]>,
    /// The provider's own fields that a plugin may set.
    pub extra_allow: Arc<[String]>,
    pub gate: GateSettings,
    pub fallback: Fallback,
}

/// The routes that step in, by why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fallback {
    /// While the breaker is open.
    pub open: Option<String>,
    /// Once credit or quota is used up.
    pub quota: Option<String>,
    /// For a request that does not fit.
    pub context: Option<String>,
}

/// What no plugin sets by itself, whatever a route allows: what the host decides, and what costs extra.
const RESERVED: [&str; 16] = [
    "messages",
    "model",
    "models",
    "n",
    "plugins",
    "priority",
    "provider",
    "route",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "tool_choice",
    "tools",
    "user",
    "web_search_options",
];

impl Route {
    /// Whether a plugin may set this field of the provider's own.
    pub(super) fn allows(&self, field: &str) -> bool {
        self.extra_allow.iter().any(|allowed| allowed == field) && !RESERVED.contains(&field)
    }
}

/// Routes by name, and the roles that lead to them.
#[derive(Clone, Default)]
pub struct Routes {
    pub routes: Vec<Route>,
    /// (role, route). A role that is not named here leads to `default`.
    pub roles: BTreeMap<String, String>,
    /// Where roles lead that are not bound.
    pub default: Option<String>,
    /// Routes that stand for several: calls are spread over the members.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// A route in a run.
pub(super) struct LiveRoute {
    pub(super) route: Route,
    pub(super) gate: Arc<Gate>,
    pub(super) window: LearnedWindow,
    /// The provider was asked what it tells of the model.
    pub(super) asked: OnceCell<()>,
    /// Credit or quota is used up, and another route steps in.
    is_used_up: AtomicBool,
}

impl LiveRoute {
    pub(super) fn is_used_up(&self) -> bool {
        self.is_used_up.load(Ordering::Relaxed)
    }

    pub(super) fn use_up(&self) {
        self.is_used_up.store(true, Ordering::Relaxed);
    }
}

/// All routes of a run.
pub(super) struct LiveRoutes {
    routes: BTreeMap<String, Arc<LiveRoute>>,
    roles: BTreeMap<String, String>,
    default: Option<String>,
    groups: BTreeMap<String, Vec<String>>,
}

impl LiveRoutes {
    pub(super) fn new(routes: Routes, around: &Surroundings) -> Self {
        let live = routes.routes.into_iter().map(|route| {
            let gate = Arc::new(Gate::new(&route.name, route.gate.clone(), around.clone()));
            let live = LiveRoute {
                gate,
                window: LearnedWindow::new(route.set, route.listed),
                asked: OnceCell::new(),
                is_used_up: AtomicBool::new(false),
                route,
            };
            (live.route.name.clone(), Arc::new(live))
        });
        Self { routes: live.collect(), roles: routes.roles, default: routes.default, groups: routes.groups }
    }

    /// The route that a role leads to; of several members the one that is the least busy, open ones last.
    pub(super) fn of_role(&self, role: &str) -> Option<&Arc<LiveRoute>> {
        let name = self.roles.get(role).or(self.default.as_ref())?;
        self.named(name)
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<LiveRoute>> {
        let Some(members) = self.groups.get(name) else { return self.routes.get(name) };
        let members = members.iter().filter_map(|member| self.routes.get(member));
        members.min_by_key(|member| {
            let GateStatus { in_flight, concurrency_limit, .. } = member.gate.status();
            (member.is_used_up(), member.gate.is_open(), in_flight * 1_000 / concurrency_limit.max(1))
        })
    }

    /// What stands for a role in the hash of a question: it must not change with which member happens to answer.
    pub(super) fn model_of_role(&self, role: &str) -> Option<&str> {
        let name = self.roles.get(role).or(self.default.as_ref())?;
        let name = self.groups.get(name).and_then(|members| members.first()).unwrap_or(name);
        self.routes.get(name).map(|live| live.route.model.as_str())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<LiveRoute>> {
        self.routes.values()
    }
}
