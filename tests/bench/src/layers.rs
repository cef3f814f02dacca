//! The program's own layers without a plugin and without a wire: from what a plugin asks, through the journal, the gate, the books and the store, to a provider in
//! this process that answers at once. So all that a call takes here is the host's own.

use anyhow::{Context, anyhow};
use sandmill::clock::{Clock, SystemClock};
use sandmill::domain::{
    AttemptNumber, ItemId, ItemSeq, Llm, Message, NoEvents, Part, Request, ResponseFormat, Speaker,
};
use sandmill::input::{Entry, InputError, Record};
use sandmill::provider::{self, Faults, Settings};
use sandmill::resilience::{
    Amount, ConcurrencySettings, ContextSettings, Counting, Fallback, GateSettings, Halt, ItemSession, KnownWindow,
    RetrySettings, Route, Routes, SessionStart, Spending, Stack, StackAround, StackSettings, Told,
};
use sandmill::run::{DuplicatePolicy, Extent, Shard, Tally, register};
use sandmill::store::{
    Generation, GenerationId, ItemEnd, ItemOutcome, JobName, NewAttempt, NewJob, RunId, Store, Took,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

const ROLE: &str = "default";
/// As `--call-concurrency` would set it: more than are ever on their way here.
const CALLS_AT_ONCE: u32 = 256;
const TIMEOUT: Duration = Duration::from_mins(10);

pub(crate) struct Layers {
    store: Store,
    stack: Arc<Stack>,
    clock: Arc<dyn Clock>,
    roles: Arc<[String]>,
    run: RunId,
    generation: GenerationId,
}

impl Layers {
    /// A job in `folder` with so many items, which have the numbers from 1 on. `network`: where calls run, apart from who waits for them.
    pub(crate) fn open(folder: &Path, items: usize, network: &Handle) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let created_ms = clock.unix_ms();
        let job = NewJob { created_ms, seed: 1, arguments: "{}".into() };
        let (store, _) = Store::create_or_open(folder, &JobName::new("j")?, &job)?;
        let ids = (1..=items).map(|nth| ItemId::new(&format!("q{nth}"))).collect::<Result<Vec<_>, _>>()?;
        let record = |(line, id): (u64, ItemId)| {
            let json = format!(r#"{{"id":"{}","text":"number {line}"}}"#, id.as_str());
            Ok::<_, InputError>(Record { line, entry: Ok(Entry::new(Some(id), json)) })
        };
        let extent = Extent { limit: None, shard: Shard::WHOLE };
        register((1..).zip(ids).map(record), &store, DuplicatePolicy::Error, extent, "bench", created_ms)?;
        let text = |text: &str| text.to_owned();
        let generation = Generation {
            plugin_name: text("bench"),
            plugin_version: text("1.0.0"),
            plugin_digest: text("0"),
            config: text("{}"),
            model: text("m"),
        };
        let (run, generation, _) =
            network.block_on(store.begin_run(String::new(), generation, created_ms, text("{}")))?;
        let stack = stack(&store, run, &clock, network)?;
        Ok(Self { store, stack, clock, roles: Arc::new([text(ROLE)]), run, generation })
    }

    /// An item from its attempt to its outcome, with one question. What the answer to it took: two commits are in that, and the others are waited for
    /// outside of it.
    #[expect(clippy::disallowed_methods, reason = "this is what measures")]
    pub(crate) async fn item(&self, nth: usize) -> anyhow::Result<Duration> {
        let seq = ItemSeq(i64::try_from(nth)? + 1);
        let number = AttemptNumber(1);
        let new = NewAttempt { item: seq, number, run: self.run, context: "{}".into(), began_ms: self.clock.unix_ms() };
        let attempt = self.store.enqueue_attempt(new).await?;
        let session = ItemSession::new(
            Arc::clone(&self.stack),
            SessionStart {
                item: ItemId::new(&format!("q{}", nth + 1))?,
                seq,
                attempt,
                number,
                answers: HashMap::new(),
                earlier: Arc::default(),
                patience: None,
                not_again: HashSet::new(),
                roles: Arc::clone(&self.roles),
                told: Told::default(),
                calls_max: u64::MAX,
                spending: Spending::default(),
                spent: Amount::default(),
            },
        );
        let request = question(&format!("what of number {nth}?"));
        let began = Instant::now();
        let answer = session.complete(request).await;
        let took = began.elapsed();
        answer.map_err(|end| anyhow!("a call ended without an answer: {end:?}"))?;
        let end = ItemEnd {
            item: seq,
            attempt,
            generation: self.generation,
            run: self.run,
            ended_ms: self.clock.unix_ms(),
            attempts: 1,
            took: Took::default(),
            last_request: None,
            end: ItemOutcome::Done(Vec::new()),
            logs: Vec::new(),
        };
        self.store.item_end(end).await?.wait().await?;
        Ok(took)
    }

    /// Once nothing is under way.
    pub(crate) fn close(&self) -> anyhow::Result<()> {
        self.store.close().context("cannot close the store")
    }
}

fn stack(store: &Store, run: RunId, clock: &Arc<dyn Clock>, network: &Handle) -> anyhow::Result<Arc<Stack>> {
    let route = Route {
        name: ROLE.into(),
        model: "m".into(),
        provider: provider::build(Settings::Mock { faults: Faults::default(), seed: 1 })?,
        timeout: TIMEOUT,
        set: KnownWindow::default(),
        listed: KnownWindow::default(),
        counting: Counting::default(),
        prices: None,
        parameters: Arc::default(),
        extra_allow: Arc::default(),
        gate: GateSettings { concurrency: ConcurrencySettings::Fixed(CALLS_AT_ONCE), ..GateSettings::default() },
        key_limits: None,
        fallback: Fallback::default(),
    };
    let routes =
        Routes { routes: vec![route], roles: BTreeMap::new(), default: Some(ROLE.into()), groups: BTreeMap::new() };
    let settings = StackSettings {
        retry: RetrySettings::default(),
        calls_max: None,
        context: ContextSettings::default(),
        spending: Spending::default(),
        spent: Amount::default(),
        seed: 1,
        job: "bench".into(),
    };
    let around = StackAround {
        halt: Arc::new(Halt::default()),
        clock: Arc::clone(clock),
        events: Arc::new(Tally::new(Box::new(NoEvents))),
        store: store.clone(),
        run,
        runtime: network.clone(),
    };
    Ok(Arc::new(Stack::new(routes, settings, around)))
}

/// As a plugin would ask it.
pub(crate) fn question(text: &str) -> Request {
    Request {
        role: ROLE.into(),
        messages: vec![Message {
            speaker: Speaker::User,
            parts: vec![Part::Text(text.into())],
            cache: false,
            extra: Vec::new(),
        }],
        tools: Vec::new(),
        tool_choice: None,
        format: ResponseFormat::Text,
        max_output_tokens: None,
        temperature: None,
        top_p: None,
        stop: Vec::new(),
        seed: None,
        on_overflow: None,
        extra: Vec::new(),
    }
}
