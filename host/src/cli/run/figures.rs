//! `--metrics`: the figures of a run, served from before the plugin is made ready until the summary is written.

use super::super::{Failure, settings};
use super::{RunArgs, Session};
use crate::config::Config;
use crate::domain::EventSink;
use crate::metrics::{Meters, RunFacts, Server, Standing};
use crate::progress::Console;
use crate::run::{Control, Shared};
use crate::store::Counts;
use anyhow::Context;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Runtime;
use tokio_util::task::AbortOnDropHandle;

/// What is asked when somebody scrapes.
#[derive(Default)]
struct Book {
    /// Once it is known what the run is.
    meters: OnceLock<Arc<Meters>>,
    /// Once the work has begun.
    source: OnceLock<(Arc<Shared>, Control)>,
}

pub(super) struct Figures {
    book: Arc<Book>,
    /// Ends with it.
    _serving: AbortOnDropHandle<()>,
}

impl Figures {
    /// That it can be listened on is known before anything is paid for.
    pub(super) fn serve(
        args: &RunArgs,
        config: &Config,
        runtime: &Runtime,
        console: &Console,
    ) -> anyhow::Result<Option<Self>> {
        let Some(address) = settings::metrics(args, config)?.filter(|_| !args.dry_run) else {
            return Ok(None);
        };
        let server = runtime
            .block_on(Server::bind(address))
            .with_context(|| format!("cannot listen on {address} (--metrics, or [run] metrics)"))?;
        let told = format!("Metrics at http://{}/metrics", server.address());
        // Whoever wants quiet still has to know the port that was found.
        if args.quiet && address.port() == 0 {
            eprintln!("{told}");
        } else {
            console.say(&told);
        }
        let (book, console) = (Arc::new(Book::default()), console.clone());
        let asked = Arc::clone(&book);
        let serving = server.serve(move || Some(asked.meters.get()?.text(&asked.standing())));
        let task = runtime.spawn(async move {
            if let Err(error) = serving.await {
                console.say(&format!("warning: metrics are no longer served: {error}"));
            }
        });
        Ok(Some(Self { book, _serving: AbortOnDropHandle::new(task) }))
    }

    /// From now on there is something to count. There is one run a process.
    pub(super) fn count(&self, session: &Session<'_>, before: Counts, started_ms: u64) -> Result<(), Failure> {
        let manifest = session.prepared.plugin.manifest();
        let facts = RunFacts {
            job: session.job.to_string(),
            plugin: manifest.name.clone(),
            plugin_version: manifest.version.clone(),
            started_ms,
            total: before.total,
            before: session.already(before)?,
        };
        self.book.meters.get_or_init(|| Arc::new(Meters::new(facts)));
        Ok(())
    }

    pub(super) fn listener(&self) -> Option<Arc<dyn EventSink>> {
        self.book.meters.get().map(|meters| Arc::clone(meters) as Arc<dyn EventSink>)
    }

    /// From now on there is something to look at.
    pub(super) fn begin(&self, shared: Arc<Shared>, control: Control) {
        self.book.source.get_or_init(|| (shared, control));
    }
}

impl Book {
    fn standing(&self) -> Standing {
        let memory = memory();
        let Some((shared, control)) = self.source.get() else { return Standing { memory, ..Standing::default() } };
        let orders = control.orders();
        let limit = orders.live as u64;
        Standing {
            routes: shared.stack.status(),
            items_in_flight: shared.under_way.load(Ordering::Relaxed),
            instances: limit.saturating_sub(shared.live.available_permits() as u64),
            instances_max: limit,
            is_paused: orders.paused,
            memory,
        }
    }
}

/// Resident, in bytes; `None`: the system does not say.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}
