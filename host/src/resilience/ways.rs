//! Which of several routes a call takes: members that share a load, and those that step in while others are open.

use super::gate::{Elsewhere, Standing};
use super::route::LiveRoute;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The routes that a call may take. The first level is what was asked for; each further one steps in for those before it.
pub(super) struct Ways {
    pub(super) levels: Vec<Vec<Arc<LiveRoute>>>,
}

/// The route that is taken.
pub(super) struct Choice {
    pub(super) live: Arc<LiveRoute>,
    /// It steps in for another.
    pub(super) is_substitute: bool,
}

impl Ways {
    pub(super) fn first(&self) -> &[Arc<LiveRoute>] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// Whether what was asked for can be had no more: credit or quota is used up.
    pub(super) fn is_used_up(&self) -> bool {
        self.first().iter().all(|live| live.used_up().is_some())
    }

    /// Whether a route of the first level is left without those that are `out`.
    pub(super) fn has_first(&self, out: &BTreeSet<String>) -> bool {
        self.first().iter().any(|live| live.used_up().is_none() && !out.contains(&live.route.name))
    }

    /// The least busy route of the first level that has one that lets calls through; where all are open, the one that opens
    /// first. `None`: all are `out` or used up.
    pub(super) fn choose(&self, out: &BTreeSet<String>) -> Option<Choice> {
        let left = |live: &&Arc<LiveRoute>| live.used_up().is_none() && !out.contains(&live.route.name);
        for (level, routes) in self.levels.iter().enumerate() {
            let usable = routes.iter().filter(left).filter(|live| live.gate.standing() == Standing::Usable);
            if let Some(live) = usable.min_by_key(|live| live.gate.load()) {
                return Some(Choice { live: Arc::clone(live), is_substitute: level > 0 });
            }
        }
        let blocked = self
            .levels
            .iter()
            .enumerate()
            .flat_map(|(level, routes)| routes.iter().filter(left).map(move |live| (level, live)));
        blocked
            .min_by_key(|(level, live)| (wait_of(live.gate.standing()), *level))
            .map(|(level, live)| Choice { live: Arc::clone(live), is_substitute: level > 0 })
    }

    /// Whether another route than `here` would let a call through.
    pub(super) fn elsewhere(&self, here: &LiveRoute, out: &BTreeSet<String>) -> Elsewhere {
        let others = self.levels.iter().flatten().filter(|live| {
            live.route.name != here.route.name && live.used_up().is_none() && !out.contains(&live.route.name)
        });
        let mut elsewhere = Elsewhere::Nowhere;
        for other in others {
            elsewhere = match (other.gate.standing(), elsewhere) {
                (Standing::Usable, _) => return Elsewhere::Now,
                (Standing::Lost, known) => known,
                (Standing::From(at), Elsewhere::Later(Some(earlier))) => Elsewhere::Later(Some(earlier.min(at))),
                (Standing::From(at), _) => Elsewhere::Later(Some(at)),
                (Standing::Probing, Elsewhere::Later(at)) => Elsewhere::Later(at),
                (Standing::Probing, _) => Elsewhere::Later(None),
            };
        }
        elsewhere
    }
}

