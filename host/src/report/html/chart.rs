//! Shapes of charts, in units of their own: the page stretches them, and style sheets colour them by class.

use super::show;
use crate::report::figures::{Bar, BreakerSpan, Latency, Piece, Timeline, as_float as float};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How high a chart is, in its own units.
const HEIGHT: f64 = 100.0;
/// Between two stretches of the timeline, in pieces.
const GAP: f64 = 2.0;
/// The narrowest time of a breaker that can be seen, in pieces.
const SPAN_MIN: f64 = 0.6;
/// Classes of failure that have a colour of their own; all others share the last.
const COLOURS: usize = 8;

/// Where the pieces of a timeline stand.
pub(super) struct Scale<'a> {
    timeline: &'a Timeline,
    starts: Vec<f64>,
    pub(super) gaps: Vec<f64>,
    pub(super) width: f64,
}

#[derive(Serialize)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// What is seen, in a sentence.
    pub(super) said: String,
    /// What the upper edge stands for.
    pub(super) top: String,
    pub(super) series: Vec<Series>,
    /// What each piece holds.
    pub(super) hits: Vec<Hit>,
}

#[derive(Serialize)]
pub(super) struct Series {
    pub(super) colour: String,
    pub(super) name: String,
    pub(super) path: String,
}

#[derive(Serialize)]
pub(super) struct Hit {
    pub(super) x: String,
    pub(super) title: String,
}

/// A route's breaker over time.
#[derive(Serialize)]
pub(super) struct Strip {
    pub(super) route: String,
    pub(super) said: String,
    pub(super) spans: Vec<StripSpan>,
}

#[derive(Serialize)]
pub(super) struct StripSpan {
    pub(super) colour: &'static str,
    pub(super) x: String,
    pub(super) width: String,
    pub(super) title: String,
}

/// A bar from left to right.
#[derive(Serialize)]
pub(super) struct BarRow {
    pub(super) label: String,
    pub(super) count: u64,
    /// Of 100.
    pub(super) width: String,
}

/// One kind of what is stacked.
struct Layer {
    colour: String,
    name: String,
    values: Vec<f64>,
}

impl<'a> Scale<'a> {
    pub(super) fn new(timeline: &'a Timeline) -> Self {
        let (mut starts, mut gaps, mut x) = (Vec::with_capacity(timeline.pieces.len()), Vec::new(), 0.0);
        for piece in &timeline.pieces {
            if piece.follows_gap {
                gaps.push(x + GAP / 2.0);
                x += GAP;
            }
            starts.push(x);
            x += 1.0;
        }
        Self { timeline, starts, gaps, width: x.max(1.0) }
    }

    /// Where a moment stands; one outside of all pieces, at the nearest before it.
    fn x(&self, ms: u64) -> f64 {
        let after = self.timeline.pieces.partition_point(|piece| piece.start_ms <= ms);
        let Some(nth) = after.checked_sub(1) else { return 0.0 };
        let (Some(piece), Some(start)) = (self.timeline.pieces.get(nth), self.starts.get(nth)) else { return 0.0 };
        start + (float(ms - piece.start_ms) / float(self.timeline.piece_ms.max(1))).min(1.0)
    }

    fn chart(
        &self,
        title: &'static str,
        layers: Vec<Layer>,
        most: &dyn Fn(f64) -> String,
        hit: &dyn Fn(&Piece) -> String,
    ) -> Chart {
        let sums: Vec<f64> =
            (0..self.starts.len()).map(|nth| layers.iter().filter_map(|layer| layer.values.get(nth)).sum()).collect();
        let (highest, top) = highest(&sums);
        let said = match self.timeline.pieces.get(highest) {
            Some(piece) if top > 0.0 => format!("{title}: at most {}, at {} UTC", most(top), show::at(piece.start_ms)),
            Some(_) | None => format!("{title}: nothing"),
        };
        let mut below = vec![0.0; self.starts.len()];
        let series = layers
            .into_iter()
            .map(|layer| {
                let path = self.bars(&layer.values, &mut below, top);
                Series { colour: layer.colour, name: layer.name, path }
            })
            .collect();
        let hits = self
            .starts
            .iter()
            .zip(&self.timeline.pieces)
            .map(|(x, piece)| Hit { x: short(*x), title: format!("{} UTC: {}", show::at(piece.start_ms), hit(piece)) });
        Chart { title, said, top: most(top), series, hits: hits.collect() }
    }

