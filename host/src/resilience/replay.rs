//! The world of models as it was: every question is answered from what was recorded of one attempt, or not at all. Nothing is sent, and
//! nothing is stored.

use super::Halt;
use super::desk::{Asked, Desk};
use super::gate::Surroundings;
use super::route::{LiveRoutes, Routes};
use super::session::{Told, for_plugin};
use crate::clock::Clock;
use crate::domain::{
    CallEnd, Completion, ErrorClass, Llm, LlmError, NoEvents, Part, Request, TokenCount, sanitize_line,
};
use crate::provider::ProviderError;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What is shown of a question, in bytes.
const EXCERPT_BYTES_MAX: usize = 200;

type Key = ([u8; 32], u32);

/// What was recorded of one attempt.
#[derive(Default)]
pub struct Recording {
    /// How each question ended, and where that stands in the books.
    pub ends: HashMap<([u8; 32], u32), (Answered, String)>,
    pub told: Told,
}

/// How a question ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    With(Box<Completion>),
    /// After the last try.
    Failed {
        class: ErrorClass,
        code: String,
        message: String,
    },
}

/// A question that was asked of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// `llm.complete`, or `llm.count-tokens`.
    pub function: &'static str,
    pub role: String,
    /// The end of what was asked, in one line.
    pub excerpt: String,
    /// SHA-256 of what was asked, in hexadecimal digits, and how often it had been asked before; empty if it was refused before that.
    pub hash: String,
    pub occurrence: u32,
    /// Where its answer came from, for a person; `None`: nothing is recorded, and the guest was stopped.
    pub answer: Option<String>,
}

/// Answers from a recording.
pub struct Replay {
    desk: Desk,
    recording: Recording,
    heard: Mutex<Vec<Heard>>,
    listens: Box<dyn Fn(&Heard) + Send + Sync>,
}

impl Replay {
    /// `listens`: told of each question when its end is known.
    pub fn new(
        routes: Routes,
        roles: Arc<[String]>,
        calls_max: u64,
        recording: Recording,
        clock: Arc<dyn Clock>,
        listens: Box<dyn Fn(&Heard) + Send + Sync>,
    ) -> Self {
        // Routes tell what a question is asked of; nobody passes their gates.
        let surroundings = Surroundings {
            halt: Arc::new(Halt::default()),
            clock,
            events: Arc::new(NoEvents),
            store: None,
            turned: Arc::new(Notify::new()),
        };
        let routes = Arc::new(LiveRoutes::new(routes, &surroundings));
        Self { desk: Desk::new(routes, roles, calls_max), recording, heard: Mutex::default(), listens }
    }

    /// In the order in which they were asked.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn asked(&self, request: Request) -> Result<Asked, LlmError> {
        let (role, excerpt) = (request.role.clone(), excerpt(&request));
        let asked = match self.desk.route(&request) {
            Ok((_, _, extras)) => self.desk.question(request, extras).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &asked {
            self.hears(Heard {
                function: "llm.complete",
                role,
                excerpt,
                hash: String::new(),
                occurrence: 0,
                answer: Some(format!("refused by the host: {}: {}", error.code, sanitize_line(&error.message, 500))),
            });
        }
        asked
    }

    fn answer(&self, asked: &Asked) -> Result<Completion, CallEnd> {
        let key = (asked.hash, asked.occurrence);
        let (end, from) = self.find(&key);
        self.hears(heard("llm.complete", &asked.request, key, from));
        if let Ok(completion) = &end {
            self.desk.take(completion);
        }
        end
    }

    fn find(&self, key: &Key) -> (Result<Completion, CallEnd>, Option<String>) {
        if let Some(error) = self.recording.told.errors.get(key) {
            return (Err(error.clone().into()), Some("the books: it was too large".to_owned()));
        }
        match self.recording.ends.get(key) {
            None => (Err(CallEnd::Suspended), None),
            Some((Answered::With(completion), from)) => (Ok((**completion).clone()), Some(from.clone())),
            Some((Answered::Failed { class, code, message }, from)) => {
                let error = ProviderError { code: code.clone(), ..ProviderError::new(*class, message.as_str()) };
                (Err(for_plugin(error).into()), Some(from.clone()))
            }
        }
    }

    fn hears(&self, heard: Heard) {
        (self.listens)(&heard);
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    }
}

fn heard(function: &'static str, request: &Request, (hash, occurrence): Key, answer: Option<String>) -> Heard {
    let role = request.role.clone();
    Heard { function, role, excerpt: excerpt(request), hash: hex::encode(hash), occurrence, answer }
}

/// Of the last text.
pub(super) fn excerpt(request: &Request) -> String {
    let parts = request.messages.iter().rev().flat_map(|message| message.parts.iter().rev());
    let text = parts.into_iter().find_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    sanitize_line(text.unwrap_or_default(), EXCERPT_BYTES_MAX)
}

