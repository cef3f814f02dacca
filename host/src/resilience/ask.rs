//! One question on one route, until it has an answer: fitted to the model, made smaller if the provider calls it too long after
//! all, and asked again if JSON was asked for and something else came.
//!
//! None of that is a retry: each time another request is sent, without a wait.

use super::context::{self, ContextSettings, Counter, Fitted, KnownWindow, Narrowed, Sizes, Window};
use super::exchange::{CallOnRoute, Question, Reply};
use super::gate::Ask;
use super::retry::{Retried, Retry};
use super::route::LiveRoute;
use super::stack::{Stack, Tries, is_about_size};
use super::structure::{self, Wrong};
use crate::domain::{Completion, Cut, ErrorClass, Event, Request};
use crate::heavy;
use crate::provider::{Overflow, ProviderError};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// How often a request is made smaller because the provider says that it is too long: enough to come by halves from the context
/// that is assumed to one of 512 tokens.
const REFITS_MAX: usize = 6;

pub(super) struct Asking<'a> {
    pub(super) stack: &'a Stack,
    pub(super) live: &'a LiveRoute,
    pub(super) question: &'a Question,
    /// What the question has used up on this route.
    pub(super) tries: &'a mut Tries,
    /// Whether another route would take it while this one is open.
    pub(super) elsewhere: Ask<'a>,
    /// HTTP attempts that it took on all routes.
    pub(super) sent: &'a AtomicU32,
}

/// A request as it is sent.
#[derive(Clone)]
struct Fit {
    request: Arc<Request>,
    cut: Option<Cut>,
}

impl Fit {
    /// The error is its tokens, and how many fit.
    fn of(asked: Arc<Request>, fitted: Fitted) -> Result<Self, (u64, u64)> {
        match fitted {
            Fitted::Whole => Ok(Self { request: asked, cut: None }),
            Fitted::Changed { request, cut } => Ok(Self { request: Arc::new(*request), cut }),
            Fitted::TooLong { tokens, limit } => Err((tokens, limit)),
        }
    }
}

/// The last answer that was not what had been asked for.
type Refused = (Box<ProviderError>, Arc<Wrong>);

