//! The world of models as a case has it: answers that somebody wrote down, or that were recorded once. Nothing is sent, unless somebody is
//! given who is asked for what is not there.
//!
//! A question is known by its digest as in the journal, but without the model, which is the operator's to choose: a case holds whatever
//! it is recorded with. Tokens are counted alike then and later, since plugins split by them.

use super::Halt;
use super::context::{self, Counting};
use super::desk::{Asked, Desk};
use super::gate::Surroundings;
use super::replay::excerpt;
use super::route::{LiveRoutes, Routes};
use super::session::for_plugin;
use super::structure;
use crate::clock::Clock;
use crate::domain::{CallEnd, Completion, Llm, LlmError, NoEvents, Request, TokenCount};
use crate::schema::SchemaCache;
use async_trait::async_trait;
use futures_util::future::join_all;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What the model of a case takes where it does not say, in tokens.
const CONTEXT: u64 = 128_000;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Taped {
    /// The digest of the question that it answers; `None`: the next one that none is written down for.
    pub request: Option<[u8; 32]>,
    /// The end of that question's last text, for people.
    pub asked: Option<String>,
    pub end: Result<Completion, LlmError>,
}

/// A question of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub role: String,
    /// The end of what was asked, in one line.
    pub excerpt: String,
    pub request: [u8; 32],
    pub by: AnsweredBy,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq)]
pub enum AnsweredBy {
    /// The answer at this place of the case.
    Tape(usize),
    /// Somebody, just now.
    Live(Result<Completion, LlmError>),
    /// The host, as it does in a run.
    Host(LlmError),
    /// The guest was stopped.
    Nobody,
}

pub struct CassetteSettings {
    pub answers: Vec<Taped>,
    /// The roles that the plugin named.
    pub roles: Arc<[String]>,
    /// Questions that the attempt may ask.
    pub calls_max: u64,
    /// What the model takes, in tokens.
    pub context: Option<u64>,
    /// Who is asked for what there is no answer to.
    pub live: Option<Arc<dyn Llm>>,
}

/// Of one attempt.
pub struct Cassette {
    desk: Desk,
    settings: CassetteSettings,
    schemas: Arc<SchemaCache>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_used: Vec<bool>,
    questions: Vec<Question>,
}

impl Cassette {
    pub fn new(settings: CassetteSettings, clock: Arc<dyn Clock>) -> Self {
        // There are no routes: what a question is asked of is no part of it.
        let surroundings = Surroundings {
            halt: Arc::new(Halt::default()),
            clock,
            events: Arc::new(NoEvents),
            store: None,
            turned: Arc::new(Notify::new()),
        };
        let routes = Arc::new(LiveRoutes::new(Routes::default(), &surroundings));
        let state = State { is_used: vec![false; settings.answers.len()], questions: Vec::new() };
        let desk = Desk::new(routes, Arc::clone(&settings.roles), settings.calls_max);
        Self { desk, settings, schemas: Arc::default(), state: Mutex::new(state) }
    }

    /// In the order in which they were asked.
    pub fn questions(&self) -> Vec<Question> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).questions.clone()
    }

    /// Answers that nobody asked for, by their places.
    pub fn left_over(&self) -> Vec<usize> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_used.iter().enumerate().filter(|(_, is_used)| !**is_used).map(|(index, _)| index).collect()
    }

    async fn asked(&self, request: Request) -> Result<(Asked, Option<usize>), LlmError> {
        let (role, text) = (request.role.clone(), excerpt(&request));
        let asked = match self.desk.check(&request) {
            Ok(extras) => self.desk.question(request, extras).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(asked) => {
                let place = self.take(&asked.hash);
                Ok((asked, place))
            }
            Err(error) => {
                self.hears(Question { role, excerpt: text, request: [0; 32], by: AnsweredBy::Host(error.clone()) });
                Err(error)
            }
        }
    }

    /// The answer to a question: the first of its own, else the first of nobody's.
    fn take(&self, request: &[u8; 32]) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |of: Option<&[u8; 32]>| {
            let mut answers = self.settings.answers.iter().enumerate();
            answers
                .find(|(index, taped)| !state.is_used[*index] && taped.request.as_ref() == of)
                .map(|(index, _)| index)
        };
        let place = find(Some(request)).or_else(|| find(None))?;
        state.is_used[place] = true;
        Some(place)
    }

    /// An answer that is not of the form that was asked for is none, as in a run.
    async fn off_tape(&self, asked: &Asked, place: usize) -> Result<Completion, LlmError> {
        let end = match self.settings.answers[place].end.clone() {
            Ok(completion) => match structure::check_elsewhere(&self.schemas, &asked.request, &completion).await {
                Ok(()) => Ok(completion),
                Err((error, _)) => Err(for_plugin(*error)),
            },
            Err(error) => Err(error),
        };
        self.hears(question(asked, AnsweredBy::Tape(place)));
        self.taken(end)
    }

    fn taken(&self, end: Result<Completion, LlmError>) -> Result<Completion, LlmError> {
        if let Ok(completion) = &end {
            self.desk.take(completion);
        }
        end
    }

    fn hears(&self, question: Question) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).questions.push(question);
    }

    fn live(&self, asked: &Asked, end: &Result<Completion, LlmError>) -> Result<Completion, LlmError> {
        self.hears(question(asked, AnsweredBy::Live(end.clone())));
        self.taken(end.clone())
    }

    fn unanswered(&self, asked: &Asked) -> CallEnd {
        self.hears(question(asked, AnsweredBy::Nobody));
        CallEnd::Suspended
    }
}

