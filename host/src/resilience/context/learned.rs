//! What a run finds out about a model's window: from what the provider tells of it, and from requests that did not fit.

use super::window::{KnownWindow, Weight, Window};
use crate::provider::ModelFacts;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The window of one route. What the operator set goes before what is publicly known of the model and what its server tells,
/// of which the less counts; a refusal goes before them all.
#[derive(Debug)]
pub(crate) struct LearnedWindow {
    set: KnownWindow,
    listed: KnownWindow,
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    told: KnownWindow,
    /// From refusals.
    lessons: KnownWindow,
    weight: Weight,
}

impl LearnedWindow {
    /// `set`: by the operator. `listed`: in the catalogue.
    pub(crate) fn new(set: KnownWindow, listed: KnownWindow) -> Self {
        Self { set, listed, learned: Mutex::default() }
    }

    /// Whether the provider is to be asked. Its list says little of a vendor's own models that is not in the catalogue; a server
    /// of one's own may take less than the model could.
    pub(crate) fn wants_facts(&self, is_vendors_own: bool) -> bool {
        self.set.context.is_none() && !(is_vendors_own && self.listed.context.is_some())
    }

    pub(crate) fn told(&self, facts: ModelFacts) {
        let ModelFacts { context, max_output } = facts;
        self.learned().told = KnownWindow { context, max_input: None, max_output };
    }

    /// What is known by now.
    pub(crate) fn known(&self) -> KnownWindow {
        let learned = self.learned();
        self.set.or(self.listed.least(learned.told)).least(learned.lessons)
    }

    /// `assumed`: the context of a model of which nothing is known.
    pub(crate) fn get(&self, assumed: u64) -> Window {
        let known = self.known();
        Window { weight_of_cuts: self.learned().weight, ..Window::new(known, assumed) }
    }

    /// From a refusal. A guess at the input counts only where nothing else is known of the model: where something is, it was our
    /// count of that one request that was too low.
    pub(crate) fn learn(&self, lesson: KnownWindow, is_trial: bool) {
        let mut learned = self.learned();
        let is_known = self.set.or(self.listed.least(learned.told)).context.is_some();
        let max_input = lesson.max_input.filter(|_| !(is_trial && is_known));
        learned.lessons = learned.lessons.least(KnownWindow { max_input, ..lesson });
    }

    /// The provider counted a request so.
    pub(crate) fn weighed(&self, weight: Weight) {
        let mut learned = self.learned();
        learned.weight = learned.weight.heavier(weight);
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn context(tokens: u64) -> KnownWindow {
        KnownWindow { context: Some(tokens), max_input: None, max_output: None }
    }

    const NOTHING: KnownWindow = KnownWindow { context: None, max_input: None, max_output: None };

    #[test]
    fn what_the_operator_set_is_not_overruled_by_what_is_told_and_stays_beside_it() {
        let learned = LearnedWindow::new(context(1_000), context(9_000));
        assert!(!learned.wants_facts(false));
        learned.told(ModelFacts { context: Some(500), max_output: None });
        assert_eq!(learned.get(16_000).context, 1_000);
        let learned = LearnedWindow::new(KnownWindow { max_output: Some(700), ..NOTHING }, NOTHING);
        learned.told(ModelFacts { context: Some(9_000), max_output: Some(2_000) });
        let window = learned.get(16_000);
        assert_eq!((window.context, window.max_output), (9_000, Some(700)));
    }

    #[test]
    fn a_server_of_ones_own_is_asked_and_the_less_counts() {
        let learned = LearnedWindow::new(NOTHING, context(128_000));
        assert!(learned.wants_facts(false) && !learned.wants_facts(true));
        learned.told(ModelFacts { context: Some(4_096), max_output: None });
        assert_eq!(learned.get(16_000).context, 4_096);
        learned.told(ModelFacts { context: Some(1_000_000), max_output: None });
        assert_eq!(learned.get(16_000).context, 128_000);
        assert!(LearnedWindow::new(NOTHING, NOTHING).wants_facts(true));
    }

    #[test]
    fn a_guess_counts_for_a_model_of_which_nothing_is_known_and_for_no_other() {
        let lesson = KnownWindow { max_input: Some(3_500), ..NOTHING };
        for (listed, expected) in [(NOTHING, Some(3_500)), (context(128_000), None)] {
            let learned = LearnedWindow::new(NOTHING, listed);
            learned.learn(lesson, true);
            assert_eq!(learned.get(16_000).max_input, expected);
        }
        let learned = LearnedWindow::new(context(128_000), NOTHING);
        learned.learn(context(8_000), false);
        assert_eq!(learned.get(16_000).context, 8_000, "what was told counts whatever was set");
    }
}
