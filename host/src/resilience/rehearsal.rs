//! A provider for rehearsals: the mock answers, and the tokens are counted as those of the model in whose place it stands.

use super::context::{self, Counting};
use crate::provider::{Answer, Call, Measure, ModelFacts, Provider, ProviderError};
use async_trait::async_trait;
use std::sync::Arc;

/// Asks nobody.
pub struct Rehearsal {
    answers: Arc<dyn Provider>,
    /// Who may tell what its models take, since it is asked nothing by that.
    told_by: Option<Arc<dyn Provider>>,
    counting: Counting,
}

impl Rehearsal {
    pub fn new(answers: Arc<dyn Provider>, told_by: Option<Arc<dyn Provider>>, counting: Counting) -> Self {
        Self { answers, told_by, counting }
    }
}

#[async_trait]
impl Provider for Rehearsal {
    async fn complete(&self, call: &Call) -> Result<Answer, ProviderError> {
        let mut answer = self.answers.complete(call).await?;
        let counted = context::count(call.model.clone(), self.counting, Arc::clone(&call.request), None).await;
        answer.completion.usage.input_tokens = counted.tokens;
        Ok(answer)
    }

    fn measure(&self, call: &Call) -> Result<Measure, ProviderError> {
        self.answers.measure(call)
    }

    async fn model(&self, name: &str) -> Result<ModelFacts, ProviderError> {
        match &self.told_by {
            Some(provider) => provider.model(name).await,
            None => Ok(ModelFacts::default()),
        }
    }

    fn describe(&self) -> String {
        self.answers.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::tests::request;
    use super::*;
    use crate::provider::{Faults, MockProvider};

    #[tokio::test]
    async fn tokens_are_counted_as_the_models_own_and_its_window_is_not_the_mocks() {
        let mock = || Arc::new(MockProvider::new(Faults::default(), 0)) as Arc<dyn Provider>;
        let text = "Fourscore and seven years ago our fathers brought forth ".repeat(50);
        let call = Call {
            model: "gpt-4o".into(),
            request: Arc::new(request(&text)),
            parameters: Arc::new([]),
            identity: [0; 32],
        };
        let rehearsal = Rehearsal::new(mock(), None, Counting::default());
        let counted = context::count("gpt-4o".into(), Counting::default(), Arc::clone(&call.request), None).await;
        let answer = rehearsal.complete(&call).await.unwrap();
        assert_eq!(answer.completion.usage.input_tokens, counted.tokens);
        assert_eq!(rehearsal.model("gpt-4o").await.unwrap().context, None);
        let of_mock = Rehearsal::new(mock(), Some(mock()), Counting::default());
        assert_eq!(of_mock.model("mock-1").await.unwrap().context, Some(128_000));
    }
}
