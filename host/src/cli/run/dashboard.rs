//! `--dashboard`: the live page, served from before the plugin is made ready until pages have read how the run ended.

use super::super::job_ref::JobRef;
use super::super::{Failure, card, pause, settings};
use super::RunArgs;
use crate::config::Config;
use crate::dashboard::{Board, Ending, Running, Server, ServerSettings, Steer, Taken, Token};
use crate::monitor::Monitor;
use crate::progress::Console;
use crate::report::EndedSummary;
use crate::store::JobName;
use anyhow::Context;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) struct Dashboard {
    board: Arc<Board>,
    closing: CancellationToken,
    serving: JoinHandle<()>,
}

impl Dashboard {
    /// That it can be listened on is known before anything is paid for.
    pub(super) fn serve(
        args: &RunArgs,
        config: &Config,
        job: &JobName,
        runtime: &Runtime,
        console: &Console,
    ) -> anyhow::Result<Option<Self>> {
        let Some(address) = settings::dashboard(args, config)?.filter(|_| !args.dry_run) else {
            return Ok(None);
        };
        let token = Token::random()?;
        let server = runtime
            .block_on(Server::bind(address))
            .with_context(|| format!("cannot listen on {address} (--dashboard, or [run] dashboard)"))?;
        if !address.ip().is_loopback() {
            console.say(&format!(
                "warning: the dashboard can be reached from other machines at {}, over HTTP that nobody encrypts: whoever reads along can pause the job",
                server.address()
            ));
        }
        // Whoever wants quiet still has to know the secret.
        let told = format!("Dashboard at {}", server.url(&token));
        console.insist(&told);
        let (board, closing) = (Arc::new(Board::new(job.to_string())), CancellationToken::new());
        let serving = server.serve(ServerSettings { token, board: Arc::clone(&board) }, closing.clone());
        let console = console.clone();
        let serving = runtime.spawn(async move {
            if let Err(error) = serving.await {
                console.say(&format!("warning: the dashboard is no longer served: {error}"));
            }
        });
        Ok(Some(Self { board, closing, serving }))
    }

    /// From now on there is something to look at.
    pub(super) fn begin(&self, monitor: &Arc<Monitor>, dir: &Path, job: &JobName) {
        let asking = Asking(JobRef { dir: dir.to_path_buf(), name: job.clone() });
        let (dir, name) = (dir.to_path_buf(), job.clone());
        self.board.begin(Running {
            monitor: Arc::clone(monitor),
            command: card::job_command(job.as_str(), Some(&dir)),
            open: Box::new(move || crate::store::Reader::open(&dir, &name)),
            steer: Arc::new(asking),
        });
    }

    /// So the run has ended.
    pub(super) fn conclude(&self, ended: &EndedSummary) {
        self.board.end(Ending::Concluded(ended.clone()));
    }

    /// Ends it, once pages have read how the run ended; `failure`: what it ended with, if there was no summary.
    pub(super) fn close(dashboard: Option<Self>, runtime: &Runtime, failure: Option<&Failure>) {
        let Some(Self { board, closing, serving }) = dashboard else { return };
        let reason = failure.map_or_else(|| "it ended without a summary".to_owned(), |failure| failure.told(false));
        let exit_code = failure.map_or(1, |failure| failure.exit.number());
        // What was told before holds.
        board.end(Ending::Broken { reason, exit_code });
        closing.cancel();
        // What goes wrong in it has been said, or is a panic that was shown.
        let _ = runtime.block_on(serving);
    }
}

/// The way that `sandmill pause` and `sandmill resume` go, so that it is stored and shown alike.
struct Asking(JobRef);

#[async_trait]
impl Steer for Asking {
    async fn pause(&self, is_paused: bool) -> Result<Taken, String> {
        match pause::asked(&self.0, |control| control.paused = is_paused).await {
            Ok(pause::Taken::Yes) => Ok(Taken::Yes),
            Ok(pause::Taken::Later) => Ok(Taken::Later),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}
