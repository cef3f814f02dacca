//! What the mock in the process and the mock server have in common: everything but the transport.

use super::draw::{Dice, Fault, Throw};
use super::faults::Faults;
use super::pace::Pace;
use super::prompt::Prompt;
use super::reply::{self, End, Page, Reply};
use crate::clock::{Clock, SystemClock};
use crate::provider::ApiKey;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller<'a> {
    InProcess,
    Http { authorization: Option<&'a str> },
}

#[derive(Debug)]
pub(crate) struct Core {
    faults: Faults,
    dice: Dice,
    pace: Pace,
    clock: SystemClock,
    received: AtomicU64,
    answered: AtomicU64,
}

/// What becomes of one request.
struct Verdict {
    fault: Option<Fault>,
    wait: Duration,
    page: Page,
}

impl Core {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        Self {
            pace: Pace::new(&faults),
            faults,
            dice: Dice::new(seed),
            clock: SystemClock::new(),
            received: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    /// Decides about a request at once; the wait in the reply is still to be waited.
    pub(crate) fn receive(&self, body: &[u8], caller: Caller<'_>) -> Reply {
        let n = self.received.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.admits(caller) {
            return self.reply(n, None, refuse(Fault::Key, reply::wrong_key()));
        }
        match Prompt::read(body) {
            Ok(prompt) => self.reply(n, Some(&prompt), self.decide(&prompt)),
            Err(message) => {
                let page = reply::error(400, &message, "invalid_request_error", None);
                self.reply(n, None, refuse(Fault::BadRequest, page))
            }
        }
    }

    pub(crate) fn admits(&self, caller: Caller<'_>) -> bool {
        match (&self.faults.key, caller) {
            (None, _) | (_, Caller::InProcess) => true,
            (Some(key), Caller::Http { authorization }) => {
                authorization.and_then(|value| value.strip_prefix("Bearer ")) == Some(ApiKey::reveal(key))
            }
        }
    }

    pub(crate) fn context_tokens(&self) -> Option<u64> {
        self.faults.context_tokens
    }

    pub(crate) fn models(&self) -> &[String] {
        &self.faults.models
    }

    fn decide(&self, prompt: &Prompt) -> Verdict {
        let faults = &self.faults;
        if !faults.models.is_empty() && !faults.models.contains(&prompt.model) {
            return refuse(Fault::Model, reply::model_unknown(&prompt.model));
        }
        let tokens = prompt.input_tokens.saturating_add(prompt.tokens_max.unwrap_or(0));
        if let Some(window) = faults.context_tokens.filter(|window| tokens > *window) {
            return refuse(Fault::Context, reply::context_exceeded(prompt, window));
        }
        let is_used_up = |quota: u64| self.answered.load(Ordering::Relaxed) >= quota;
        if faults.quota_after.is_some_and(is_used_up) {
            return refuse(Fault::Quota, reply::quota_used_up());
        }
        if let Err(wait) = self.pace.take(tokens, self.clock.monotonic()) {
            return refuse(Fault::RateLimit, reply::too_fast(&prompt.model, wait));
        }
        let Throw { fault, nth } = self.dice.throw(faults, prompt.digest);
        let latency = faults.latency + self.dice.jitter(faults.jitter, prompt.digest, nth);
        let Some(fault) = fault else {
            return self.answer(prompt, latency);
        };
        let wait = match fault {
            Fault::Timeout => faults.hang,
            Fault::Garbage | Fault::Connection => latency,
            // Refusals come fast.
            _ => Duration::ZERO,
        };
        let page = match fault {
            Fault::Connection => (200, reply::answer(prompt)),
            _ => reply::of_drawn(fault, prompt, nth, faults),
        };
        Verdict { fault: Some(fault), wait, page }
    }

    fn answer(&self, prompt: &Prompt, wait: Duration) -> Verdict {
        let before = self.answered.fetch_add(1, Ordering::Relaxed);
        // Others may have been answered since the quota was looked at.
        if self.faults.quota_after.is_some_and(|quota| before >= quota) {
            return refuse(Fault::Quota, reply::quota_used_up());
        }
        Verdict { fault: None, wait, page: (200, reply::answer(prompt)) }
    }

    fn reply(&self, n: u64, prompt: Option<&Prompt>, verdict: Verdict) -> Reply {
        let Verdict { fault, wait, page: (status, body) } = verdict;
        let mut headers = reply::headers(n, fault, &self.faults);
        self.pace.tell(self.clock.monotonic(), &mut headers);
        Reply {
            n,
            model: prompt.map(|prompt| prompt.model.clone()),
            digest: prompt.map(|prompt| prompt.digest),
            input_tokens: prompt.map_or(0, |prompt| prompt.input_tokens),
            fault,
            wait,
            status,
            headers,
            end: if fault == Some(Fault::Connection) { End::Broken(body) } else { End::Whole(body) },
        }
    }
}

fn refuse(fault: Fault, page: Page) -> Verdict {
    Verdict { fault: Some(fault), wait: Duration::ZERO, page }
}
