//! What an attempt starts with: what the store knows of earlier executions of it, in this run and in those before.

use super::Shared;
use crate::domain::{AttemptNumber, Budget, Completion, ItemSeq, LlmError};
use crate::resilience::{Amount, QuestionKey, Spending, Told};
use crate::store::{self, ItemHistory, StoreError, Took};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(super) struct Start {
    pub(super) number: AttemptNumber,
    /// Of the item, before this run.
    pub(super) executions: u32,
    pub(super) budget: Budget,
    pub(super) context: Option<String>,
    pub(super) answers: HashMap<QuestionKey, Completion>,
    pub(super) not_again: HashSet<QuestionKey>,
    /// Those of the answers that were there when the attempt began.
    pub(super) earlier: Option<Arc<HashSet<QuestionKey>>>,
    /// What executions of this run were told of calls that failed.
    pub(super) errors: HashMap<QuestionKey, LlmError>,
    /// What all executions of this run took, and what the last one asked last if it failed.
    pub(super) took: Took,
    pub(super) last_request: Option<String>,
    pub(super) spent: Amount,
    pub(super) told: Told,
}

impl Start {
    /// Of the first attempt of this run. `has_history`: there may be something in the store.
    pub(super) async fn look(shared: &Shared, item: ItemSeq, has_history: bool) -> Result<Self, StoreError> {
        let Spending { micro_dollars_max, tokens_max } = shared.item_spending;
        let budget =
            Budget { calls: Some(shared.item_calls_max), tokens: tokens_max, micro_dollars: micro_dollars_max };
        let first = Self {
            number: AttemptNumber::FIRST,
            executions: 0,
            budget,
            context: None,
            answers: HashMap::new(),
            not_again: HashSet::new(),
            earlier: None,
            errors: HashMap::new(),
            took: Took::default(),
            last_request: None,
            spent: Amount::default(),
            told: Told::default(),
        };
        if !has_history {
            return Ok(first);
        }
        let ItemHistory { next_attempt, context, executions, answers, unknown, cost, tokens, told } =
            shared.store.history(item).await?;
        Ok(Self {
            number: next_attempt,
            executions,
            budget: context.as_deref().and_then(store::budget_from_context).unwrap_or(budget),
            context,
            answers: answers.into_iter().map(|entry| ((entry.hash, entry.occurrence), entry.completion)).collect(),
            not_again: if shared.fails_unknown { unknown.into_iter().collect() } else { HashSet::new() },
            spent: Amount { micro_dollars: cost, tokens },
            told: Told::new(told),
            ..first
        })
    }

    /// Before the same attempt is executed once more in this run: what the journal has of it by now, and what failed meanwhile.
    pub(super) async fn again(
        &mut self,
        shared: &Shared,
        item: ItemSeq,
        errors: HashMap<QuestionKey, LlmError>,
    ) -> Result<(), StoreError> {
        let Self { answers, told, not_again, .. } = Self::look(shared, item, true).await?;
        (self.answers, self.told, self.not_again) = (answers, told, not_again);
        self.errors.extend(errors);
        Ok(())
    }

    /// Of the attempt after one that the plugin rejected.
    pub(super) fn next(self) -> Self {
        Self {
            number: self.number.next(),
            context: None,
            answers: HashMap::new(),
            not_again: HashSet::new(),
            earlier: None,
            errors: HashMap::new(),
            took: Took::default(),
            told: Told::default(),
            ..self
        }
    }
}
