//! Questions to providers that are played, with a real store behind.

use super::*;
use crate::clock::SimulatedClock;
use crate::domain::{
    AttemptNumber, CallEnd, Failure, FailureClass, ItemId, ItemSeq, JsonSchema, Llm, LlmError, LlmErrorKind, NoEvents,
    ResponseFormat, Usage,
};
use crate::provider::{Answer, Call, Measure, ModelFacts, Provider, RateLimits};
use crate::resilience::hash::tests::request;
use crate::resilience::{
    Amount, Counting, Fallback, GateSettings, Halt, ItemSession, RetrySettings, Route, Routes, SessionStart, Spending,
    StackAround, StackSettings, Told,
};
use crate::store::{self, AttemptId, JobName, NewAttempt, NewJob, RunId, Store};
use async_trait::async_trait;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

type Rule = Box<dyn Fn(&Request, usize) -> Result<String, ProviderError> + Send + Sync>;

/// Answers by a rule, from the request and how many came before.
struct Played {
    rule: Rule,
    facts: ModelFacts,
    output_by_default: Option<u32>,
    received: Mutex<Vec<Arc<Request>>>,
}

#[async_trait]
impl Provider for Played {
    async fn complete(&self, call: &Call) -> Result<Answer, ProviderError> {
        let nth = {
            let mut received = self.received.lock().unwrap();
            received.push(Arc::clone(&call.request));
            received.len() - 1
        };
        let completion = Completion {
            text: (self.rule)(&call.request, nth)?,
            tool_calls: Vec::new(),
            finish: "stop".into(),
            model: "m".into(),
            usage: Usage::default(),
            opaque: Vec::new(),
            cut: None,
            extra: Vec::new(),
        };
        Ok(Answer { completion, request_id: None, limits: RateLimits::default() })
    }

    fn measure(&self, _call: &Call) -> Result<Measure, ProviderError> {
        Ok(Measure::default())
    }

    async fn model(&self, _name: &str) -> Result<ModelFacts, ProviderError> {
        Ok(self.facts)
    }

    fn output_by_default(&self) -> Option<u32> {
        self.output_by_default
    }

    fn describe(&self) -> String {
        "played".into()
    }
}

fn played(rule: impl Fn(&Request, usize) -> Result<String, ProviderError> + Send + Sync + 'static) -> Played {
    let rule = Box::new(rule);
    Played { rule, facts: ModelFacts::default(), output_by_default: None, received: Mutex::default() }
}

/// One run of a job.
struct Run {
    stack: Arc<Stack>,
    provider: Arc<Played>,
    clock: Arc<SimulatedClock>,
    store: Store,
}

fn store(dir: &tempfile::TempDir) -> Store {
    let new = NewJob { created_ms: 1, seed: 1, arguments: "{}".into() };
    Store::create_or_open(dir.path(), &JobName::new("j").unwrap(), &new).unwrap().0
}

impl Run {
    fn new(store: &Store, provider: Played, listed: Option<u64>) -> Self {
        let (provider, clock) = (Arc::new(provider), Arc::new(SimulatedClock::default()));
        let route = Route {
            name: "r".into(),
            model: "gpt-4o".into(),
            provider: Arc::clone(&provider) as Arc<dyn Provider>,
            timeout: Duration::from_mins(1),
            set: KnownWindow::default(),
            listed: KnownWindow { context: listed, ..KnownWindow::default() },
            counting: Counting::default(),
            prices: None,
            parameters: Arc::new([]),
            extra_allow: Arc::new([]),
            gate: GateSettings::default(),
            key_limits: None,
            fallback: Fallback::default(),
        };
        let routes = Routes { routes: vec![route], default: Some("r".into()), ..Routes::default() };
        let settings = StackSettings {
            retry: RetrySettings::default(),
            calls_max: None,
            context: ContextSettings::default(),
            spending: Spending::default(),
            spent: Amount::default(),
            seed: 1,
            job: "j".into(),
        };
        let around = StackAround {
            halt: Arc::new(Halt::default()),
            clock: Arc::clone(&clock) as Arc<dyn crate::clock::Clock>,
            events: Arc::new(NoEvents),
            store: store.clone(),
            run: RunId(1),
            runtime: tokio::runtime::Handle::current(),
        };
        Self { stack: Arc::new(Stack::new(routes, settings, around)), provider, clock, store: store.clone() }
    }