#[async_trait]
impl Llm for Replay {
    async fn complete(&self, request: Request) -> Result<Completion, CallEnd> {
        self.answer(&self.asked(request).await?)
    }

    async fn complete_many(&self, requests: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
        let mut asked = Vec::with_capacity(requests.len());
        for request in requests {
            asked.push(self.asked(request).await?);
        }
        let ends: Vec<_> = asked.iter().map(|asked| self.answer(asked)).collect();
        ends.into_iter()
            .map(|end| match end {
                Ok(completion) => Ok(Ok(completion)),
                Err(CallEnd::Error(error)) => Ok(Err(error)),
                Err(CallEnd::Suspended) => Err(CallEnd::Suspended),
            })
            .collect()
    }

    async fn count_tokens(&self, request: Request) -> Result<TokenCount, CallEnd> {
        self.desk.route(&request)?;
        let (request, key) = self.desk.counting(request).await;
        let count = self.recording.told.counts.get(&key).copied();
        let from = count.map(|count| format!("the books: {} tokens", count.tokens));
        self.hears(heard("llm.count-tokens", &request, key, from));
        count.ok_or(CallEnd::Suspended)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::tests::request;
    use super::super::{Counting, Fallback, GateSettings, KnownWindow, Route};
    use super::*;
    use crate::clock::SystemClock;
    use crate::provider::{self, Faults};
    use std::time::Duration;

    fn routes() -> Routes {
        let settings = provider::Settings::Mock { faults: Faults::default(), seed: 0 };
        let route = Route {
            name: "r".into(),
            model: "m".into(),
            provider: provider::build(settings).unwrap(),
            timeout: Duration::from_secs(1),
            set: KnownWindow::default(),
            listed: KnownWindow::default(),
            counting: Counting::default(),
            prices: None,
            parameters: Arc::new([]),
            extra_allow: Arc::new([]),
            gate: GateSettings::default(),
            key_limits: None,
            fallback: Fallback::default(),
        };
        Routes { routes: vec![route], default: Some("r".into()), ..Routes::default() }
    }

    fn replay(ends: &[(&str, u32, Answered)]) -> Replay {
        let hash = |text: &str| super::super::hash::request_hash(&[("m", &[])], &request(text));
        let ends =
            ends.iter().map(|(text, nth, end)| ((hash(text), *nth), (end.clone(), "the journal".to_owned()))).collect();
        let recording = Recording { ends, told: Told::default() };
        let roles: Arc<[String]> = Arc::new(["default".to_owned()]);
        Replay::new(routes(), roles, 3, recording, Arc::new(SystemClock::new()), Box::new(|_| ()))
    }

    fn answer(text: &str) -> Answered {
        Answered::With(Box::new(Completion { text: text.into(), ..Completion::default() }))
    }

    #[tokio::test]
    async fn a_question_is_answered_as_it_was_and_as_often_and_no_other_is() {
        let failed =
            Answered::Failed { class: ErrorClass::Refused, code: "content_policy".into(), message: "no".into() };
        let replay = replay(&[("a", 0, answer("one")), ("a", 1, failed)]);
        assert_eq!(replay.complete(request("a")).await.unwrap().text, "one");
        let Err(CallEnd::Error(error)) = replay.complete(request("a")).await else { panic!("it was answered") };
        assert_eq!(error.code, "content_policy");
        assert_eq!(replay.complete(request("b")).await, Err(CallEnd::Suspended));
        let Err(CallEnd::Error(error)) = replay.complete(request("a")).await else { panic!("it was answered") };
        assert_eq!(error.code, "too_many_calls", "as in the run");
        let answers: Vec<_> = replay.heard().into_iter().map(|heard| (heard.excerpt, heard.answer.is_some())).collect();
        let expected = [("a", true), ("a", true), ("b", false), ("a", true)];
        assert_eq!(answers, expected.map(|(text, is_answered)| (text.to_owned(), is_answered)));
    }

    #[tokio::test]
    async fn of_several_at_once_each_has_its_own_and_one_that_is_missing_stops_all() {
        let all = replay(&[("a", 0, answer("one")), ("b", 0, answer("two"))]);
        let texts: Vec<_> = all.complete_many(vec![request("b"), request("a")]).await.unwrap();
        assert_eq!(texts.into_iter().map(|end| end.unwrap().text).collect::<Vec<_>>(), ["two", "one"]);
        let some = replay(&[("a", 0, answer("one"))]);
        assert_eq!(some.complete_many(vec![request("b"), request("a")]).await, Err(CallEnd::Suspended));
        assert_eq!(some.count_tokens(request("a")).await, Err(CallEnd::Suspended), "no count is recorded");
    }
}
