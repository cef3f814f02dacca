//! What the mock in the process and the mock server have in common: everything but the transport.

use super::draw::{Dice, Fault, Throw};
use super::faults::Faults;
use super::limiter::{Denied, Level, Limiter};
use super::prompt::Prompt;
use super::reply::{self, Answer, End, Page, Reply};
use super::wire::{Trouble, Wire};
use crate::provider::ApiKey;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller<'a> {
    InProcess,
    Http { key: Option<&'a str> },
}

/// When a request arrives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moment {
    /// Since an arbitrary start.
    pub(crate) at: Duration,
    pub(crate) unix_ms: u64,
}

/// One request as it arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) wire: Wire,
    pub(crate) caller: Caller<'a>,
    pub(crate) body: &'a [u8],
    /// In the address, where the protocol has it there.
    pub(crate) model: Option<&'a str>,
    pub(crate) moment: Moment,
}

#[derive(Debug)]
pub(crate) struct Core {
    faults: Faults,
    dice: Dice,
    limiter: Limiter,
    received: AtomicU64,
    answered: AtomicU64,
    /// When the first request arrived.
    first: OnceLock<Duration>,
}

/// What becomes of one request.
struct Verdict {
    fault: Option<Fault>,
    wait: Duration,
    page: Page,
    /// The wait that is asked for.
    retry_after: Option<Duration>,
    levels: Vec<Level>,
}

