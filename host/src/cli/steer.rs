//! The run's end of what other processes ask of it: looks twice a second, checks as at the start, and answers.

use super::routes::Planned;
use super::run_args::RunArgs;
use super::set::{Change, stored_with};
use super::settings;
use crate::clock::Clock;
use crate::config::Config;
use crate::progress::Console;
use crate::resilience::Stack;
use crate::run::Orders;
use crate::store::control::{self, Control};
use crate::store::{JobName, NewRouteEvent, RunId, Store, StoreError};
use anyhow::bail;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Steering<'a> {
    /// As they hold now.
    pub(super) args: RunArgs,
    pub(super) config: &'a Config,
    pub(super) routes: &'a Planned,
    pub(super) store: Store,
    pub(super) stack: Arc<Stack>,
    /// Plugin instances that there is room for.
    pub(super) live_max: u32,
    pub(super) console: &'a Console,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dir: PathBuf,
    pub(super) job: JobName,
    pub(super) run: RunId,
    pub(super) orders: watch::Sender<Orders>,
}

impl Steering<'_> {
    /// Until it is dropped.
    pub(super) async fn follow(mut self) {
        let mut taken = 0;
        let mut warned = String::new();
        loop {
            self.clock.sleep(LOOK_EVERY).await;
            let result = match self.look().await {
                Ok(control) if control.serial != taken => {
                    taken = control.serial;
                    self.obey(&control).await
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            // The run goes on as it was; once is enough.
            let warning = result.err().map(|error| format!("warning: {error:#}")).unwrap_or_default();
            if warning != warned && !warning.is_empty() {
                self.console.say(&warning);
            }
            warned = warning;
        }
    }

    async fn look(&self) -> anyhow::Result<Control> {
        let (dir, job) = (self.dir.clone(), self.job.clone());
        Ok(tokio::task::spawn_blocking(move || control::read(&dir, &job)).await??)
    }

    async fn obey(&mut self, control: &Control) -> anyhow::Result<()> {
        let work = &self.args.work;
        let changes: Vec<Change> = [
            control.concurrency.filter(|number| work.concurrency != Some(*number)).map(Change::Concurrency),
            control.max_cost.filter(|most| self.args.provider.max_cost != Some(*most)).map(Change::MaxCost),
        ]
        .into_iter()
        .flatten()
        .collect();
        let (mut made, mut refused) = (Vec::new(), Vec::new());
        for change in changes {
            match self.make(change) {
                Ok(()) => made.push(change),
                Err(error) => refused.push(format!("{error:#}")),
            }
        }
        let was_paused = self.orders.borrow().paused;
        self.orders.send_modify(|orders| orders.paused = control.paused);
        match (was_paused, control.paused) {
            (false, true) => self.console.say(&format!(
                "Paused: what is in flight ends, nothing new is begun; `sandmill resume {}` lets the job go on",
                self.job
            )),
            (true, false) => self.console.say("The job goes on"),
            (true, true) | (false, false) => {}
        }
        let (store, dir, job, serial) = (self.store.clone(), self.dir.clone(), self.job.clone(), control.serial);
        let remembered = made.clone();
        let replied = tokio::task::spawn_blocking(move || {
            if !remembered.is_empty() {
                remember(&store, &remembered)?;
            }
            control::reply(&dir, &job, serial, refused)?;
            anyhow::Ok(())
        });
        let replied = replied.await;
        if was_paused != control.paused {
            let words = if control.paused { ["runs", "paused"] } else { ["paused", "runs"] };
            self.record(words[0], words[1]).await?;
        }
        for change in made {
            self.record(change.name(), &change.value()).await?;
            if let Change::MaxCost(most) = change {
                self.stack.limit_cost(most);
            }
        }
        replied?
    }

    /// Into the books: it explains what became of the job's pace.
    async fn record(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let detail = serde_json::json!({"from": from, "to": to, "reason": "asked for from outside"});
        let event = NewRouteEvent {
            run: self.run,
            at_ms: self.clock.unix_ms(),
            route: String::new(),
            kind: "job",
            detail: detail.to_string(),
        };
        self.store.enqueue_route_event(event).await
    }

    fn make(&mut self, change: Change) -> anyhow::Result<()> {
        change.check(&self.args, self.config)?;
        let mut changed = self.args.clone();
        change.apply(&mut changed);
        match change {
            Change::MaxCost(_) => {
                self.routes.check_priced("--max-cost")?;
                // The limit itself once this is answered: it may end the run.
                self.console.say(&format!("The job may cost {} from now on", change.value()));
            }
            Change::Concurrency(number) => {
                if self.args.work.max_instances.is_none() && number > self.live_max {
                    bail!(
                        "this run has room for {} plugin instances: set at most that, or stop it and run it again with --concurrency {number}",
                        self.live_max
                    );
                }
                let live = settings::instances(&changed, self.config).min(self.live_max);
                self.orders.send_modify(|orders| {
                    (orders.concurrency, orders.live) = (number as usize, live as usize);
                });
                self.console.say(&format!("Up to {number} items are in flight from now on"));
            }
        }
        self.args = changed;
        Ok(())
    }
}

/// For the next `resume`.
fn remember(store: &Store, changes: &[Change]) -> anyhow::Result<()> {
    let job = store.reader().job()?.ok_or(StoreError::Closed)?;
    store.set_arguments(stored_with(&job.arguments, changes)?)?;
    Ok(())
}