    /// The first attempt of an item, with what the store knows of earlier executions.
    async fn session(&self, seq: i64) -> (ItemSession, AttemptId) {
        let item = ItemSeq(seq);
        let history = self.store.history(item).await.unwrap();
        let context = String::new();
        let new = NewAttempt { item, number: AttemptNumber::FIRST, run: RunId(1), context, began_ms: 1 };
        let attempt = self.store.enqueue_attempt(new).await.unwrap();
        let answers = history.answers.into_iter().map(|entry| ((entry.hash, entry.occurrence), entry.completion));
        let answers: HashMap<_, _> = answers.collect();
        let start = SessionStart {
            item: ItemId::new(&seq.to_string()).unwrap(),
            seq: item,
            attempt,
            number: AttemptNumber::FIRST,
            earlier: Arc::new(answers.keys().copied().collect()),
            answers,
            patience: None,
            not_again: HashSet::new(),
            told: Told::new(history.told),
            roles: Arc::new(["default".to_owned()]),
            calls_max: 100,
            spending: Spending::default(),
            spent: Amount::default(),
        };
        (ItemSession::new(Arc::clone(&self.stack), start), attempt)
    }

    async fn ask(&self, seq: i64, request: Request) -> Result<Completion, CallEnd> {
        self.session(seq).await.0.complete(request).await
    }

    fn received(&self) -> Vec<Arc<Request>> {
        self.provider.received.lock().unwrap().clone()
    }
}

