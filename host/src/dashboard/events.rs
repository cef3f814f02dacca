//! The stream of what is new (server-sent events): the history, the figures as often as they are taken, and how the run ended.
//!
//! A reader that is slow is told the newest there is when its turn comes, and misses what lay between. It waits on its own connection,
//! and nobody waits for it.

use super::board::{Board, Phase};
use super::failures::{self, Wanted};
use crate::monitor::{Point, Snapshot};
use axum::response::sse;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// How long a browser waits before it comes again.
const AGAIN: Duration = Duration::from_secs(2);

/// One who reads.
struct Reading {
    board: Arc<Board>,
    phases: watch::Receiver<Phase>,
    /// Once there are any.
    snapshots: Option<watch::Receiver<Arc<Snapshot>>>,
    sent: Sent,
    ready: VecDeque<sse::Event>,
    is_first: bool,
    has_ended: bool,
    _place: OwnedSemaphorePermit,
}

/// `place`: held as long as it is read.
pub(super) fn stream(
    board: Arc<Board>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send {
    let reading = Reading {
        phases: board.phases(),
        board,
        snapshots: None,
        sent: Sent::default(),
        ready: VecDeque::new(),
        is_first: true,
        has_ended: false,
        _place: place,
    };
    unfold(reading, |mut reading| async move {
        while reading.ready.is_empty() {
            if reading.has_ended {
                return None;
            }
            reading.next().await;
        }
        reading.ready.pop_front().map(|event| (Ok(event), reading))
    })
}

impl Reading {
    /// Waits until something is new, and makes it ready.
    async fn next(&mut self) {
        if !self.is_first {
            self.changed().await;
        }
        self.is_first = false;
        self.has_ended = matches!(*self.phases.borrow_and_update(), Phase::Ended(_));
        if self.snapshots.is_none() {
            self.snapshots = self.board.running().map(|running| running.monitor.watch());
        }
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.mark_unchanged();
        }
        if let Some(running) = self.board.running() {
            let points = running.monitor.history();
            self.ready.extend(self.sent.news(&points).map(|news| event("history", &news)));
        }
        if self.has_ended {
            self.ready.extend(self.last_failures().await);
        }
        self.ready.push_back(event("view", &self.board.view()).retry(AGAIN));
    }

    async fn changed(&mut self) {
        let figures = async {
            match &mut self.snapshots {
                // Whoever takes them lives as long as the board.
                Some(snapshots) => drop(snapshots.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.phases.changed() => {}
            () = figures => {}
        }
    }

    /// The first page as it is in the end, since nobody can be asked for it any more. Left out where it cannot be read.
    async fn last_failures(&self) -> Option<sse::Event> {
        let board = Arc::clone(&self.board);
        let read = tokio::task::spawn_blocking(move || failures::page(&board, Wanted::default())).await;
        Some(event("failures", &read.ok()?.ok()?))
    }
}

fn event(name: &str, data: &Value) -> sse::Event {
    sse::Event::default().event(name).data(data.to_string())
}

/// Which points of the history a reader has.
#[derive(Debug, Default)]
struct Sent {
    /// The last that will not change any more; the one behind it may still grow.
    settled_ms: Option<u64>,
}

impl Sent {
    /// What is new, and behind which moment it comes; `None`: nothing is. When points were joined to fewer, all of them are new.
    fn news(&mut self, points: &[Point]) -> Option<Value> {
        let begin = match self.settled_ms {
            None => 0,
            Some(settled) => points.binary_search_by_key(&settled, |point| point.at_ms).map_or(0, |at| at + 1),
        };
        let after = if begin == 0 { 0 } else { self.settled_ms.unwrap_or_default() };
        let news = points.get(begin..).filter(|news| !news.is_empty())?;
        if let [.., settled, _] = points {
            self.settled_ms = Some(settled.at_ms);
        }
        Some(json!({"after_ms": after, "points": news}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_ms: u64) -> Point {
        Point {
            at_ms,
            done: 0,
            failed: 0,
            items_per_second: 0.0,
            calls_per_second: 0.0,
            input_tokens_per_second: 0.0,
            output_tokens_per_second: 0.0,
            cost: 0,
            in_flight: 0,
            breakers: Vec::new(),
        }
    }

    /// Of the news: behind which moment they come, and how many.
    fn news(sent: &mut Sent, moments: &[u64]) -> Option<(u64, Vec<u64>)> {
        let points: Vec<Point> = moments.iter().map(|at| point(*at)).collect();
        let news = sent.news(&points)?;
        let told = news["points"].as_array().unwrap().iter().map(|point| point["at_ms"].as_u64().unwrap()).collect();
        Some((news["after_ms"].as_u64().unwrap(), told))
    }

    #[test]
    fn only_what_is_new_is_sent_and_a_point_that_grew_again() {
        let mut sent = Sent::default();
        assert_eq!(news(&mut sent, &[]), None);
        assert_eq!(news(&mut sent, &[1]), Some((0, vec![1])));
        assert_eq!(news(&mut sent, &[2]), Some((0, vec![2])), "nothing is settled yet");
        assert_eq!(news(&mut sent, &[2, 3]), Some((0, vec![2, 3])));
        assert_eq!(news(&mut sent, &[2, 4]), Some((2, vec![4])), "the last has grown");
        assert_eq!(news(&mut sent, &[2, 4, 5, 6]), Some((2, vec![4, 5, 6])), "what a slow reader missed comes too");
        assert_eq!(news(&mut sent, &[2, 4, 5, 6, 7]), Some((5, vec![6, 7])));
    }

    #[test]
    fn when_points_were_joined_all_are_sent_again() {
        let mut sent = Sent::default();
        news(&mut sent, &[1, 2, 3, 4, 5]);
        assert_eq!(news(&mut sent, &[1, 3, 5, 6]), Some((0, vec![1, 3, 5, 6])));
        assert_eq!(news(&mut sent, &[1, 3, 5, 7]), Some((5, vec![7])));
    }
}
