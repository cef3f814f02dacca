//! The mock provider: answers that follow from the prompt, and faults that follow from a seed.
//!
//! Without a network, but with the wire: requests are encoded, answers are read and failures are classified by the same
//! code that talks to a real provider, so the mock cannot be kinder than the world.

mod core;
mod draw;
mod faults;
mod pace;
mod prompt;
mod reply;
mod schema;

use super::openai::{Exchange, LimitField, connection_broken, encode, read};
use super::{Answer, Call, ModelFacts, Provider, ProviderError};
use async_trait::async_trait;

pub(super) use self::core::{Caller, Core};
pub(super) use draw::Fault;
pub use faults::{BadFaults, FaultHelp, Faults};
pub(super) use reply::{End, Reply};

/// What the mock tells of its models if no `context=` is set, in tokens.
const CONTEXT: u64 = 128_000;

/// The mock provider in this process. `key=` has no effect here: there is no wire that a key could travel on.
#[derive(Debug)]
pub struct MockProvider {
    core: Core,
}

impl MockProvider {
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self { core: Core::new(faults, seed) }
    }
}

#[async_trait]
impl Provider for MockProvider {
    async fn complete(&self, call: &Call) -> Result<Answer, ProviderError> {
        let body = encode(call, LimitField::MaxTokens)?;
        let reply = self.core.receive(&body, Caller::InProcess);
        if !reply.wait.is_zero() {
            tokio::time::sleep(reply.wait).await;
        }
        match &reply.end {
            End::Whole(body) => read(&Exchange {
                status: reply.status,
                headers: &reply.headers,
                body: body.as_bytes(),
                // The mock's headers hold no dates.
                now_unix_ms: 0,
                model: &call.model,
            }),
            End::Broken(_) => Err(connection_broken(reply.status)),
        }
    }

    async fn model(&self, _name: &str) -> Result<ModelFacts, ProviderError> {
        Ok(ModelFacts { context: Some(self.core.context_tokens().unwrap_or(CONTEXT)), max_output: None })
    }

    fn describe(&self) -> String {
        "the mock provider".to_owned()
    }
}

#[cfg(test)]
mod tests;
