//! What would happen if an instance served two items. It shows that the search of `tests/hostile/isolation.rs` finds what is there to
//! be found, so that finding nothing means something.

use super::attempt::Job;
use super::convert;
use super::plugin::NoModels;
use super::state::{GuestState, Seed};
use super::{Compiling, Engine, Limits, Plugin};
use crate::domain::{AttemptNumber, Budget, Item, ItemId, ItemSeq, Outcome, Verdict};
use std::sync::Arc;

#[path = "../../../tests/hostile/wat.rs"]
#[expect(dead_code, reason = "most of it is for the suite itself")]
mod wat;

fn item() -> Item {
    Item { seq: ItemSeq(1), id: ItemId::new("a").unwrap(), index: 0, json: "{}".into(), blobs: Arc::new([]) }
}

async fn plugin() -> Plugin {
    let engine = Arc::new(Engine::new(Limits::default(), 1).unwrap());
    let bytes = wat::component("isolation");
    Plugin::load(engine, &Compiling::here(), &bytes, false, crate::domain::Digest::of(&bytes)).await.unwrap()
}

fn job() -> Job {
    Job { name: "j".into(), created_unix_ms: 0, config: "{}".into() }
}

#[tokio::test]
async fn an_instance_that_served_two_items_would_give_the_firsts_secret_away() {
    let (plugin, job, item, first) = (plugin().await, job(), item(), AttemptNumber::FIRST);
    let state = GuestState::new(
        plugin.engine(),
        plugin.limits(),
        &Arc::default(),
        &job,
        Seed { item: Some(item.id.clone()), attempt: first },
        Arc::new(NoModels),
        Arc::default(),
    );
    let mut store = plugin.store(state);
    let instance = plugin.linked().instantiate(&mut store).await.unwrap();
    let (item, context) = (convert::item_to_wit(&item), convert::context_to_wit(&job, first, Budget::default()));
    assert!(instance.process(&mut store, &item, &context).await.unwrap().is_ok());
    let second = instance.process(&mut store, &item, &context).await.unwrap();
    assert_eq!(second.unwrap_err().code, "leak");
}

#[tokio::test]
async fn in_one_slot_one_after_the_other_they_find_nothing() {
    let (plugin, job) = (plugin().await, job());
    for _ in 0..20 {
        let report =
            plugin.run_attempt(&job, &item(), AttemptNumber::FIRST, Budget::default(), Arc::new(NoModels)).await;
        assert!(matches!(report.verdict, Verdict::Finished(Outcome::Done(_))), "{:?}", report.verdict);
    }
}
