//! What a run takes up is a function of the input and the store alone: held against a model of it that fits a page.

use super::register::{DuplicatePolicy, Extent, Shard, register};
use crate::domain::{Emission, Failure, FailureClass, ItemId, ItemSeq};
use crate::input::{Entry, Record};
use crate::store::{
    AttemptId, Counts, Generation, GenerationId, ItemEnd, ItemOutcome, JobName, NewJob, RunId, Store, Take, Took,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One run: an input, how it is run, and how its first items end.
#[derive(Debug, Clone)]
struct Run {
    /// (id, content), ids unique.
    input: Vec<(u8, u8)>,
    generation: u8,
    redo: bool,
    skip_failed: bool,
    /// In the order in which items are handed out: whether each succeeds. The run stops behind the last.
    ends: Vec<bool>,
}

fn a_run() -> impl Strategy<Value = Run> {
    let input = prop::collection::btree_map(0_u8..8, 0_u8..3, 0..8).prop_map(|map| map.into_iter().collect::<Vec<_>>());
    let input = input.prop_shuffle();
    let ends = prop::collection::vec(any::<bool>(), 0..8);
    (input, 0_u8..2, any::<bool>(), any::<bool>(), ends).prop_map(|(input, generation, redo, skip_failed, ends)| Run {
        input,
        generation,
        redo,
        skip_failed,
        ends,
    })
}

/// What is known of an item: its content, and how it ended with that, under which generation.
#[derive(Debug, Default)]
struct Model {
    items: BTreeMap<u8, (u8, Option<(bool, u8)>)>,
}

impl Model {
    fn register(&mut self, run: &Run) {
        for (id, content) in &run.input {
            let known = self.items.entry(*id).or_insert((*content, None));
            if known.0 != *content {
                *known = (*content, None);
            }
        }
        if run.redo {
            // Whatever left the input too: it is of another kind should it come back.
            for (_, ended) in self.items.values_mut() {
                if ended.is_some_and(|(done, generation)| done && generation != run.generation) {
                    *ended = None;
                }
            }
        }
    }

    fn taken_up(&self, run: &Run) -> Vec<u8> {
        let is_taken = |id: &u8| match self.items[id].1 {
            None => true,
            Some((done, _)) => !done && !run.skip_failed,
        };
        run.input.iter().map(|(id, _)| *id).filter(is_taken).collect()
    }

    fn counts(&self, run: &Run) -> Counts {
        let count = |ended: Option<bool>| {
            run.input.iter().filter(|(id, _)| self.items[id].1.map(|(done, _)| done) == ended).count() as u64
        };
        Counts { total: run.input.len() as u64, done: count(Some(true)), skipped: 0, failed: count(Some(false)) }
    }
}

fn records(run: &Run) -> impl Iterator<Item = Result<Record, crate::input::InputError>> {
    (1..).zip(run.input.clone()).map(|(line, (id, content))| {
        let id = ItemId::new(&format!("i{id}")).unwrap();
        let entry = Entry::new(Some(id.clone()), format!("{{\"id\":\"{id}\",\"content\":{content}}}"));
        Ok(Record { line, entry: Ok(entry) })
    })
}

fn end(item: ItemSeq, run: RunId, generation: GenerationId, done: bool) -> ItemEnd {
    let value = Emission { value: "1".into(), name: None, extra: Vec::new() };
    ItemEnd {
        item,
        attempt: AttemptId(1),
        generation,
        run,
        ended_ms: 1,
        attempts: 1,
        took: Took::default(),
        last_request: None,
        end: if done {
            ItemOutcome::Done(vec![value])
        } else {
            ItemOutcome::Failed(Failure::new(FailureClass::Trap, "m"))
        },
        logs: Vec::new(),
    }
}

/// Before anything runs.
fn prepare(store: &Store, run: &Run) {
    let extent = Extent { limit: None, shard: Shard::WHOLE };
    register(records(run), store, DuplicatePolicy::Error, extent, "mark", 1).unwrap();
    if run.redo {
        store.forget_other_generations(digest(run)).unwrap();
    }
}

fn digest(run: &Run) -> String {
    format!("g{}", run.generation)
}

/// One run against the store; what it was handed, and the counts behind it.
async fn carry_out(store: &Store, run: &Run) -> (Vec<u8>, Counts) {
    let generation = Generation {
        plugin_name: "p".into(),
        plugin_version: "1".into(),
        plugin_digest: "d".into(),
        config: "{}".into(),
        model: String::new(),
    };
    let (run_id, generation, _) = store.begin_run(digest(run), generation, 1, "{}".into()).await.unwrap();
    let (mut handed, mut cursor) = (Vec::new(), None);
    loop {
        let take = if run.skip_failed { Take::Pending } else { Take::PendingAndFailed };
        let page = store.pending(cursor, 3, take, run_id).await.unwrap();
        for pending in &page.items {
            let id = pending.item.id.as_str().trim_start_matches('i').parse().unwrap();
            if let Some(done) = run.ends.get(handed.len()) {
                store.item_end(end(pending.item.seq, run_id, generation, *done)).await.unwrap().wait().await.unwrap();
            }
            handed.push(id);
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    (handed, store.reader().counts().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_taken_up_follows_from_input_and_store(runs in prop::collection::vec(a_run(), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let job = JobName::new("j").unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let mut model = Model::default();
        for run in &runs {
            // Each run is a process of its own.
            let new = NewJob { created_ms: 1, seed: 0, arguments: "{}".into() };
            let (store, _) = Store::create_or_open(folder.path(), &job, &new).unwrap();
            model.register(run);
            let expected = model.taken_up(run);
            prepare(&store, run);
            let (handed, counts) = runtime.block_on(carry_out(&store, run));
            prop_assert_eq!(&handed, &expected);
            for (id, done) in handed.iter().zip(&run.ends) {
                model.items.get_mut(id).unwrap().1 = Some((*done, run.generation));
            }
            prop_assert_eq!(counts, model.counts(run));
            store.close().unwrap();
        }
    }
}