impl Asking<'_> {
    pub(super) async fn run(mut self) -> Retried<Completion> {
        let question = self.bounded(&self.question.request);
        let mut window = self.stack.window(self.live).await;
        let mut refused: Option<Refused> = None;
        let mut answers = 0;
        let mut guess = KnownWindow::default();
        let mut refits = 0;
        loop {
            let fit = match self.fit(&question, refused.as_ref(), window).await {
                Ok(fit) => fit,
                Err(error) => {
                    self.live.window.learn(guess, true);
                    return Retried::Failed(error);
                }
            };
            let error = match self.send(&fit).await {
                Retried::Answered(Reply::Answer(completion)) => {
                    self.live.window.learn(guess, true);
                    return Retried::Answered(completion);
                }
                Retried::Answered(Reply::Wrong(error, wrong)) => {
                    answers += 1;
                    if answers >= self.stack.settings.retry.json_attempts_max {
                        return Retried::Failed(*error);
                    }
                    self.announce(&error, answers);
                    refused = Some((error, Arc::new(wrong)));
                    continue;
                }
                Retried::Failed(error) if is_about_size(&error) => error,
                Retried::Failed(error) => return Retried::Failed(error),
                Retried::Open => return Retried::Open,
                Retried::Halted => return Retried::Halted,
                Retried::ItemLimit(empty) => return Retried::ItemLimit(empty),
            };
            refits += 1;
            match Box::pin(self.narrow(window, &error, &fit.request, &mut guess)).await {
                Some(_) if refits > REFITS_MAX => return Retried::Failed(given_up(error)),
                Some(next) => window = next,
                None => return Retried::Failed(error),
            }
        }
    }

    /// With the number that goes onto the wire in any case, so that all reckon with the same.
    fn bounded(&self, request: &Arc<Request>) -> Arc<Request> {
        match (request.max_output_tokens, self.live.route.provider.output_by_default()) {
            (None, Some(tokens)) => Arc::new(Request { max_output_tokens: Some(tokens), ..(**request).clone() }),
            (Some(_), _) | (None, None) => Arc::clone(request),
        }
    }

    /// Without counting where that can be seen; off the async threads otherwise.
    async fn fit(
        &self,
        question: &Arc<Request>,
        refused: Option<&Refused>,
        window: Window,
    ) -> Result<Fit, ProviderError> {
        if refused.is_none()
            && let Some(fitted) = context::fit_at_sight(question, window, &self.stack.settings.context)
            && let Ok(fit) = Fit::of(Arc::clone(question), fitted)
        {
            return Ok(fit);
        }
        Box::pin(self.fit_by_count(question, refused, window)).await
    }

    /// What is wrong with the last answer is told too; the answer itself is quoted where there is room.
    async fn fit_by_count(
        &self,
        question: &Arc<Request>,
        refused: Option<&Refused>,
        window: Window,
    ) -> Result<Fit, ProviderError> {
        let (asked, wrong) = (Arc::clone(question), refused.map(|(_, wrong)| Arc::clone(wrong)));
        let (model, counting) = (self.live.route.model.clone(), self.live.route.counting);
        let settings = self.stack.settings.context.clone();
        let fitted = heavy::attempted(move || {
            let counter = Counter::of_model(&model, counting);
            match wrong {
                None => fitted(asked, &counter, window, &settings),
                Some(wrong) => fitted_again(&asked, &wrong, &counter, window, &settings),
            }
        });
        let (tokens, limit) = match (fitted.await, refused) {
            (Ok(Ok(fit)), _) => return Ok(fit),
            // The question fitted, and there is no room to ask it again.
            (Ok(Err(_)), Some((error, _))) => return Err((**error).clone()),
            (Ok(Err(numbers)), None) => numbers,
            (Err(error), _) => {
                let message = format!("the request cannot be counted: {error}");
                return Err(ProviderError::new(ErrorClass::BadRequest, message));
            }
        };
        let overflow = Overflow { limit: Some(limit), input: Some(tokens), ..Overflow::default() };
        let message = format!(
            "the request has about {tokens} tokens, and {limit} fit the context of {} beside its answer: split it, or let it be cut (--on-overflow truncate)",
            self.live.route.model
        );
        Err(ProviderError { overflow, ..ProviderError::new(ErrorClass::ContextOverflow, message) })
    }

    async fn send(&mut self, fit: &Fit) -> Retried<Reply> {
        let Tries { spent, probes, answered } = &mut *self.tries;
        let call = CallOnRoute {
            stack: self.stack,
            live: self.live,
            question: self.question,
            request: Arc::clone(&fit.request),
            elsewhere: self.elsewhere,
            probes,
            cut: fit.cut.clone(),
            sent: self.sent,
            answered,
        };
        let retry = Retry {
            settings: &self.stack.settings.retry,
            seed: self.stack.settings.seed,
            halt: &self.stack.halt,
            clock: self.stack.clock.as_ref(),
            events: self.stack.events.as_ref(),
            budget: &self.stack.retry_budget,
            item: &self.question.item,
            route: &self.live.route.name,
            patience: self.live.route.gate.outage_max,
        };
        retry.run(&call, spent).await
    }

    /// The next window, by our own count of what was refused. What is learned for all that follow goes to the route, or into
    /// `guess` until it is known to work.
    async fn narrow(
        &self,
        used: Window,
        error: &ProviderError,
        request: &Arc<Request>,
        guess: &mut KnownWindow,
    ) -> Option<Window> {
        let route = &self.live.route;
        let counted = context::count(route.model.clone(), route.counting, Arc::clone(request), None).await;
        let sent = Sizes { input: counted.tokens, output: request.max_output_tokens.map(u64::from) };
        let is_of_output = error.class == ErrorClass::MaxOutputTooLarge;
        let Narrowed { window, lesson, is_trial } = context::narrowed(used, error.overflow, sent, is_of_output)?;
        self.live.window.weighed(window.weight);
        if is_trial {
            *guess = guess.least(lesson);
        } else {
            self.live.window.learn(lesson, false);
        }
        Some(window)
    }

    fn announce(&self, error: &ProviderError, answers: u32) {
        self.stack.events.emit(Event::CallRetry {
            item: self.question.item.clone(),
            route: self.live.route.name.clone(),
            class: error.class,
            code: error.code.clone(),
            message: error.message.clone(),
            attempt: answers,
            attempts_max: self.stack.settings.retry.json_attempts_max,
            wait: Duration::ZERO,
        });
    }
}

fn fitted(
    asked: Arc<Request>,
    counter: &Counter,
    window: Window,
    settings: &ContextSettings,
) -> Result<Fit, (u64, u64)> {
    let fitted = context::fit(&asked, counter, window, settings);
    Fit::of(asked, fitted)
}

/// The quotation is the first that goes: the question is not cut for it, and the messages that were kept stay.
fn fitted_again(
    asked: &Request,
    wrong: &Wrong,
    counter: &Counter,
    window: Window,
    settings: &ContextSettings,
) -> Result<Fit, (u64, u64)> {
    let again = |quotes: bool| {
        let request = structure::ask_again(asked, wrong, quotes);
        let added = request.messages.len().saturating_sub(asked.messages.len());
        let settings = ContextSettings { keep_last: settings.keep_last.saturating_add(added), ..settings.clone() };
        fitted(Arc::new(request), counter, window, &settings)
    };
    match again(true) {
        Ok(fit) if fit.cut.is_none() => Ok(fit),
        Ok(_) | Err(_) => again(false),
    }
}

fn given_up(error: ProviderError) -> ProviderError {
    let message = format!(
        "the request was made smaller {REFITS_MAX} times, and the provider still calls it too long: {}",
        error.message
    );
    ProviderError { message, ..error }
}

#[cfg(test)]
mod tests;
