//! The mock provider: answers that follow from the prompt, and faults that follow from a seed.
//!
//! Without a network, but with the wire: requests are encoded, answers are read and failures are classified by the same
//! code that talks to a real provider, so the mock cannot be kinder than the world.

mod core;
mod draw;
mod faults;
mod prompt;
mod reply;
mod schema;

use super::dialect::Dialect;
use super::exchange::{Exchange, read};
use super::http::connection_broken;
use super::openai::OpenAi;
use super::{Answer, Call, ModelFacts, Provider, ProviderError};
use async_trait::async_trait;

pub(super) use self::core::{Caller, Core};
pub(super) use draw::Fault;
pub use faults::{BadFaults, FaultHelp, Faults};
pub(super) use reply::{End, Reply};

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
        let dialect = OpenAi::local();
        let body = dialect.encode(call)?;
        let reply = self.core.receive(&body, Caller::InProcess);
        if !reply.wait.is_zero() {
            tokio::time::sleep(reply.wait).await;
        }
        match &reply.end {
            End::Whole(body) => {
                let exchange = Exchange {
                    status: reply.status,
                    headers: &reply.headers,
                    body: body.as_bytes(),
                    // The mock's headers hold no dates.
                    now_unix_ms: 0,
                    model: &call.model,
                };
                read(&exchange, &dialect)
            }
            End::Broken(_) => Err(connection_broken(Some(reply.status))),
        }
    }

    async fn model(&self, _name: &str) -> Result<ModelFacts, ProviderError> {
        Ok(ModelFacts::default())
    }

    fn describe(&self) -> String {
        "the mock provider".to_owned()
    }
}

#[cfg(test)]
mod tests;
