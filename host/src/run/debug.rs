//! One attempt by itself: what a worker does with an item, with nothing stored and nobody asked.

use super::{Blobs, Contract};
use crate::domain::{AttemptNumber, BlobFile, Budget, Failure, Item, Llm, Outcome, Verdict};
use crate::sandbox::{AttemptReport, Job, Plugin, Watch};
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;

/// What surrounds it.
pub struct Debugging<'a> {
    pub plugin: &'a Plugin,
    pub job: &'a Job,
    pub contract: &'a Contract,
    pub blobs: &'a Blobs,
}

impl Debugging<'_> {
    /// `files`: those of the item, read now.
    pub async fn attempt(
        &self,
        mut item: Item,
        files: Vec<BlobFile>,
        number: AttemptNumber,
        budget: Budget,
        llm: Arc<dyn Llm>,
        watch: Watch,
    ) -> Result<AttemptReport, StoreError> {
        let _room = match self.blobs.load(files).await? {
            Ok((blobs, room)) => {
                item.blobs = blobs;
                room
            }
            Err(failure) => return Ok(never_begun(failure)),
        };
        if let Err(failure) = self.contract.check_item(&item) {
            return Ok(never_begun(failure));
        }
        let mut report = self.plugin.watch_attempt(self.job, &item, number, budget, llm, watch).await;
        if let Verdict::Finished(Outcome::Done(emissions)) = &mut report.verdict {
            report.verdict = self.contract.verdict(std::mem::take(emissions)).await;
        }
        Ok(report)
    }
}

fn never_begun(failure: Failure) -> AttemptReport {
    AttemptReport {
        verdict: Verdict::Failed(failure),
        log: Vec::new(),
        cpu_time: Duration::ZERO,
        memory_bytes: 0,
        coredump: None,
    }
}
