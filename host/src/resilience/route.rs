//! Where a model role leads: what the operator set for a route, and what a run learns of it.

use super::context::{Counting, LearnedWindow, Window};
use super::extras::Extras;
use super::gate::{Gate, GateSettings, GateStatus, Surroundings};
use crate::domain::{Pair, Prices};
use crate::provider::{Provider, spelling};
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
    /// What the model can take in all, in tokens, where that is known.
    pub window: Option<u64>,
    /// What it writes at most.
    pub max_output: Option<u64>,
    /// How its tokens are counted.
    pub counting: Counting,
    pub prices: Option<(Prices, PriceId)>,
    /// Fields of the body that the operator set; they win over the plugin's.
    pub parameters: Arc<[Pair]>,
    /// The provider's own fields and kinds of parts that a plugin may send.
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

/// The spellings of the field that bounds an answer.
const OUTPUT_BOUNDS: [&str; 3] = ["maxtokens", "maxcompletiontokens", "maxoutputtokens"];

impl Route {
    /// The bound on an answer that the operator put into the parameters, where it wins over the plugin's; in tokens.
    pub(super) fn output_set(&self) -> Option<u64> {
        let bounds = |pair: &&Pair| OUTPUT_BOUNDS.contains(&spelling(&pair.name).as_str());
        self.parameters.iter().find(bounds)?.value.parse().ok()
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
            let known = route.window.map(|context| Window { context, max_output: route.max_output });
            let live = LiveRoute {
                gate,
                window: LearnedWindow::new(known),
                asked: OnceCell::new(),
                is_used_up: AtomicBool::new(false),
                route,
            };
            (live.route.name.clone(), Arc::new(live))
        });
        Self { routes: live.collect(), roles: routes.roles, default: routes.default, groups: routes.groups }
    }

    /// The name that a role is bound to: a route's, or a group's.
    pub(super) fn name_of_role(&self, role: &str) -> Option<&str> {
        self.roles.get(role).or(self.default.as_ref()).map(String::as_str)
    }

    /// The route of this name that may be asked; of several members the one that is the least busy, open ones last.
    pub(super) fn named(&self, name: &str, may_ask: impl Fn(&LiveRoute) -> bool) -> Option<&Arc<LiveRoute>> {
        self.members(name).filter(|live| may_ask(live)).min_by_key(|member| {
            let GateStatus { in_flight, concurrency_limit, .. } = member.gate.status();
            (member.is_used_up(), member.gate.is_open(), in_flight * 1_000 / concurrency_limit.max(1))
        })
    }

    /// Why none of this name may be asked: the field that is not allowed, and by which route.
    pub(super) fn refusal<'a>(&'a self, name: &str, extras: &'a Extras) -> Option<(&'a str, &'a str)> {
        let live = self.members(name).next()?;
        extras.refused_by(&live.route).map(|field| (field, live.route.name.as_str()))
    }

    fn members(&self, name: &str) -> impl Iterator<Item = &Arc<LiveRoute>> {
        let alone = self.routes.get(name);
        let members = self.groups.get(name).map_or(&[][..], Vec::as_slice);
        alone.into_iter().chain(members.iter().filter_map(|member| self.routes.get(member)))
    }

    /// What stands for a role in the hash of a question: each model and its parameters once, so that it does not change with which
    /// member happens to answer, nor with how many share the load.
    pub(super) fn asked_of_role(&self, role: &str) -> Vec<(&str, &[Pair])> {
        let mut asked: Vec<(&str, &[Pair])> = Vec::new();
        for live in self.name_of_role(role).into_iter().flat_map(|name| self.members(name)) {
            let one = (live.route.model.as_str(), &*live.route.parameters);
            if !asked.contains(&one) {
                asked.push(one);
            }
        }
        asked
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<LiveRoute>> {
        self.routes.values()
    }
}
