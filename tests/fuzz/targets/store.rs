//! A store that somebody else wrote: what stands in its columns, its pages, and the control files beside it.

use super::text::is_clean;
use sandmill::domain::{
    AttemptNumber, Completion, Emission, ErrorClass, Failure, FailureClass, Fingerprint, ItemId, ItemSeq, Usage,
};
use sandmill::store::fuzzing::{decode_completion, decode_emissions, encode_completion, encode_emissions};
use sandmill::store::{
    AttemptId, CallOutcome, CostBy, Generation, GuestLogLine, ItemEnd, ItemOutcome, JobName, NewAttempt, NewCall,
    NewItem, NewJob, Reader, RunEnd, Selection, States, Store, StoreError, Take, Took, budget_from_context,
    context_of_budget, control,
};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

/// The first byte chooses the form.
pub(crate) fn forms(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind {
        b'k' => return control_file(rest, "control"),
        b'a' => return control_file(rest, "answer"),
        _ => {}
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match kind {
        b'e' => {
            if let Ok(emissions) = decode_emissions(text) {
                let stored = encode_emissions(&emissions).expect("what was read can be stored");
                assert_eq!(decode_emissions(&stored).expect("and read"), emissions);
            }
        }
        b'b' => {
            if let Some(budget) = budget_from_context(text) {
                assert_eq!(budget_from_context(&context_of_budget(budget)), Some(budget));
            }
        }
        _ => {
            if let Ok(completion) = decode_completion(text) {
                let stored = encode_completion(&completion).expect("what was read can be stored");
                assert_eq!(decode_completion(&stored).expect("and read"), completion);
            }
        }
    }
}

fn job() -> JobName {
    JobName::new("j").expect("a name")
}

/// A folder of this thread.
fn with_folder<T>(act: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a place for files");
    }
    FOLDER.with(|folder| act(folder.path()))
}

fn write(path: &Path, bytes: &[u8]) {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).expect("room");
}

fn control_file(bytes: &[u8], name: &str) {
    with_folder(|dir| {
        write(&dir.join(format!("j.{name}")), bytes);
        let error = match name {
            "control" => control::read(dir, &job()).err(),
            _ => control::answer(dir, &job()).err(),
        };
        assert!(error.is_none_or(|error| !error.to_string().is_empty()));
        std::fs::remove_file(dir.join(format!("j.{name}"))).expect("it was there");
    });
}

/// Changes to a sound store: a place (three bytes), a length, and as many bytes that stand there then.
pub(crate) fn file(bytes: &[u8]) {
    let mut image = sound().to_vec();
    let mut rest = bytes;
    while let [a, b, c, length, tail @ ..] = rest {
        let at = (usize::from(*a) * 65_536 + usize::from(*b) * 256 + usize::from(*c)) % image.len();
        let length = usize::from(*length).min(tail.len()).min(image.len() - at);
        image[at..at + length].copy_from_slice(&tail[..length]);
        rest = &tail[length..];
    }
    with_folder(|dir| {
        write(&dir.join("j.db"), &image);
        // Each error has words; what matters is that there is nothing else.
        if let Err(error) = look(dir) {
            assert!(!error.to_string().is_empty());
        }
        for name in ["j.db", "j.db-wal", "j.db-shm", "j.db-journal", "j.lock"] {
            let _ = std::fs::remove_file(dir.join(name));
        }
    });
}

/// Everything that is read of a job by those who only look.
fn look(dir: &Path) -> Result<(), StoreError> {
    let reader = Reader::open(dir, &job())?;
    let told = [
        reader.job().err(),
        reader.counts().err(),
        reader.usage().err(),
        reader.costs(CostBy::Route).err(),
        reader.costs(CostBy::Item).err(),
        reader.failure_groups().err(),
        reader.failures(10).err(),
        reader.runs().err(),
        reader.item("a").err(),
        reader.item("b").err(),
        reader.verify().err(),
        reader.log(None, |_| Ok(())).err(),
        reader.for_each_done(|_, _| Ok::<_, StoreError>(())).err(),
        reader.done_after(None, 10).err(),
        reader
            .for_each_item(&Selection { with_input: true, with_books: true, ..Selection::new(States::All) }, |_| {
                Ok::<_, StoreError>(())
            })
            .err(),
    ];
    for error in told.into_iter().flatten() {
        assert!(is_clean(&error.to_string()), "{error}");
    }
    Ok(())
}

