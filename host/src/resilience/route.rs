//! Where a model role leads: what the operator set for a route, and what a run learns of it.

use super::context::{Counting, KnownWindow, LearnedWindow};
use super::extras::Extras;
use super::gate::{Gate, GateSettings, Key, KeyLimits, Surroundings};
use super::ways::Ways;
use crate::domain::{Pair, Prices};
use crate::provider::{Provider, ProviderError};
use crate::store::PriceId;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, OnceCell};

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
    /// The provider's own fields and kinds of parts that a plugin may send.
    pub extra_allow: Arc<[String]>,
    pub gate: GateSettings,
    /// What it shares with other routes of the same provider.
    pub key_limits: Option<KeyLimits>,
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
    /// What the provider said when credit or quota was used up.
    used_up: OnceLock<ProviderError>,
}

impl LiveRoute {
    pub(super) fn used_up(&self) -> Option<&ProviderError> {
        self.used_up.get()
    }
}

/// All routes of a run.
pub(super) struct LiveRoutes {
    routes: BTreeMap<String, Arc<LiveRoute>>,
    roles: BTreeMap<String, String>,
    default: Option<String>,
    groups: BTreeMap<String, Vec<String>>,
    turned: Arc<Notify>,
}

impl LiveRoutes {
    pub(super) fn new(routes: Routes, around: &Surroundings) -> Self {
        let mut keys: BTreeMap<String, Arc<Key>> = BTreeMap::new();
        let mut live_routes = BTreeMap::new();
        for route in routes.routes {
            let key = route.key_limits.as_ref().map(|limits| {
                Arc::clone(keys.entry(limits.provider.clone()).or_insert_with(|| Arc::new(Key::new(limits))))
            });
            let gate = Arc::new(Gate::new(&route.name, route.gate.clone(), key, around.clone()));
            let window = LearnedWindow::new(route.set, route.listed);
            let (asked, used_up) = (OnceCell::new(), OnceLock::new());
            live_routes.insert(route.name.clone(), Arc::new(LiveRoute { route, gate, window, asked, used_up }));
        }
        Self {
            routes: live_routes,
            roles: routes.roles,
            default: routes.default,
            groups: routes.groups,
            turned: Arc::clone(&around.turned),
        }
    }

    /// The route, or the group of routes, that a role leads to.
    pub(super) fn name_of_role(&self, role: &str) -> Option<&str> {
        self.roles.get(role).or(self.default.as_ref()).map(String::as_str)
    }

    /// Its route, or its members, and those that step in while they are open: as far as they allow what is asked for. None, if
    /// no member does.
    pub(super) fn ways(&self, name: &str, extras: &Extras) -> Ways {
        let (mut levels, mut seen) = (Vec::<Vec<Arc<LiveRoute>>>::new(), Vec::new());
        let mut names = vec![name];
        while !names.is_empty() {
            let mut level: Vec<&Arc<LiveRoute>> = Vec::new();
            for name in names.drain(..).flat_map(|name| self.names_behind(name)) {
                if seen.contains(&name) {
                    continue;
                }
                seen.push(name);
                let live = self.routes.get(name).filter(|live| extras.refused_by(&live.route).is_none());
                level.extend(live);
            }
            if levels.is_empty() && level.is_empty() {
                break;
            }
            names.extend(level.iter().filter_map(|live| live.route.fallback.open.as_deref()));
            levels.push(level.into_iter().cloned().collect());
        }
        levels.retain(|level| !level.is_empty());
        Ways { levels }
    }

    /// The members of a group, or the name alone.
    fn names_behind<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let members = self.groups.get(name);
        let alone = members.is_none().then_some(name);
        members.into_iter().flatten().map(String::as_str).chain(alone)
    }

    /// Whether there is a route, or a group, of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.routes.contains_key(name) || self.groups.contains_key(name)
    }

    /// Nobody asks the route any more; who waits for it looks for another.
    pub(super) fn use_up(&self, live: &LiveRoute, error: ProviderError) {
        // The first error stays.
        let _ = live.used_up.set(error);
        self.turned.notify_waiters();
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
