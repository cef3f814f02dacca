//! The page: one file that asks nobody for anything, made of the figures and nothing else.
//!
//! Always holds: every text is escaped by the template engine, and the templates mark nothing as safe but our own style sheet and its
//! digest, in which no text of others stands; what is hidden in a text is seen; there is no script.

mod chart;
mod show;
#[cfg(test)]
mod tests;

use super::figures::{Figures, as_float};
use crate::domain::{Digest, base64, visible_text};
use chart::{BarRow, Chart, Scale, Strip, bars};
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

/// What every page of ours has near its start, and no other file.
pub const MARK: &str = "<meta name=\"generator\" content=\"sandmill report\">";

/// The look of our pages: colours for light and dark, and what they have in common.
pub const LOOK: &str = concat!(include_str!("palette.css"), include_str!("common.css"));
const STYLE: &str = concat!(include_str!("palette.css"), include_str!("common.css"), include_str!("style.css"));
const TEMPLATES: [(&str, &str); 10] = [
    ("page.html", include_str!("page.html")),
    ("ended.html", include_str!("ended.html")),
    ("sums.html", include_str!("sums.html")),
    ("time.html", include_str!("time.html")),
    ("span.html", include_str!("span.html")),
    ("latency.html", include_str!("latency.html")),
    ("routes.html", include_str!("routes.html")),
    ("failures.html", include_str!("failures.html")),
    ("items.html", include_str!("items.html")),
    ("runs.html", include_str!("runs.html")),
];

/// The page could not be made, which is a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the page: {0:#}")]
pub struct PageError(#[from] minijinja::Error);

/// What the templates see.
#[derive(Serialize)]
struct Page<'a> {
    figures: &'a Figures,
    word: &'a str,
    mood: &'static str,
    mark: &'static str,
    style: &'static str,
    /// What the policy of the page's content allows.
    style_hash: String,
    parts: Vec<(&'static str, f64, f64)>,
    /// Where the timeline begins and ends.
    first_ms: u64,
    last_ms: u64,
    width: f64,
    gaps: Vec<f64>,
    charts: Vec<Chart>,
    strips: Vec<Strip>,
    /// Name, figures, bars.
    latencies: Vec<(&'static str, &'a super::figures::Latency, Vec<BarRow>)>,
}

/// The whole page.
pub fn page(figures: &Figures) -> Result<String, PageError> {
    render(Serde(Page::new(figures)))
}

fn render(context: Serde<impl Serialize>) -> Result<String, PageError> {
    let text = environment()?.get_template("page.html")?.render(Value::from(context))?;
    Ok(visible_text(&text).into_owned() + "\n")
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::empty();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("items", minijinja::filters::items);
    environment.add_filter("length", minijinja::filters::length);
    environment.add_filter("safe", minijinja::filters::safe);
    environment.add_test("none", minijinja::tests::is_none);
    environment.add_filter("grouped", show::grouped);
    environment.add_filter("counted", show::counted);
    environment.add_filter("time", show::time);
    environment.add_filter("at", show::at);
    environment.add_filter("machine", show::machine);
    environment.add_filter("money", show::money);
    environment.add_filter("percent", show::percent);
    environment.add_filter("number", show::number);
    environment.add_filter("short_digest", show::short_digest);
    environment.add_filter("size", show::size);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

/// As a content security policy names it (<https://www.w3.org/TR/CSP3/#grammardef-hash-source>).
fn style_hash() -> String {
    format!("sha256-{}", base64::encode(&Digest::of(STYLE.as_bytes()).bytes()))
}

impl<'a> Page<'a> {
    fn new(figures: &'a Figures) -> Self {
        let scale = Scale::new(&figures.timeline);
        let latency = &figures.latency;
        let named =
            [("Calls, from being sent to the answer", &latency.calls), ("Items, with all waiting", &latency.items)];
        let latencies = named.into_iter().filter(|(_, latency)| latency.count > 0);
        let pieces = &figures.timeline.pieces;
        Self {
            figures,
            word: word(figures),
            mood: mood(figures),
            mark: MARK,
            style: STYLE,
            style_hash: style_hash(),
            parts: parts(figures),
            first_ms: pieces.first().map_or(0, |piece| piece.start_ms),
            last_ms: pieces.last().map_or(0, |piece| piece.start_ms + piece.covered_ms),
            charts: charts(figures, &scale),
            strips: scale.strips(&figures.breakers),
            latencies: latencies.map(|(name, latency)| (name, latency, bars(latency))).collect(),
            width: scale.width,
            gaps: scale.gaps,
        }
    }
}

fn charts(figures: &Figures, scale: &Scale<'_>) -> Vec<Chart> {
    let mut charts = Vec::new();
    if !figures.timeline.pieces.is_empty() {
        charts.push(scale.items());
        if figures.calls.provider_calls > 0 {
            charts.push(scale.calls());
            charts.extend(scale.concurrency());
            charts.extend([scale.errors(), scale.tokens()]);
        }
        if figures.calls.cost.0 > 0 {
            charts.push(scale.cost());
        }
    }
    charts
}

/// The colour of the job's state.
fn mood(figures: &Figures) -> &'static str {
    let Figures { job, ended, items, .. } = figures;
    match ended.state.as_deref() {
        _ if job.running || job.runs == 0 => "running",
        Some("finished") if items.failed == 0 => "good",
        Some(_) | None => "bad",
    }
}

/// A word or two for it.
fn word(figures: &Figures) -> &str {
    let Figures { job, ended, .. } = figures;
    match ended.state.as_deref() {
        _ if job.paused => "paused",
        _ if job.running => "running",
        Some(state) => state,
        None if job.runs == 0 => "never run",
        None => "its process died",
    }
}

/// How items stand, as parts of 100: class, beginning, width.
fn parts(figures: &Figures) -> Vec<(&'static str, f64, f64)> {
    let items = &figures.items;
    let states =
        [("done", items.processed), ("skipped", items.skipped), ("failed", items.failed), ("pending", items.pending)];
    let mut at = 0.0;
    let mut parts = Vec::with_capacity(states.len());
    for (class, count) in states.into_iter().filter(|(_, count)| *count > 0) {
        let width = as_float(count) / as_float(items.total) * 100.0;
        parts.push((class, at, width));
        at += width;
    }
    parts
}