/// A job with an item that is done, with its answer, and one that failed.
fn sound() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a place for files");
        fill(dir.path()).expect("a store");
        std::fs::read(dir.path().join("j.db")).expect("a file")
    })
}

fn fill(dir: &Path) -> Result<(), StoreError> {
    let new = NewJob { created_ms: 1, seed: 2, arguments: r#"{"job":"j"}"#.into() };
    let (store, _) = Store::create_or_open(dir, &job(), &new)?;
    let mut registration = store.begin_registration(1)?;
    for (position, id) in ["a", "b"].into_iter().enumerate() {
        let id = ItemId::new(id).expect("an id");
        let input = r#"{"text":"the input"}"#.to_owned();
        registration.add(NewItem {
            fingerprint: Fingerprint::of(&id, input.as_bytes()),
            id,
            line: position as u64 + 1,
            position: position as u64,
            input,
            problem: None,
            blobs: Vec::new(),
        })?;
    }
    registration.finish("{}")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(run(&store))?;
    store.close()
}

async fn run(store: &Store) -> Result<(), StoreError> {
    let generation = Generation {
        plugin_name: "p".into(),
        plugin_version: "1".into(),
        plugin_digest: "d".into(),
        config: "{}".into(),
        model: "m".into(),
    };
    let (run, generation, _) = store.begin_run("digest".into(), generation, 1, "{}".into()).await?;
    for pending in store.pending(None, 10, Take::Pending, run).await?.items {
        let item = pending.item.seq;
        let attempt = NewAttempt { item, number: AttemptNumber::FIRST, run, context: "{}".into(), began_ms: 1 };
        let attempt = store.enqueue_attempt(attempt).await?;
        let is_first = pending.item.id.as_str() == "a";
        store.call_end(store.call_intent(call(item, attempt)).await?, 3, outcome(is_first)).await?;
        let end = ItemEnd {
            item,
            attempt,
            generation,
            run,
            ended_ms: 4,
            attempts: 1,
            took: Took::default(),
            last_request: Some("{}".into()),
            end: item_outcome(is_first),
            logs: vec![GuestLogLine { level: "info".into(), message: "said".into() }],
        };
        store.item_end(end).await?.wait().await?;
    }
    let end =
        RunEnd { ended_ms: 5, state: "finished".into(), reason: "all".into(), exit_code: 3, summary: "{}".into() };
    store.end_run(run, end).await
}

fn call(item: ItemSeq, attempt: AttemptId) -> NewCall {
    NewCall {
        item,
        attempt,
        hash: [7; 32],
        occurrence: 0,
        try_number: 1,
        route: "default".into(),
        model: "m".into(),
        price: None,
        reserved: 1,
        reserved_tokens: 1,
        intent_ms: 2,
    }
}

fn outcome(is_answered: bool) -> CallOutcome {
    if is_answered {
        let usage = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        let completion = Completion {
            text: "an answer".into(),
            finish: "stop".into(),
            model: "m".into(),
            usage,
            ..Completion::default()
        };
        return CallOutcome::Answered { completion, request_id: Some("r".into()), cost: Some(5) };
    }
    CallOutcome::Failed {
        class: ErrorClass::ServerError,
        code: "server_error".into(),
        message: "status 500: no".into(),
        status: Some(500),
        request_id: None,
        body: "{}".into(),
        usage: None,
        lost_tokens: 0,
        cost: None,
    }
}

fn item_outcome(is_done: bool) -> ItemOutcome {
    if is_done {
        let emission = |name: &str| Emission { value: "{\"x\":1}".into(), name: Some(name.into()), extra: Vec::new() };
        ItemOutcome::Done(vec![emission("one"), emission("two")])
    } else {
        ItemOutcome::Failed(Failure::new(FailureClass::Trap, "unreachable"))
    }
}
