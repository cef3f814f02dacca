//! The figures of a job that another process runs, made from its store: the same that its own screen shows, as far as the store has
//! them.

use super::status::View;
use crate::domain::{FailureClass, sanitize_line};
use crate::monitor::{
    self, ClassFailures, GuestFigures, ItemFigures, Progress, RecentFailure, RouteFigures, Snapshot, projected,
};
use crate::store::{GuestsNote, LiveRoute, Reader, StoreError};
use std::time::Duration;

/// What the first pace is taken from.
pub(super) const RECENT: Duration = Duration::from_mins(1);
const TEXT_BYTES_MAX: usize = 500;

/// How fast everything goes that is shown with its pace.
#[derive(Debug, Default)]
pub(super) struct Paces(monitor::Paces);

impl Paces {
    /// From what happened in the last minute, so that the first look has something to tell.
    pub(super) fn of(view: &View, reader: &Reader) -> Result<Self, StoreError> {
        let mut paces = Self::default();
        if !view.goes_on {
            return Ok(paces);
        }
        let window = RECENT.min(Duration::from_millis(view.now_ms.saturating_sub(view.started_ms)));
        let since_ms = view.now_ms.saturating_sub(u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
        let (recent, now) = (reader.recent(since_ms)?, view.progress());
        let before = Progress {
            items: now.items.saturating_sub(recent.items),
            calls: now.calls.saturating_sub(recent.calls),
            input_tokens: now.input_tokens.saturating_sub(recent.input_tokens),
            output_tokens: now.output_tokens.saturating_sub(recent.output_tokens),
        };
        paces.0.saw(RECENT.saturating_sub(window), before);
        Ok(paces)
    }

    /// `after`: since the first look.
    pub(super) fn saw(&mut self, after: Duration, view: &View) {
        self.0.saw(RECENT + after, view.progress());
    }
}

impl View {
    fn progress(&self) -> Progress {
        let usage = &self.usage;
        Progress {
            items: self.ended(),
            calls: usage.calls,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
        }
    }

    pub(super) fn figures(&self, paces: &Paces) -> Snapshot {
        let (counts, usage) = (&self.counts, &self.usage);
        let routes: Vec<RouteFigures> =
            self.live.routes.iter().map(|(name, live)| route(name, live, self.now_ms)).collect();
        let mut snapshot = Snapshot {
            job: self.job.clone(),
            started_ms: self.started_ms,
            now_ms: self.now_ms,
            items: ItemFigures {
                total: counts.total,
                done: counts.done,
                skipped: counts.skipped,
                failed: counts.failed,
                pending: counts.pending(),
                in_flight: self.live.items.min(counts.pending()),
                ..ItemFigures::default()
            },
            calls: usage.calls,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost: usage.cost,
            cost_projected: projected(usage.cost, usage.cost, self.ended(), counts.pending()),
            paused: self.paused,
            guests: self.guests.as_ref().map(guests),
            routes,
            failures: self.kinds_of_failures(),
            ..Snapshot::default()
        };
        paces.0.reckon(&mut snapshot);
        snapshot
    }

    fn kinds_of_failures(&self) -> Vec<ClassFailures> {
        let mut kinds: Vec<ClassFailures> = Vec::new();
        for (class, code, count, message) in &self.groups {
            let class = FailureClass::from_name(class).map_or("other", FailureClass::name);
            if let Some(known) = kinds.iter_mut().find(|known| known.class == class) {
                known.count += count;
                continue;
            }
            let short = |text: &str| sanitize_line(text, TEXT_BYTES_MAX);
            let (code, message) = (short(code), short(message));
            let last = RecentFailure { item: String::new(), class, code, message, at_ms: 0 };
            kinds.push(ClassFailures { class, count: *count, last });
        }
        kinds
    }
}

fn guests(note: &GuestsNote) -> GuestFigures {
    GuestFigures {
        suspend: sanitize_line(&note.policy, TEXT_BYTES_MAX),
        suspend_after_ms: note.after_ms,
        memory_target_bytes: note.memory_target,
        memory_bytes: None,
        memory_peak_bytes: note.memory_peak,
        gave_way: note.gave_way,
    }
}

fn route(name: &str, live: &LiveRoute, now_ms: u64) -> RouteFigures {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    RouteFigures {
        name: name.to_owned(),
        in_flight: small(live.calls),
        limit: live.limit.map_or(0, small),
        waiting: None,
        breaker: match live.breaker.as_deref() {
            Some("open") => "open",
            Some("half-open") => "half-open",
            Some(_) | None => "closed",
        },
        open_ms: live.open_until_ms.and_then(|until| until.checked_sub(now_ms)),
        ..RouteFigures::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Counts, Live, UsageTotals};

    fn view(breaker: Option<&str>) -> View {
        let live = LiveRoute {
            calls: 3,
            limit: Some(8),
            breaker: breaker.map(str::to_owned),
            open_until_ms: breaker.map(|_| 61_500),
        };
        let group =
            |class: &str, code: &str, count| (class.to_owned(), code.to_owned(), count, "m\u{1b}[31m".to_owned());
        View {
            job: "j".into(),
            counts: Counts { total: 100, done: 40, skipped: 0, failed: 10 },
            usage: UsageTotals { calls: 60, cost: 5_000_000, ..UsageTotals::default() },
            runs: 1,
            state: "running".into(),
            failures: Vec::new(),
            bytes: 0,
            paused: false,
            goes_on: true,
            started_ms: 0,
            now_ms: 60_000,
            live: Live { items: 3, routes: [("r".to_owned(), live)].into() },
            guests: None,
            groups: vec![group("plugin", "a", 6), group("plugin", "b", 3), group("from a newer version", "c", 1)],
        }
    }

    #[test]
    fn the_stores_figures_are_those_of_the_screen() {
        let (view, mut paces) = (view(None), Paces::default());
        paces.0.saw(Duration::from_secs(50), Progress { items: 30, ..Progress::default() });
        paces.saw(Duration::ZERO, &view);
        let figures = view.figures(&paces);
        assert_eq!((figures.items_per_second, figures.seconds_left), (Some(2.0), Some(25)));
        assert_eq!((figures.items.ended(), figures.items.pending, figures.items.waiting()), (50, 50, 47));
        assert_eq!(figures.cost_projected, Some(10_000_000));
        let route = &figures.routes[0];
        assert_eq!((route.in_flight, route.limit, route.waiting, route.breaker), (3, 8, None, "closed"));
        let kinds: Vec<_> =
            figures.failures.iter().map(|kind| (kind.class, kind.count, kind.last.message.as_str())).collect();
        assert_eq!(kinds, [("plugin", 9, "m [31m"), ("other", 1, "m [31m")]);
    }

    #[test]
    fn an_open_breaker_has_the_time_that_is_left_and_nobody_knows_how_long_the_rest_takes() {
        let (view, mut paces) = (view(Some("open")), Paces::default());
        paces.0.saw(Duration::from_secs(50), Progress { items: 30, ..Progress::default() });
        paces.saw(Duration::ZERO, &view);
        let figures = view.figures(&paces);
        assert_eq!((figures.routes[0].breaker, figures.routes[0].open_ms), ("open", Some(1_500)));
        assert_eq!(figures.seconds_left, None);
    }
}
