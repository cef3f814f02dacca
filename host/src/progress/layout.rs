//! The screen's lines: the figures of a job, most important first, so that what a narrow terminal cuts off is missed least.

use super::width::{cut, width};
use super::words::{count, money, percent, rate, size, time};
use crate::domain::sanitize_line;
use crate::monitor::{RouteFigures, Snapshot};
use std::fmt::Write as _;

/// The column in which values begin.
const LABEL: usize = 10;
const BAR_MIN: usize = 8;
const BAR_MAX: usize = 30;
/// Of a job's name and a route's.
const NAME_MAX: usize = 24;
/// Lines for routes, and for kinds of failures.
const ROUTES_MAX: usize = 4;
const KINDS_MAX: usize = 3;
/// What is read of a name or a message, in bytes.
const TEXT_BYTES_MAX: usize = 600;

/// Whether somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Calm,
    /// Something waits.
    Warns,
    /// Something is shut.
    Alarms,
}

/// One line, in parts that are coloured alike. It has no line end, and is never wider than was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(Vec<(Mood, String)>);

impl Line {
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// With the escape sequences of its colours, or without.
    pub fn render(&self, is_coloured: bool) -> String {
        let mut line = String::new();
        for (mood, text) in &self.0 {
            let colour = match mood {
                Mood::Warns => "\x1b[33m",
                Mood::Alarms => "\x1b[31m",
                Mood::Calm => "",
            };
            let _ = if is_coloured && !colour.is_empty() {
                write!(line, "{colour}{text}\x1b[0m")
            } else {
                write!(line, "{text}")
            };
        }
        line
    }
}

/// All of them; `columns`: the most that one may take.
pub fn lines(now: &Snapshot, columns: usize) -> Vec<Line> {
    let mut lines = vec![progress(now, columns), row("items", &items(now), columns), row("pace", &pace(now), columns)];
    let cost = cost(now);
    if !cost.is_empty() {
        lines.push(row("cost", &cost, columns));
    }
    let guests = guests(now);
    if !guests.is_empty() {
        lines.push(row("guests", &guests, columns));
    }
    lines.extend(routes(now).iter().map(|parts| row("route", parts, columns)));
    lines.extend(failures(now).iter().map(|parts| row("failed", parts, columns)));
    lines
}

type Part = (Mood, String);

fn calm(text: impl Into<String>) -> Part {
    (Mood::Calm, text.into())
}

/// A label, and as many of the parts as there is room for; the first one cut rather than left out.
fn row(label: &str, parts: &[Part], columns: usize) -> Line {
    let mut line = vec![calm(cut(&format!("  {label:<width$}", width = LABEL - 2), columns))];
    let mut left = columns.saturating_sub(LABEL);
    for (n, (mood, text)) in parts.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let room = left.saturating_sub(comma.len());
        if n > 0 && width(text) > room {
            break;
        }
        let text = cut(text, room);
        left = room - width(&text);
        line.push(calm(comma));
        line.push((*mood, text));
    }
    Line(line)
}

/// The bar, with the job's name before it and what a person wants to know first behind it.
fn progress(now: &Snapshot, columns: usize) -> Line {
    let (ended, total) = (now.items.ended(), now.items.total);
    let name = cut(&shown(&now.job), NAME_MAX.min(columns / 4));
    let room = columns.saturating_sub(width(&name) + 2 + BAR_MIN);
    // In the order in which they are shown, each with its rank.
    let so_far = time(now.now_ms.saturating_sub(now.started_ms) / 1_000);
    let behind = [
        (0, calm(percent(ended, total))),
        (2, calm(format!("{} of {}", count(ended), count(total)))),
        (1, state(now)),
        (3, if now.started_ms > 0 { calm(format!("{so_far} so far")) } else { calm("") }),
    ];
    let mut taken = [false; 4];
    let mut left = room;
    for rank in 0..4 {
        let found =
            behind.iter().position(|(of, (_, text))| *of == rank && !text.is_empty() && width(text) + 2 <= left);
        if let Some(place) = found {
            taken[place] = true;
            left -= width(&behind[place].1.1) + 2;
        }
    }
    let length = (BAR_MIN + left).min(BAR_MAX).min(columns.saturating_sub(width(&name) + 2));
    let mut line = vec![calm(cut(&format!("{name}  {}", bar(ended, total, length)), columns))];
    for ((_, (mood, text)), _) in behind.into_iter().zip(taken).filter(|(_, taken)| *taken) {
        line.push(calm("  "));
        line.push((mood, text));
    }
    Line(line)
}

fn bar(part: u64, whole: u64, length: usize) -> String {
    let steps = u128::from(if whole == 0 { 1 } else { part.min(whole) }) * length as u128;
    let full = usize::try_from(steps / u128::from(whole.max(1))).unwrap_or(length).min(length);
    format!("{}{}", "█".repeat(full), "░".repeat(length - full))
}

/// What holds it up, or else how long it takes.
fn state(now: &Snapshot) -> Part {
    match (now.stopping, now.paused, now.seconds_left) {
        (true, ..) => (Mood::Warns, "stopping".into()),
        (_, true, _) => (Mood::Warns, "paused".into()),
        (.., Some(left)) if now.items.pending > 0 => calm(format!("{} left", time(left))),
        (..) => calm(""),
    }
}