/// Those that come back soon first, and those that are lost last.
fn wait_of(standing: Standing) -> (Reverse<bool>, Duration) {
    match standing {
        Standing::Usable | Standing::Probing => (Reverse(true), Duration::ZERO),
        Standing::From(at) => (Reverse(true), at),
        Standing::Lost => (Reverse(false), Duration::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::PausedClock;
    use crate::domain::{ErrorClass, NoEvents};
    use crate::provider::{Faults, MockProvider, ProviderError};
    use crate::resilience::extras::Extras;
    use crate::resilience::gate::{Admission, GateSettings, Load, Surroundings};
    use crate::resilience::probes::About;
    use crate::resilience::route::{LiveRoutes, Route, Routes};
    use crate::resilience::{Counting, Fallback, Halt, KnownWindow};
    use tokio::sync::Notify;

    const LOAD: Load = Load { input: 1, output: 1 };

    fn route(name: &str, open: Option<&str>) -> Route {
        Route {
            name: name.into(),
            model: "m".into(),
            provider: Arc::new(MockProvider::new(Faults::default(), 0)),
            timeout: Duration::from_secs(1),
            set: KnownWindow::default(),
            listed: KnownWindow::default(),
            counting: Counting::default(),
            prices: None,
            parameters: Arc::new([]),
            extra_allow: Arc::new([]),
            gate: GateSettings::default(),
            key_limits: None,
            fallback: Fallback { open: open.map(str::to_owned), ..Fallback::default() },
        }
    }

    /// A group of `a` and `b`; `a` has `c` to step in, and `c` has the group.
    fn routes() -> LiveRoutes {
        let around = Surroundings {
            halt: Arc::new(Halt::default()),
            clock: Arc::new(PausedClock::new()),
            events: Arc::new(NoEvents),
            store: None,
            turned: Arc::new(Notify::new()),
        };
        let routes = Routes {
            routes: vec![route("a", Some("c")), route("b", None), route("c", Some("group"))],
            groups: [("group".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into(),
            ..Routes::default()
        };
        LiveRoutes::new(routes, &around)
    }

    fn chosen(ways: &Ways, out: &[&str]) -> Option<(String, bool)> {
        let out = out.iter().map(|name| (*name).to_owned()).collect();
        ways.choose(&out).map(|choice| (choice.live.route.name.clone(), choice.is_substitute))
    }

    async fn open(live: &LiveRoute) {
        for _ in 0..5 {
            let Admission::Granted(permit) = live.gate.admit(LOAD, &|| Elsewhere::Now).await else { return };
            let error = ProviderError { status: Some(529), ..ProviderError::new(ErrorClass::Overloaded, "m") };
            permit.settle(Err(&error), About::Either).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_count_as_load() {
        let routes = routes();
        let ways = routes.ways("group", &Extras::default());
        assert_eq!(chosen(&ways, &[]), Some(("a".into(), false)));
        let (a, nowhere) = (&ways.first()[0], || Elsewhere::Nowhere);
        let mut callers = Vec::new();
        for _ in 0..12 {
            callers.push(Box::pin(a.gate.admit(LOAD, &nowhere)));
        }
        let mut permits = Vec::new();
        for caller in &mut callers {
            permits.push(futures_util::poll!(caller));
        }
        assert_eq!((a.gate.status().in_flight, a.gate.load()), (8, 12_000 / 8));
        assert_eq!(chosen(&ways, &[]), Some(("b".into(), false)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_open_or_used_up_is_left_out_while_there_is_another() {
        let routes = routes();
        let ways = routes.ways("group", &Extras::default());
        open(&ways.first()[0]).await;
        assert_eq!(chosen(&ways, &[]), Some(("b".into(), false)));
        assert_eq!(ways.elsewhere(&ways.first()[0], &BTreeSet::new()), Elsewhere::Now);
        routes.use_up(&ways.first()[1], ProviderError::new(ErrorClass::QuotaExhausted, "no credit"));
        assert_eq!(chosen(&ways, &[]), Some(("c".into(), true)), "another steps in");
        assert!(!ways.is_used_up());
        assert_eq!(chosen(&ways, &["c"]), Some(("a".into(), false)), "what is open is waited for");
        assert!(matches!(ways.elsewhere(&ways.levels[1][0], &BTreeSet::new()), Elsewhere::Later(Some(_))));
        assert_eq!(chosen(&ways, &["a", "c"]), None);
        routes.use_up(&ways.first()[0], ProviderError::new(ErrorClass::QuotaExhausted, "no credit"));
        assert!(ways.is_used_up() && !ways.has_first(&BTreeSet::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_open_the_one_that_opens_first_is_waited_for() {
        let routes = routes();
        let ways = routes.ways("group", &Extras::default());
        let (a, b, c) = (&ways.first()[0], &ways.first()[1], &ways.levels[1][0]);
        open(b).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        open(a).await;
        open(c).await;
        assert_eq!(chosen(&ways, &[]), Some(("b".into(), false)));
    }
}
