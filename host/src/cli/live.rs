//! Models that are really asked, for items outside of any job: everything that stands between a plugin and a provider in a run, over a
//! store that is thrown away.

use super::loading::Loaded;
use super::routes::Planned;
use super::trying::Trying;
use super::{Failure, settings};
use crate::clock::Clock;
use crate::domain::{AttemptNumber, Budget, ItemId, ItemSeq};
use crate::input::{Entry, InputError, Record};
use crate::resilience::{
    Amount, Halt, HaltReason, ItemSession, SessionStart, Spending, Stack, StackAround, StackSettings, Told,
};
use crate::run::{DuplicatePolicy, Extent, Shard, register};
use crate::store::{self, Generation, JobName, NewAttempt, NewJob, RunId, Store, StoreError};
use anyhow::Context;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tempfile::TempDir;

const JOB: &str = "trial";

pub(super) struct Live {
    store: Store,
    stack: Arc<Stack>,
    halt: Arc<Halt>,
    clock: Arc<dyn Clock>,
    run: RunId,
    roles: Arc<[String]>,
    /// What an item may use.
    budget: Budget,
    /// What is tried, as events call it, and what stands for it in the store.
    items: Vec<(ItemId, ItemSeq)>,
    _folder: TempDir,
}

impl Live {
    /// `items`: what each is called, which no other is.
    pub(super) fn open(
        trying: &Trying,
        loaded: &Loaded,
        routes: &Planned,
        items: Vec<ItemId>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()
            .context("cannot make a folder for the answers (TMPDIR says where)")
            .map_err(Failure::internal)?;
        let created_ms = clock.unix_ms();
        let seed = trying.args.provider.seed;
        let new = NewJob { created_ms, seed, arguments: "{}".into() };
        let (store, _) = Store::create_or_open(folder.path(), &JobName::new(JOB)?, &new)?;
        let items = placeholders(&store, items, created_ms)?;
        let manifest = loaded.plugin.manifest();
        let generation = Generation {
            plugin_name: manifest.name.clone(),
            plugin_version: manifest.version.clone(),
            plugin_digest: loaded.plugin.digest().to_owned(),
            config: "{}".into(),
            model: routes.models(),
        };
        let begun = store.begin_run(String::new(), generation, created_ms, "{}".into());
        let (run, ..) = trying.runtime.block_on(begun)?;
        let halt = Arc::new(Halt::default());
        let provider = &trying.args.provider;
        let stack = Stack::new(
            routes.with_prices(&store)?,
            StackSettings {
                retry: settings::retry(&trying.args, &trying.config)?,
                calls_max: provider.max_calls,
                context: settings::context(&trying.args, &trying.config)?,
                spending: Spending { micro_dollars_max: provider.max_cost, tokens_max: provider.max_tokens },
                spent: Amount::default(),
                // Nobody takes the calls of one trial for those of another.
                job: format!("{JOB} {created_ms} {}", folder.path().display()),
                seed,
            },
            StackAround {
                halt: Arc::clone(&halt),
                clock: Arc::clone(&clock),
                events: Arc::new(trying.console.clone()),
                store: store.clone(),
                run,
                runtime: trying.runtime.handle().clone(),
            },
        );
        let roles = manifest.model_roles.iter().map(|role| role.name.clone()).collect();
        let budget = trying.budget()?;
        Ok(Self { store, stack: Arc::new(stack), halt, clock, run, roles, budget, items, _folder: folder })
    }

    /// For one attempt at the item of this number; `spent`: by the attempts before.
    pub(super) async fn session(
        &self,
        nth: usize,
        number: AttemptNumber,
        spent: Amount,
    ) -> Result<Arc<ItemSession>, StoreError> {
        let (item, seq) = self.items.get(nth).cloned().ok_or(StoreError::Closed)?;
        let context = store::context_of_budget(self.budget);
        let began_ms = self.clock.unix_ms();
        let attempt =
            self.store.enqueue_attempt(NewAttempt { item: seq, number, run: self.run, context, began_ms }).await?;
        let start = SessionStart {
            item,
            seq,
            attempt,
            number,
            answers: HashMap::new(),
            earlier: Arc::default(),
            patience: None,
            not_again: HashSet::new(),
            roles: Arc::clone(&self.roles),
            told: Told::default(),
            calls_max: self.budget.calls.unwrap_or(u64::MAX),
            spending: Spending { micro_dollars_max: self.budget.micro_dollars, tokens_max: self.budget.tokens },
            spent,
        };
        Ok(Arc::new(ItemSession::new(Arc::clone(&self.stack), start)))
    }

    /// Why nobody is asked any more.
    pub(super) fn halted(&self) -> Option<HaltReason> {
        self.halt.reason()
    }

    /// By all items together.
    pub(super) fn spent(&self) -> Amount {
        self.stack.spent()
    }
}

/// What a plugin is handed need not be known to the store, whose rows only want an item to belong to.
fn placeholders(store: &Store, items: Vec<ItemId>, now_ms: u64) -> Result<Vec<(ItemId, ItemSeq)>, Failure> {
    let record = |(line, id): (u64, &ItemId)| {
        Ok::<_, InputError>(Record { line, entry: Ok(Entry::new(Some(id.clone()), "{}".into())) })
    };
    let extent = Extent { limit: None, shard: Shard::WHOLE };
    register((1..).zip(&items).map(record), store, DuplicatePolicy::Error, extent, "trial", now_ms)?;
    let with_seq = |id: ItemId| {
        let detail = store
            .reader()
            .item(id.as_str())?
            .context("an item that was registered is gone: run the same command again");
        let seq = detail.map_err(Failure::internal)?.row.seq;
        Ok((id, ItemSeq(seq)))
    };
    items.into_iter().map(with_seq).collect()
}
