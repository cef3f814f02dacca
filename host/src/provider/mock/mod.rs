//! The mock provider: answers that follow from the prompt, and faults that follow from a seed.
//!
//! Without a network, but with the wire: requests are encoded, answers are read and failures are classified by the same
//! code that talks to a real provider, so the mock cannot be kinder than the world.

mod core;
mod draw;
mod faults;
mod limiter;
mod prompt;
mod reply;
mod schema;
mod wire;

use super::dialect::Dialect;
use super::exchange::{Exchange, read};
use super::http::connection_broken;
use super::openai::OpenAi;
use super::{Answer, Call, Measure, ModelFacts, Provider, ProviderError};
use async_trait::async_trait;
use std::sync::OnceLock;
use std::time::Duration;

pub(super) use self::core::{Arrival, Caller, Core, Moment};
pub(super) use draw::Fault;
pub use faults::{BadFaults, FaultHelp, Faults};
pub(super) use reply::{End, Reply};
pub(super) use wire::Wire;

/// The mock provider in this process. `key=` has no effect here: there is no wire that a key could travel on.
#[derive(Debug)]
pub struct MockProvider {
    core: Core,
    /// When the first request came, in the time in which this mock waits.
    start: OnceLock<tokio::time::Instant>,
}

/// What the mock tells of its models if no `context=` is set, in tokens.
const CONTEXT: u64 = 128_000;

impl MockProvider {
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self { core: Core::new(faults, seed), start: OnceLock::new() }
    }

    #[expect(clippy::disallowed_methods, reason = "the time in which its waits pass, which tests may pause")]
    fn elapsed(&self) -> Duration {
        let now = tokio::time::Instant::now();
        now.saturating_duration_since(*self.start.get_or_init(|| now))
    }
}

#[async_trait]
impl Provider for MockProvider {
    async fn complete(&self, call: &Call) -> Result<Answer, ProviderError> {
        let dialect = OpenAi::local();
        let body = dialect.encode(call)?;
        let reply = self.core.receive(Arrival {
            wire: Wire::OpenAi,
            caller: Caller::InProcess,
            body: &body,
            model: None,
            moment: Moment { at: self.elapsed(), unix_ms: 0 },
        });
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
            End::Closed => Err(connection_broken(None)),
            End::Broken(_) => Err(connection_broken(Some(reply.status))),
        }
    }

    fn measure(&self, call: &Call) -> Result<Measure, ProviderError> {
        OpenAi::local().measure(call)
    }

    async fn model(&self, _name: &str) -> Result<ModelFacts, ProviderError> {
        let faults = self.core.faults();
        Ok(ModelFacts { context: Some(faults.context_tokens.unwrap_or(CONTEXT)), max_output: faults.max_output })
    }

    fn describe(&self) -> String {
        "the mock provider".to_owned()
    }
}

#[cfg(test)]
mod tests;