fn question(asked: &Asked, by: AnsweredBy) -> Question {
    Question { role: asked.request.role.clone(), excerpt: excerpt(&asked.request), request: asked.hash, by }
}

#[async_trait]
impl Llm for Cassette {
    async fn complete(&self, request: Request) -> Result<Completion, CallEnd> {
        let (asked, place) = self.asked(request).await?;
        if let Some(place) = place {
            return Ok(self.off_tape(&asked, place).await?);
        }
        let Some(live) = &self.settings.live else { return Err(self.unanswered(&asked)) };
        match live.complete((*asked.request).clone()).await {
            Ok(completion) => Ok(self.live(&asked, &Ok(completion))?),
            Err(CallEnd::Error(error)) => Ok(self.live(&asked, &Err(error))?),
            Err(CallEnd::Suspended) => Err(self.unanswered(&asked)),
        }
    }

    async fn complete_many(&self, requests: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
        let mut all = Vec::with_capacity(requests.len());
        for request in requests {
            all.push(self.asked(request).await?);
        }
        let missing = all.iter().filter(|(_, place)| place.is_none()).map(|(asked, _)| (*asked.request).clone());
        // One by one, so that those that are answered are kept should others be stopped.
        let mut new = match &self.settings.live {
            Some(live) => join_all(missing.map(|request| live.complete(request))).await,
            None => missing.map(|_| Err(CallEnd::Suspended)).collect(),
        }
        .into_iter();
        let (mut ends, mut is_stopped) = (Vec::with_capacity(all.len()), false);
        for (asked, place) in all {
            match (place, place.is_none().then(|| new.next()).flatten()) {
                (Some(place), _) => ends.push(self.off_tape(&asked, place).await),
                (None, Some(Ok(completion))) => ends.push(self.live(&asked, &Ok(completion))),
                (None, Some(Err(CallEnd::Error(error)))) => ends.push(self.live(&asked, &Err(error))),
                (None, Some(Err(CallEnd::Suspended)) | None) => {
                    is_stopped = true;
                    self.hears(question(&asked, AnsweredBy::Nobody));
                }
            }
        }
        if is_stopped { Err(CallEnd::Suspended) } else { Ok(ends) }
    }