fn items(now: &Snapshot) -> Vec<Part> {
    let items = &now.items;
    let done = items.before.saturating_sub(items.before_failed) + items.done;
    let mut parts = vec![
        calm(format!("{} done", count(done))),
        calm(format!("{} failed", count(items.before_failed + items.failed))),
        calm(format!("{} in flight", count(items.in_flight))),
        calm(format!("{} waiting", count(items.waiting()))),
    ];
    if items.skipped > 0 {
        parts.push(calm(format!("{} skipped", count(items.skipped))));
    }
    if items.before > 0 {
        parts.push(calm(format!("{} before this run", count(items.before))));
    }
    parts
}

fn pace(now: &Snapshot) -> Vec<Part> {
    let mut parts = vec![calm(format!("{} items/s", rate(now.items_per_second)))];
    if now.calls > 0 || !now.routes.is_empty() {
        parts.push(calm(format!("{} calls/s", rate(now.calls_per_second))));
        let (read, written) = (rate(now.input_tokens_per_second), rate(now.output_tokens_per_second));
        parts.push(calm(format!("tokens/s {read} in, {written} out")));
    }
    for (number, what) in [(now.retries, "retries"), (now.reused, "from the journal")] {
        if number > 0 {
            parts.push(calm(format!("{} {what}", count(number))));
        }
    }
    parts
}

fn cost(now: &Snapshot) -> Vec<Part> {
    let mut parts = Vec::new();
    if now.cost > 0 {
        parts.push(calm(format!("{} so far", money(now.cost))));
    }
    if let Some(projected) = now.cost_projected.filter(|_| now.items.pending > 0) {
        // The limit ends the run before that.
        let is_beyond = now.cost_max.is_some_and(|most| projected > most);
        let mood = if is_beyond { Mood::Warns } else { Mood::Calm };
        parts.push((mood, format!("about {} at the end", money(projected))));
    }
    if let Some(most) = now.cost_max.filter(|_| !parts.is_empty()) {
        parts.push(calm(format!("at most {}", money(most))));
    }
    parts
}

/// Only where some gave way: else they are as many as there are items in flight.
fn guests(now: &Snapshot) -> Vec<Part> {
    let Some(guests) = now.guests.as_ref().filter(|guests| guests.gave_way > 0) else { return Vec::new() };
    let mut parts = Vec::new();
    if now.instances_max > 0 {
        parts.push(calm(format!("{} of {} live", count(now.instances), count(now.instances_max))));
    }
    parts.push(calm(format!("{} gave way", count(guests.gave_way))));
    if let Some(bytes) = guests.memory_bytes {
        let target = guests.memory_target_bytes.map(|target| format!(" of {}", size(target))).unwrap_or_default();
        parts.push(calm(format!("{}{target} of memory", size(bytes))));
    }
    parts
}

/// Those that are shut first, then the busiest.
fn routes(now: &Snapshot) -> Vec<Vec<Part>> {
    let mut routes: Vec<&RouteFigures> = now.routes.iter().collect();
    routes.sort_by_key(|route| (route.is_closed(), std::cmp::Reverse(route.in_flight + route.waiting.unwrap_or(0))));
    let more = routes.len().saturating_sub(ROUTES_MAX);
    let mut rows: Vec<Vec<Part>> = routes.into_iter().take(ROUTES_MAX).map(route).collect();
    if more > 0 {
        rows.push(vec![calm(format!("{more} more, closed or less busy"))]);
    }
    rows
}

fn route(route: &RouteFigures) -> Vec<Part> {
    let name = cut(&shown(&route.name), NAME_MAX);
    let limit = if route.limit > 0 { format!(" of {}", route.limit) } else { String::new() };
    let in_flight = format!("{}{limit} in flight", route.in_flight);
    let waiting = route.waiting.map(|waiting| calm(format!("{waiting} waiting")));
    let (first, last) = if route.is_closed() {
        ([calm(format!("{name}: {in_flight}"))].to_vec(), Some(calm("closed")))
    } else {
        (vec![(mood(route), format!("{name}: {}", breaker(route))), calm(in_flight)], None)
    };
    first.into_iter().chain(waiting).chain(last).collect()
}

fn mood(route: &RouteFigures) -> Mood {
    if route.breaker == "open" { Mood::Alarms } else { Mood::Warns }
}

/// `open for 3m 20s`, `half-open`.
pub(super) fn breaker(route: &RouteFigures) -> String {
    match route.open_ms {
        Some(left) if route.breaker == "open" => format!("open for {}", time(left.div_ceil(1_000))),
        Some(_) | None => route.breaker.to_owned(),
    }
}

fn failures(now: &Snapshot) -> Vec<Vec<Part>> {
    let kind = |failures: &crate::monitor::ClassFailures| {
        let last = &failures.last;
        let code = if last.code == failures.class { String::new() } else { format!("{}: ", shown(&last.code)) };
        // Whoever made these figures may not know which was the last.
        let which = if last.item.is_empty() { "such as".to_owned() } else { format!("last {}:", shown(&last.item)) };
        let told = format!("{which} {code}{}", shown(&last.message));
        vec![calm(format!("{} × {}; {told}", count(failures.count), failures.class))]
    };
    now.failures.iter().take(KINDS_MAX).map(kind).collect()
}

fn shown(text: &str) -> String {
    sanitize_line(text, TEXT_BYTES_MAX)
}

#[cfg(test)]
mod tests;