fn error_of(end: Result<Completion, CallEnd>) -> LlmError {
    match end {
        Err(CallEnd::Error(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn words(count: usize) -> Request {
    request(&"word ".repeat(count))
}

fn tokens(request: &Request) -> u64 {
    Counter::of_model("gpt-4o", Counting::default()).request(request)
}

fn overflow(numbers: Overflow) -> ProviderError {
    ProviderError { overflow: numbers, ..ProviderError::new(ErrorClass::ContextOverflow, "too long") }
}

/// A server of a smaller context that says nothing of it.
fn silent_server(context: u64) -> Played {
    played(move |request, _| {
        let wanted = tokens(request) + u64::from(request.max_output_tokens.unwrap_or(0));
        if wanted > context { Err(overflow(Overflow::default())) } else { Ok("yes".into()) }
    })
}

#[tokio::test]
async fn a_smaller_server_that_tells_no_number_is_found_by_halves_and_remembered() {
    for context in [4_096, 512] {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::new(&store(&dir), silent_server(context), None);
        let first = run.ask(1, words(60_000)).await.unwrap();
        let tries = run.received().len();
        assert!(tries > 1 && tries <= 1 + REFITS_MAX, "{tries}");
        assert!(first.cut.unwrap().tokens_after > context / 4);
        run.ask(2, words(60_000)).await.unwrap();
        assert_eq!(run.received().len(), tries + 1, "learned");
    }
}

#[tokio::test]
async fn a_window_that_is_known_is_not_shrunk_for_one_request_that_was_counted_too_low() {
    let dir = tempfile::tempdir().unwrap();
    let heavy = |request: &Request| if tokens(request) > 8_000 { tokens(request) * 3 / 2 } else { tokens(request) };
    let provider = played(move |request, _| match heavy(request) {
        theirs if theirs > 14_000 => {
            Err(overflow(Overflow { limit: Some(14_000), input: Some(theirs), ..Overflow::default() }))
        }
        _ => Ok("yes".into()),
    });
    let run = Run::new(&store(&dir), provider, Some(14_000));
    let cut = run.ask(1, words(11_000)).await.unwrap().cut.unwrap();
    assert_eq!((run.received().len(), cut.tokens_before), (2, tokens(&words(11_000)) * 3 / 2));
    assert_eq!(run.ask(2, words(7_900)).await.unwrap().cut, None);
    assert_eq!(run.ask(3, words(9_000)).await.unwrap().cut, None);
    assert_eq!(run.received().len(), 4);
}

#[tokio::test]
async fn output_gives_way_before_input_by_the_providers_own_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let provider = played(|request, _| {
        let (theirs, output) = (tokens(request) + 900, u64::from(request.max_output_tokens.unwrap_or(0)));
        if theirs + output > 8_000 {
            let numbers =
                Overflow { limit: Some(8_000), input: Some(theirs), output: Some(output), output_limit: None };
            return Err(overflow(numbers));
        }
        Ok("yes".into())
    });
    let run = Run::new(&store(&dir), Played { output_by_default: Some(4_096), ..provider }, Some(8_000));
    assert_eq!(run.ask(1, words(3_500)).await.unwrap().cut, None);
    let received = run.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].max_output_tokens, Some(4_096), "what goes onto the wire is reckoned with");
    let left = 8_000 - (tokens(&received[0]) + 900);
    assert_eq!(u64::from(received[1].max_output_tokens.unwrap()), left);
    assert_eq!(received[1].messages, received[0].messages);
}

fn of_schema(text: &str) -> Request {
    let schema = r#"{"type":"object","required":["a"]}"#.into();
    Request {
        format: ResponseFormat::JsonSchema(JsonSchema { name: "x".into(), schema, strict: true, extra: vec![] }),
        ..request(text)
    }
}

#[tokio::test]
async fn json_is_asked_for_again_at_once_and_no_more_often_than_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(&store(&dir), played(|_, nth| Ok(["Sure!", "{}", r#"{"a":1}"#][nth % 3].into())), None);
    assert_eq!(run.ask(1, of_schema("q")).await.unwrap().text, r#"{"a":1}"#);
    let messages: Vec<usize> = run.received().iter().map(|request| request.messages.len()).collect();
    assert_eq!((messages, run.clock.sleeps().len()), (vec![1, 3, 3], 0));

    let run = Run::new(&run.store, played(|_, _| Ok("Sure!".into())), None);
    let error = error_of(run.ask(2, of_schema("q")).await);
    assert_eq!((error.kind, error.code.as_str()), (LlmErrorKind::Transient, "not_json"));
    assert_eq!((run.received().len(), run.clock.sleeps().len()), (3, 0));
    run.stack.drained().await;
}

#[tokio::test]
async fn asking_again_cuts_the_quotation_rather_than_the_question() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = "wrong ".repeat(2_500);
    let provider = played(move |_, nth| Ok(if nth == 0 { wrong.clone() } else { r#"{"a":1}"#.into() }));
    let run = Run::new(&store(&dir), provider, Some(4_096));
    let question = of_schema(&"word ".repeat(1_900));
    let answer = run.ask(1, question.clone()).await.unwrap();
    let received = run.received();
    assert_eq!((answer.cut, received[1].messages.len()), (None, 2));
    assert_eq!(received[1].messages[0], question.messages[0]);
    assert!(received.iter().all(|request| tokens(request) <= 4_096));
}

#[tokio::test]
async fn a_replay_tells_how_the_request_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(&store(&dir), played(|_, _| Ok("yes".into())), Some(4_096));
    let first = run.ask(1, words(9_000)).await.unwrap();
    let (session, _) = run.session(1).await;
    assert_eq!(session.complete(words(9_000)).await.unwrap(), first);
    assert_eq!((run.received().len(), session.replayed_and_truncated().1), (1, 1));
    assert!(first.cut.is_some());
}

#[tokio::test]
async fn a_replay_is_told_the_same_sizes_until_the_item_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let facts = |context| ModelFacts { context: Some(context), max_output: None };
    let long = || Request { on_overflow: Some("error".into()), ..words(9_000) };
    let run = Run::new(&store, Played { facts: facts(4_096), ..played(|_, _| Ok("yes".into())) }, None);
    let (session, attempt) = run.session(1).await;
    let count = session.count_tokens(long()).await.unwrap();
    let error = error_of(session.complete(long()).await);
    assert_eq!((count.window, error.kind), (Some(4_096), LlmErrorKind::TooLarge));

    let next = Run::new(&store, Played { facts: facts(6_000), ..played(|_, _| Ok("yes".into())) }, None);
    let (session, _) = next.session(1).await;
    assert_eq!(session.count_tokens(long()).await, Ok(count));
    assert_eq!(session.count_tokens(long()).await.unwrap().window, Some(6_000), "what is counted once more is counted");
    assert_eq!(error_of(session.complete(long()).await), error);
    assert_ne!(error_of(session.complete(long()).await), error);
    assert_eq!(next.session(2).await.0.count_tokens(long()).await.unwrap().window, Some(6_000));

    let failure = Failure { code: "c".into(), ..Failure::new(FailureClass::Plugin, "m") };
    let end = store::ItemEnd {
        item: ItemSeq(1),
        attempt: AttemptId(attempt.0 + 1),
        generation: store::GenerationId(1),
        run: RunId(1),
        ended_ms: 1,
        attempts: 2,
        took: store::Took::default(),
        last_request: None,
        end: store::ItemOutcome::Failed(failure),
        logs: Vec::new(),
    };
    store.item_end(end).await.unwrap().wait().await.unwrap();
    assert_eq!(next.session(1).await.0.count_tokens(long()).await.unwrap().window, Some(6_000));
}

#[tokio::test]
async fn what_does_not_fit_is_told_without_a_call_and_with_the_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(&store(&dir), played(|_, _| Ok("yes".into())), Some(4_096));
    let asked = Request { on_overflow: Some("error".into()), ..words(9_000) };
    let error = error_of(run.ask(1, asked).await);
    let number = |name: &str| error.extra.iter().find(|pair| pair.name == name).unwrap().value.clone();
    assert_eq!((number("limit"), run.received().len()), ("2096".to_owned(), 0));
    assert!(number("tokens").parse::<u64>().unwrap() > 8_000);
}