    /// A bar a piece, each on what stands there already.
    fn bars(&self, values: &[f64], below: &mut [f64], top: f64) -> String {
        let mut path = String::new();
        for ((value, below), x) in values.iter().zip(below).zip(&self.starts) {
            if *value <= 0.0 || top <= 0.0 {
                continue;
            }
            let (foot, height) = (HEIGHT - *below / top * HEIGHT, value / top * HEIGHT);
            // Writing into a string cannot fail.
            let _ = write!(path, "M{} {}h1v-{}h-1z", short(*x), short(foot), short(height.max(0.4)));
            *below += value;
        }
        path
    }

    pub(super) fn items(&self) -> Chart {
        let layer = |colour: &str, value: &dyn Fn(&Piece) -> u64| Layer {
            colour: colour.to_owned(),
            name: colour.to_owned(),
            values: self.per_second(value),
        };
        let layers = vec![
            layer("done", &|piece| piece.done),
            layer("skipped", &|piece| piece.skipped),
            layer("failed", &|piece| piece.failed),
        ];
        self.chart("Items that ended", layers, &|top| format!("{} items/s", show::number(top)), &|piece| {
            let Piece { done, skipped, failed, .. } = piece;
            format!(
                "{} done, {} skipped, {} failed",
                show::grouped(*done),
                show::grouped(*skipped),
                show::grouped(*failed)
            )
        })
    }

    pub(super) fn calls(&self) -> Chart {
        let values = self.timeline.pieces.iter().map(|piece| piece.calls_under_way).collect();
        let layers = vec![Layer { colour: "calls".into(), name: "calls".into(), values }];
        self.chart("Calls under way", layers, &|top| format!("{} calls", show::number(top)), &|piece| {
            let mean = show::number(piece.calls_under_way);
            format!("{mean} under way on average, {} answered", show::grouped(piece.answered_calls))
        })
    }

    /// By route; `None`: the books tell nothing of it.
    pub(super) fn concurrency(&self) -> Option<Chart> {
        let pieces = &self.timeline.pieces;
        let routes: BTreeSet<&String> = pieces.iter().flat_map(|piece| piece.concurrency.keys()).collect();
        let layers = routes.iter().enumerate().map(|(nth, route)| {
            let limit = |piece: &Piece| piece.concurrency.get(*route).map_or(0.0, |limit| float(*limit));
            let colour = format!("r{}", nth.min(COLOURS - 1));
            Layer { colour, name: (*route).clone(), values: pieces.iter().map(limit).collect() }
        });
        let layers: Vec<Layer> = layers.collect();
        let hit = |piece: &Piece| {
            let listed = piece.concurrency.iter().map(|(route, limit)| format!("{limit} of {route}"));
            listed.collect::<Vec<_>>().join(", ")
        };
        let title = "Calls that were let through at once, at most";
        (!layers.is_empty()).then(|| self.chart(title, layers, &|top| format!("{} calls", show::number(top)), &hit))
    }

    pub(super) fn tokens(&self) -> Chart {
        let layer = |colour: &str, name: &str, value: &dyn Fn(&Piece) -> u64| Layer {
            colour: colour.to_owned(),
            name: name.to_owned(),
            values: self.per_second(value),
        };
        let layers = vec![
            layer("read", "read", &|piece| piece.input_tokens),
            layer("written", "written", &|piece| piece.output_tokens),
        ];
        self.chart("Tokens", layers, &|top| format!("{} tokens/s", show::number(top)), &|piece| {
            format!("{} read, {} written", show::grouped(piece.input_tokens), show::grouped(piece.output_tokens))
        })
    }

