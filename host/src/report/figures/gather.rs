//! Adds up a job, as it stands at one moment.

use super::super::JobCommand;
use super::axis::Axis;
use super::calls::{Calls, ItemBooks, Unknown};
use super::failures::Failures;
use super::items::Items;
use super::routes::Routes;
use super::runs::{Runs, generation_figures};
use super::{
    Commands, CutFigures, CutItem, DearItem, Dollars, Figures, JobFigures, KIND, Latencies, NAME_BYTES_MAX, Piece,
    SCHEMA, SlowItem, Timeline, UnknownCall, UnknownFigures,
};
use crate::domain::{ItemSeq, shortened};
use crate::store::{Reader, StoreError};

/// Pieces of the timeline.
const PIECES_MAX: usize = 240;

/// What the store does not tell.
#[derive(Debug, Clone, Default)]
pub struct Around {
    pub name: String,
    pub now_ms: u64,
    /// As `status` tells it.
    pub state: String,
    pub running: bool,
    pub paused: bool,
    /// What its files take.
    pub bytes: u64,
}

impl Figures {
    /// `reader` should be one to which the job stays as it is ([`Reader::as_of_now`]).
    pub fn gather(reader: &Reader, job: &JobCommand, around: Around) -> Result<Self, StoreError> {
        let runs = Runs::read(reader, around.running, around.now_ms)?;
        let axis = Axis::new(&runs.spans(), PIECES_MAX);
        let mut pieces: Vec<Piece> = (0..axis.len()).map(|nth| piece(&axis, nth)).collect();
        let (mut items, mut calls, mut routes) = (Items::new(&axis), Calls::new(&axis), Routes::new(&runs.ends));
        reader.for_each_item_span(|span| items.add(span, &mut pieces))?;
        reader.for_each_call_span(|span| calls.add(span, &mut pieces))?;
        calls.finish(&mut pieces);
        reader.for_each_route_event(|event| routes.add(event, &axis, &mut pieces))?;
        Routes::carry(&mut pieces);
        let (breakers, notes) = routes.finish();
        let generations = reader.generations()?;
        let (run_figures, runs_left_out) = runs.figures(&generations);
        let (active_ms, ended) = (runs.active_ms(), runs.ended());
        let mut by_calls = calls.routes;
        by_calls
            .sort_by(|one, other| (other.calls, &one.route, &one.model).cmp(&(one.calls, &other.route, &other.model)));
        let mut figures = Self {
            kind: KIND,
            schema: SCHEMA,
            sandmill: env!("CARGO_PKG_VERSION"),
            made_ms: around.now_ms,
            job: JobFigures {
                name: around.name,
                created_ms: reader.job()?.map_or(0, |job| job.created_ms),
                format: reader.format()?,
                bytes: around.bytes,
                state: around.state,
                running: around.running,
                paused: around.paused,
                runs: runs.records.len() as u64,
                active_ms,
            },
            ended,
            commands: Commands::default(),
            items: items.figures(reader.executions()?, active_ms),
            timeline: Timeline { piece_ms: if pieces.is_empty() { 0 } else { axis.width_ms() }, pieces },
            latency: Latencies { calls: calls.latency.latency(), items: items.latency.latency() },
            errors: calls.errors,
            routes: by_calls.into_iter().map(super::RouteFigures::bounded).collect(),
            breakers,
            notes,
            failures: Failures::read(reader, job)?,
            slowest: Vec::new(),
            dearest: dearest(reader, calls.dearest.into_sorted())?,
            unknown: UnknownFigures {
                cost: Dollars(calls.unknown_cost),
                tokens: calls.unknown_tokens,
                calls: unknown(reader, calls.unknown.into_sorted())?,
            },
            cut: CutFigures {
                items: items.shortened,
                requests: items.requests_cut,
                most: items
                    .cut
                    .into_sorted()
                    .map(|(item, requests)| Ok(CutItem { id: id(reader, item)?, requests }))
                    .collect::<Result<_, StoreError>>()?,
            },
            calls: calls.sums,
            runs: run_figures,
            runs_left_out,
            generations: generation_figures(&generations),
        };
        for (item, state, took_ms) in items.slowest.into_sorted() {
            figures.slowest.push(SlowItem { id: id(reader, item)?, state: state.name(), took_ms });
        }
        figures.commands = next(&figures, items.can_be_tried, job);
        Ok(figures)
    }
}

fn next(figures: &Figures, can_be_tried: u64, job: &JobCommand) -> Commands {
    let Figures { items, job: JobFigures { running, paused, runs, .. }, .. } = figures;
    let is_idle = !running;
    let can_go_on = if is_idle { *runs > 0 && items.pending + can_be_tried > 0 } else { *paused };
    Commands {
        go_on: can_go_on.then(|| job.of("resume")),
        retry: (is_idle && can_be_tried > 0).then(|| job.of("failed retry")),
        export: (items.processed > 0).then(|| job.export()),
    }
}

fn piece(axis: &Axis, nth: usize) -> Piece {
    Piece {
        start_ms: axis.start_ms(nth),
        covered_ms: axis.covered_ms(nth),
        follows_gap: axis.follows_gap(nth),
        ..Piece::default()
    }
}

fn dearest(reader: &Reader, items: impl Iterator<Item = ItemBooks>) -> Result<Vec<DearItem>, StoreError> {
    items
        .map(|books| {
            let ItemBooks { item, calls, input_tokens, output_tokens, cost } = books;
            Ok(DearItem { id: id(reader, item)?, calls, input_tokens, output_tokens, cost: Dollars(cost) })
        })
        .collect()
}

fn unknown(reader: &Reader, calls: impl Iterator<Item = Unknown>) -> Result<Vec<UnknownCall>, StoreError> {
    calls
        .map(|call| {
            let Unknown { item, route, sent_ms, cost } = call;
            Ok(UnknownCall { id: id(reader, item)?, route, sent_ms, cost: Dollars(cost) })
        })
        .collect()
}

/// Empty of an item that is not there, which no whole store has.
fn id(reader: &Reader, item: ItemSeq) -> Result<String, StoreError> {
    Ok(shortened(&reader.item_id(item)?.unwrap_or_default(), NAME_BYTES_MAX).into_owned())
}