    async fn count_tokens(&self, request: Request) -> Result<TokenCount, CallEnd> {
        self.desk.check(&request)?;
        let window = self.settings.context.unwrap_or(CONTEXT);
        Ok(context::count(String::new(), Counting::default(), Arc::new(request), Some(window)).await)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::{request_hash, tests::request};
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::{LlmErrorKind, ResponseFormat};
    use proptest::prelude::*;

    fn answer(text: &str) -> Completion {
        Completion { text: text.into(), finish: "stop".into(), ..Completion::default() }
    }

    fn taped(of: Option<&str>, text: &str) -> Taped {
        Taped { request: of.map(|of| request_hash(&[], &request(of))), asked: None, end: Ok(answer(text)) }
    }

    fn cassette(answers: Vec<Taped>, live: Option<Arc<dyn Llm>>) -> Cassette {
        let settings =
            CassetteSettings { answers, roles: Arc::new(["default".to_owned()]), calls_max: 100, context: None, live };
        Cassette::new(settings, Arc::new(SystemClock::new()))
    }

    async fn ask(cassette: &Cassette, text: &str) -> Result<String, CallEnd> {
        cassette.complete(request(text)).await.map(|completion| completion.text)
    }

    /// Answers everything, and stops at `stop`.
    struct Live;

    #[async_trait]
    impl Llm for Live {
        async fn complete(&self, request: Request) -> Result<Completion, CallEnd> {
            match excerpt(&request).as_str() {
                "stop" => Err(CallEnd::Suspended),
                text => Ok(answer(&format!("live {text}"))),
            }
        }

        async fn complete_many(&self, _: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
            Err(CallEnd::Suspended)
        }

        async fn count_tokens(&self, _: Request) -> Result<TokenCount, CallEnd> {
            Err(CallEnd::Suspended)
        }
    }

    #[tokio::test]
    async fn an_answer_of_a_question_is_for_that_one_and_others_are_used_in_order() {
        let cassette = cassette(
            vec![taped(None, "first"), taped(Some("b"), "of b"), taped(None, "second"), taped(Some("c"), "of c")],
            None,
        );
        assert_eq!(ask(&cassette, "b").await.unwrap(), "of b");
        assert_eq!(ask(&cassette, "a").await.unwrap(), "first");
        assert_eq!(ask(&cassette, "b").await.unwrap(), "second");
        assert_eq!(ask(&cassette, "a").await, Err(CallEnd::Suspended));
        assert_eq!(cassette.left_over(), [3]);
        let by: Vec<AnsweredBy> = cassette.questions().into_iter().map(|question| question.by).collect();
        assert_eq!(by, [AnsweredBy::Tape(1), AnsweredBy::Tape(0), AnsweredBy::Tape(2), AnsweredBy::Nobody]);
    }

    #[tokio::test]
    async fn what_is_asked_again_gets_the_answers_of_the_question_one_after_the_other() {
        let cassette = cassette(vec![taped(Some("a"), "one"), taped(Some("a"), "two")], None);
        assert_eq!(
            (ask(&cassette, "a").await.unwrap(), ask(&cassette, "a").await.unwrap()),
            ("one".into(), "two".into())
        );
        assert_eq!(ask(&cassette, "a").await, Err(CallEnd::Suspended));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_the_json_that_was_asked_for_is_told_as_in_a_run() {
        let cassette = cassette(vec![taped(None, "no json")], None);
        let wants_json = Request { format: ResponseFormat::Json, ..request("a") };
        let Err(CallEnd::Error(error)) = cassette.complete(wants_json).await else { panic!("it was answered") };
        assert_eq!((error.kind, error.code.as_str()), (LlmErrorKind::Transient, "not_json"));
    }

    #[tokio::test]
    async fn the_host_refuses_what_it_refuses_in_a_run_and_no_answer_is_used_up() {
        let cassette = cassette(vec![taped(None, "one")], None);
        let Err(CallEnd::Error(error)) = cassette.complete(Request { role: "x".into(), ..request("a") }).await else {
            panic!("it was answered")
        };
        assert_eq!((error.code.as_str(), cassette.left_over().len()), ("unknown_role", 1));
    }

    #[tokio::test]
    async fn somebody_is_asked_for_what_is_not_there_and_what_came_is_kept_though_others_are_stopped() {
        let cassette = cassette(vec![taped(Some("a"), "tape")], Some(Arc::new(Live)));
        let texts = cassette.complete_many(vec![request("b"), request("a")]).await.unwrap();
        let texts: Vec<String> = texts.into_iter().map(|end| end.unwrap().text).collect();
        assert_eq!(texts, ["live b", "tape"]);
        assert_eq!(cassette.complete_many(vec![request("c"), request("stop")]).await, Err(CallEnd::Suspended));
        let by = cassette.questions().into_iter().map(|question| matches!(question.by, AnsweredBy::Live(_)));
        assert_eq!(by.collect::<Vec<_>>(), [true, false, true, false]);
    }

    #[tokio::test]
    async fn tokens_are_counted_against_the_window_of_the_case() {
        let mut cassette = cassette(Vec::new(), None);
        cassette.settings.context = Some(500);
        let count = cassette.count_tokens(request("one two three")).await.unwrap();
        assert!(count.tokens > 3 && count.window == Some(500) && !count.exact, "{count:?}");
    }

    proptest! {
        /// However questions are ordered, each is answered by an answer of its own as long as there is one, in their order.
        #[test]
        fn answers_are_found_by_question_and_occurrence(
            answers in prop::collection::vec(prop::option::of(0..3_u8), 0..8), asked in prop::collection::vec(0..3_u8, 0..8),
        ) {
            let tape = answers.iter().enumerate().map(|(nth, of)| taped(of.map(|of| of.to_string()).as_deref(), &nth.to_string()));
            let cassette = cassette(tape.collect(), None);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut left: Vec<(usize, Option<u8>)> = answers.into_iter().enumerate().collect();
            for question in asked {
                let found = left.iter().position(|(_, of)| *of == Some(question)).or_else(|| left.iter().position(|(_, of)| of.is_none()));
                let expected = found.map(|at| left.remove(at).0.to_string()).ok_or(CallEnd::Suspended);
                prop_assert_eq!(runtime.block_on(ask(&cassette, &question.to_string())), expected);
            }
            let left: Vec<usize> = left.into_iter().map(|(nth, _)| nth).collect();
            prop_assert_eq!(cassette.left_over(), left);
        }
    }
}