impl Core {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        let limiter = Limiter::new(faults.requests_per_minute, faults.tokens_per_minute);
        let (dice, first) = (Dice::new(seed), OnceLock::new());
        Self { faults, dice, limiter, received: AtomicU64::new(0), answered: AtomicU64::new(0), first }
    }

    /// Decides about a request at once; the wait in the reply is still to be waited.
    pub(crate) fn receive(&self, arrival: Arrival<'_>) -> Reply {
        let n = self.received.fetch_add(1, Ordering::Relaxed) + 1;
        let Arrival { wire, moment, .. } = arrival;
        self.first.get_or_init(|| moment.at);
        let (prompt, verdict) = if self.is_down(moment.at) {
            (None, refuse(Fault::Down, (0, String::new())))
        } else if self.admits(arrival.caller) {
            match wire.read(arrival.body, arrival.model) {
                Ok(prompt) => {
                    let verdict = self.decide(wire, &prompt, moment.at);
                    (Some(prompt), verdict)
                }
                Err(message) => (None, refuse(Fault::BadRequest, wire.error(Trouble::BadRequest(&message)))),
            }
        } else {
            (None, refuse(Fault::Key, wire.error(Trouble::Key)))
        };
        let Verdict { fault, wait, page: (status, body), retry_after, levels } = verdict;
        let mut headers = wire.headers(n, retry_after, &levels, moment.unix_ms);
        let kind = if fault == Some(Fault::Garbage) { "text/html" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Reply {
            n,
            model: prompt.as_ref().map(|prompt| prompt.model.clone()),
            digest: prompt.as_ref().map(|prompt| prompt.digest),
            input_tokens: prompt.as_ref().map_or(0, |prompt| prompt.input_tokens),
            fault,
            wait,
            status,
            headers,
            end: match fault {
                Some(Fault::Connection) => End::Broken(body),
                Some(Fault::Down) => End::Closed,
                _ => End::Whole(body),
            },
        }
    }

    /// Whether nobody is at home.
    pub(crate) fn is_down(&self, now: Duration) -> bool {
        let since = self.first.get().map(|first| now.saturating_sub(*first));
        self.faults.down.as_ref().zip(since).is_some_and(|(down, since)| down.contains(&since))
    }

    pub(crate) fn admits(&self, caller: Caller<'_>) -> bool {
        match (&self.faults.key, caller) {
            (None, _) | (_, Caller::InProcess) => true,
            (Some(right), Caller::Http { key }) => key == Some(ApiKey::reveal(right)),
        }
    }

    pub(crate) const fn faults(&self) -> &Faults {
        &self.faults
    }

    fn decide(&self, wire: Wire, prompt: &Prompt, now: Duration) -> Verdict {
        let faults = &self.faults;
        if let Some((fault, trouble)) = self.complaint(wire, prompt) {
            return refuse(fault, wire.error(trouble));
        }
        let answer = Answer::to(prompt, faults.max_output);
        let (levels, taken) = self.limiter.take(now, prompt.input_tokens.saturating_add(answer.output_tokens));
        let verdict = match taken {
            Err(denied) => deny(wire, prompt, denied),
            Ok(()) => self.draw(wire, prompt, &answer),
        };
        Verdict { levels, ..verdict }
    }

    /// What is wrong with the request whatever the dice say.
    fn complaint<'a>(&self, wire: Wire, prompt: &'a Prompt) -> Option<(Fault, Trouble<'a>)> {
        let faults = &self.faults;
        if !faults.models.is_empty() && !faults.models.contains(&prompt.model) {
            return Some((Fault::Model, Trouble::Model(&prompt.model)));
        }
        if let Some((asked, most)) = prompt.tokens_max.zip(faults.max_output).filter(|(asked, most)| asked > most) {
            return Some((Fault::MaxOutput, Trouble::MaxOutput { model: &prompt.model, asked, most }));
        }
        let (input, output) = (prompt.input_tokens, prompt.tokens_max);
        // Gemini's window is the input's alone.
        let counted = output.filter(|_| wire != Wire::Gemini).unwrap_or(0);
        if let Some(window) = faults.context_tokens.filter(|window| input.saturating_add(counted) > *window) {
            return Some((Fault::Context, Trouble::Context { input, output, window }));
        }
        let is_used_up = |quota: u64| self.answered.load(Ordering::Relaxed) >= quota;
        faults.quota_after.is_some_and(is_used_up).then_some((Fault::Quota, Trouble::Quota))
    }

    fn draw(&self, wire: Wire, prompt: &Prompt, answer: &Answer) -> Verdict {
        let faults = &self.faults;
        let Throw { fault, nth } = self.dice.throw(faults, prompt.digest);
        let latency = faults.latency + self.dice.jitter(faults.jitter, prompt.digest, nth);
        let Some(fault) = fault else {
            return self.answer(wire, prompt, answer, latency);
        };
        let wait = match fault {
            Fault::Timeout => faults.hang,
            Fault::Garbage | Fault::Connection => latency,
            // Refusals come fast.
            _ => Duration::ZERO,
        };
        let page = match fault {
            Fault::Connection => (200, wire.answer(prompt, answer)),
            _ => reply::of_drawn(fault, wire, prompt, nth, faults),
        };
        let retry_after = (fault == Fault::RateLimit).then_some(faults.retry_after);
        Verdict { fault: Some(fault), wait, page, retry_after, levels: Vec::new() }
    }

    fn answer(&self, wire: Wire, prompt: &Prompt, answer: &Answer, wait: Duration) -> Verdict {
        let before = self.answered.fetch_add(1, Ordering::Relaxed);
        // Others may have been answered since the quota was looked at.
        if self.faults.quota_after.is_some_and(|quota| before >= quota) {
            return refuse(Fault::Quota, wire.error(Trouble::Quota));
        }
        let page = (200, wire.answer(prompt, answer));
        Verdict { fault: None, wait, page, retry_after: None, levels: Vec::new() }
    }
}

fn deny(wire: Wire, prompt: &Prompt, denied: Denied) -> Verdict {
    let model = &prompt.model;
    match denied {
        Denied::Ever { limit, requested } => {
            refuse(Fault::Limit, wire.error(Trouble::TooLarge { model, limit, requested }))
        }
        Denied::Now { counted, limit, requested, wait } => {
            let trouble = Trouble::RateLimit { model, counted, limit, requested, wait };
            Verdict { retry_after: Some(wait), ..refuse(Fault::Limit, wire.error(trouble)) }
        }
    }
}

fn refuse(fault: Fault, page: Page) -> Verdict {
    Verdict { fault: Some(fault), wait: Duration::ZERO, page, retry_after: None, levels: Vec::new() }
}