    /// What was spent up to each piece.
    pub(super) fn cost(&self) -> Chart {
        let mut sum = 0;
        let values = self.timeline.pieces.iter().map(|piece| {
            sum += piece.cost.0;
            float(sum)
        });
        let layers = vec![Layer { colour: "cost".into(), name: "cost".into(), values: values.collect() }];
        let whole = |top: f64| show::money(top / 1e6);
        self.chart("Cost so far", layers, &whole, &|piece| {
            format!("{} in this time", show::money(float(piece.cost.0) / 1e6))
        })
    }

    /// By class, those of most calls first.
    pub(super) fn errors(&self) -> Chart {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (class, count) in self.timeline.pieces.iter().flat_map(|piece| &piece.failed_calls) {
            *sums.entry(class).or_default() += count;
        }
        let mut classes: Vec<(&str, u64)> = sums.into_iter().collect();
        classes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let layers = classes.iter().enumerate().map(|(nth, (class, _))| Layer {
            colour: format!("c{}", nth.min(COLOURS - 1)),
            name: (*class).to_owned(),
            values: self.per_second(&|piece| piece.failed_calls.get(*class).copied().unwrap_or(0)),
        });
        self.chart("Calls that failed", layers.collect(), &|top| format!("{} calls/s", show::number(top)), &|piece| {
            if piece.failed_calls.is_empty() {
                return "none".into();
            }
            let listed = piece.failed_calls.iter().map(|(class, count)| format!("{} {class}", show::grouped(*count)));
            listed.collect::<Vec<_>>().join(", ")
        })
    }

    fn per_second(&self, value: &dyn Fn(&Piece) -> u64) -> Vec<f64> {
        self.timeline.pieces.iter().map(|piece| float(value(piece)) * 1e3 / float(piece.covered_ms.max(1))).collect()
    }

    pub(super) fn strips(&self, spans: &[BreakerSpan]) -> Vec<Strip> {
        let mut strips: Vec<Strip> = Vec::new();
        for span in spans {
            let length = show::time(span.to_ms.saturating_sub(span.from_ms));
            let title = format!("{} from {} UTC for {length}: {}", span.state, show::at(span.from_ms), span.reason);
            let (from, to) = (self.x(span.from_ms), self.x(span.to_ms));
            let shape = StripSpan {
                colour: if span.state == "open" { "open" } else { "half" },
                x: short(from.min(self.width - SPAN_MIN).max(0.0)),
                width: short((to - from).max(SPAN_MIN)),
                title,
            };
            match strips.iter_mut().find(|strip| strip.route == span.route) {
                Some(strip) => strip.spans.push(shape),
                None => strips.push(Strip { route: span.route.clone(), said: String::new(), spans: vec![shape] }),
            }
        }
        for strip in &mut strips {
            let opened = strip.spans.iter().filter(|span| span.colour == "open").count();
            strip.said = format!("the breaker of route {} was open {opened} times", strip.route);
        }
        strips
    }
}

pub(super) fn bars(latency: &Latency) -> Vec<BarRow> {
    let most = latency.bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    let row = |bar: &Bar| BarRow {
        label: format!("{} – {}", show::time(bar.from_ms), show::time(bar.to_ms)),
        count: bar.count,
        width: short(float(bar.count) / float(most) * 100.0),
    };
    latency.bars.iter().map(row).collect()
}

fn highest(values: &[f64]) -> (usize, f64) {
    values.iter().enumerate().fold((0, 0.0), |best, (nth, value)| if *value > best.1 { (nth, *value) } else { best })
}

/// Two decimals are less than anybody sees.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
