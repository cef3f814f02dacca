//! Models with somebody who listens to what they are asked and what they say.

use super::Heard;
use super::replay::excerpt;
use crate::domain::{CallEnd, Completion, Llm, LlmError, Request, TokenCount, sanitize_line};
use async_trait::async_trait;
use std::sync::Arc;

/// What is shown of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 2_000;

pub struct Overheard {
    pub models: Arc<dyn Llm>,
    /// Told of each question when its end is known.
    pub listens: Box<dyn Fn(&Heard) + Send + Sync>,
}

impl Overheard {
    fn hears(&self, function: &'static str, (role, excerpt): (String, String), answer: Option<String>) {
        (self.listens)(&Heard { function, role, excerpt, hash: String::new(), occurrence: 0, answer });
    }
}

fn asked(request: &Request) -> (String, String) {
    (request.role.clone(), excerpt(request))
}

fn told(end: Result<&Completion, &LlmError>) -> String {
    match end {
        Ok(Completion { model, text, tool_calls, .. }) if text.is_empty() && !tool_calls.is_empty() => {
            let names: Vec<&str> = tool_calls.iter().map(|call| call.name.as_str()).collect();
            sanitize_line(&format!("{model}: calls {}", names.join(", ")), ANSWER_BYTES_MAX)
        }
        Ok(Completion { model, text, .. }) => sanitize_line(&format!("{model}: {text}"), ANSWER_BYTES_MAX),
        Err(error) => sanitize_line(&format!("nobody: {}: {}", error.code, error.message), ANSWER_BYTES_MAX),
    }
}

fn of_call<T>(end: &Result<T, CallEnd>, told: impl Fn(Result<&T, &LlmError>) -> String) -> Option<String> {
    match end {
        Ok(answer) => Some(told(Ok(answer))),
        Err(CallEnd::Error(error)) => Some(told(Err(error))),
        Err(CallEnd::Suspended) => None,
    }
}

#[async_trait]
impl Llm for Overheard {
    async fn complete(&self, request: Request) -> Result<Completion, CallEnd> {
        let asked = asked(&request);
        let end = self.models.complete(request).await;
        self.hears("llm.complete", asked, of_call(&end, told));
        end
    }

    async fn complete_many(&self, requests: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
        let all: Vec<_> = requests.iter().map(asked).collect();
        let ends = self.models.complete_many(requests).await;
        for (index, asked) in all.into_iter().enumerate() {
            let one = |ends: Result<&Vec<Result<Completion, LlmError>>, &LlmError>| match ends {
                Ok(ends) => ends.get(index).map(|end| told(end.as_ref())).unwrap_or_default(),
                Err(error) => told(Err(error)),
            };
            self.hears("llm.complete-many", asked, of_call(&ends, one));
        }
        ends
    }

    async fn count_tokens(&self, request: Request) -> Result<TokenCount, CallEnd> {
        let asked = asked(&request);
        let end = self.models.count_tokens(request).await;
        let counted = |count: Result<&TokenCount, &LlmError>| match count {
            Ok(count) => format!("the host: {} tokens", count.tokens),
            Err(error) => told(Err(error)),
        };
        self.hears("llm.count-tokens", asked, of_call(&end, counted));
        end
    }
}
