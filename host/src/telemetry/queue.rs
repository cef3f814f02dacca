//! Spans on their way out: a bounded queue, and one task that sends what is in it. What does not fit, or is not taken, is counted.

use super::links::Links;
use super::names::{JOB, outside};
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Spans that wait; at some kilobytes each.
const WAITING_MAX: usize = 8_192;
/// Spans of one request.
const BATCH: usize = 512;
/// How long the first of them waits for others.
const DELAY: Duration = Duration::from_secs(5);

/// What became of spans.
#[derive(Debug, Default)]
pub(super) struct Books {
    ended: AtomicU64,
    sent: AtomicU64,
    /// Why the last of those was lost that were.
    complaint: Mutex<Option<String>>,
    /// The job's own span has ended; it is the last.
    pub(super) is_whole: Notify,
}

impl Books {
    /// Those that nobody was told of, once nothing is sent any more.
    pub(super) fn lost(&self) -> u64 {
        self.ended.load(Ordering::Relaxed).saturating_sub(self.sent.load(Ordering::Relaxed))
    }

    pub(super) fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn complain(&self, why: String) {
        *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

/// Takes spans that have ended, and never waits.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    books: Arc<Books>,
    links: Links,
}

impl Queue {
    pub(super) fn new(books: Arc<Books>) -> (Self, mpsc::Receiver<SpanData>) {
        let (spans, waiting) = mpsc::channel(WAITING_MAX);
        (Self { spans, books, links: Links::default() }, waiting)
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, span: &mut Span, _context: &Context) {
        self.links.begin(span);
    }

    fn on_end(&self, span: SpanData) {
        self.links.end(&span);
        if !span.span_context.is_sampled() {
            return;
        }
        let is_last = span.name == JOB;
        self.books.ended.fetch_add(1, Ordering::Relaxed);
        if self.spans.try_send(outside(span)).is_err() {
            self.books.complain("more of them end than the collector takes: lower [telemetry] sample".into());
        }
        if is_last {
            self.books.is_whole.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// The task ends when it is told to.
    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends until `ending`, and then what is left.
pub(super) async fn send<E: SpanExporter>(
    exporter: E,
    mut spans: mpsc::Receiver<SpanData>,
    books: Arc<Books>,
    ending: CancellationToken,
) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            () = ending.cancelled(), if !spans.is_closed() => {
                spans.close();
                continue;
            }
            taken = spans.recv_many(&mut batch, BATCH) => if taken == 0 { return },
        }
        let fill = async {
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                if spans.recv_many(&mut batch, room).await == 0 {
                    return;
                }
            }
        };
        tokio::select! {
            () = fill => {}
            () = tokio::time::sleep(DELAY) => {}
            () = ending.cancelled() => {}
        }
        let count = batch.len() as u64;
        match exporter.export(batch).await {
            Ok(()) => {
                books.sent.fetch_add(count, Ordering::Relaxed);
            }
            Err(error) => books.complain(error.to_string()),
        }
    }
}
