//! `--metrics`: the figures of a run, served from before the plugin is made ready until the summary is written.

use super::super::{memory, settings};
use super::RunArgs;
use super::standing::UnderWay;
use crate::config::Config;
use crate::domain::EventSink;
use crate::metrics::{Meters, Server};
use crate::monitor::{RunFacts, Standing};
use crate::progress::Console;
use anyhow::Context;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Runtime;
use tokio_util::task::AbortOnDropHandle;

/// What is asked when somebody scrapes.
#[derive(Default)]
struct Book {
    /// Once it is known what the run is.
    meters: OnceLock<Arc<Meters>>,
    /// Once the work has begun.
    work: OnceLock<UnderWay>,
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
            console.insist(&told);
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
    pub(super) fn count(&self, facts: &RunFacts) {
        self.book.meters.get_or_init(|| Arc::new(Meters::new(facts.clone())));
    }

    pub(super) fn listener(&self) -> Option<Arc<dyn EventSink>> {
        self.book.meters.get().map(|meters| Arc::clone(meters) as Arc<dyn EventSink>)
    }

    /// From now on there is something to look at.
    pub(super) fn begin(&self, work: UnderWay) {
        self.book.work.get_or_init(|| work);
    }
}

impl Book {
    fn standing(&self) -> Standing {
        match self.work.get() {
            Some(work) => work.standing(),
            None => Standing { memory: memory::resident(), ..Standing::default() },
        }
    }
}
