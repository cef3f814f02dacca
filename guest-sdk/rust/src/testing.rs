//! A plugin's tests run natively, where there is no host. This stands in for it: items, a context, and models that answer
//! as the test says. In a component the module does nothing.
//!
//! ```
//! use sandmill_plugin::{llm, testing};
//!
//! let answer = testing::with_model(
//!     |request| Ok(testing::answer(format!("you sent {} messages", request.messages.len()))),
//!     || llm::chat().system("Be brief.").user("Hello").text(),
//! );
//! assert_eq!(answer, Ok("you sent 2 messages".to_owned()));
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use serde_json::Value;

use crate::bindings::sandmill::plugin::{llm as wit_llm, types as wit};
use crate::llm::Part;
use crate::{Context, Failure, Item, Outcome};

pub use crate::bindings::sandmill::plugin::llm::{
    Error as ModelError, ErrorKind as ModelErrorKind, Request, Response, Usage,
};

/// What answers a test's questions.
pub type Model = Box<dyn FnMut(&Request) -> Result<Response, ModelError>>;

thread_local! {
    static MODEL: RefCell<Option<Model>> = const { RefCell::new(None) };
    static WINDOW: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Runs `test` while `model` answers what it asks. The requests of one `llm::all` come one after the other.
pub fn with_model<R>(
    model: impl FnMut(&Request) -> Result<Response, ModelError> + 'static,
    test: impl FnOnce() -> R,
) -> R {
    let before = MODEL.with(|slot| slot.replace(Some(Box::new(model))));
    let result = test();
    MODEL.with(|slot| slot.replace(before));
    result
}

/// Runs `test` while [`count_tokens`](crate::llm::Chat::count_tokens) tells of a model that takes so many tokens.
pub fn with_window<R>(tokens: u64, test: impl FnOnce() -> R) -> R {
    let before = WINDOW.replace(Some(tokens));
    let result = test();
    WINDOW.set(before);
    result
}

/// A model that gives these answers one after the other; whoever asks more is told so by an error with the code
/// `no_more_answers`.
pub fn answers<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Model {
    let mut texts: VecDeque<String> = texts.into_iter().map(Into::into).collect();
    Box::new(move |_| {
        let message = "the test has no answer to this question";
        texts.pop_front().map(answer).ok_or_else(|| model_error(ModelErrorKind::Rejected, "no_more_answers", message))
    })
}

/// All that a request says, its messages one below the other.
pub fn said(request: &Request) -> String {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
        .collect::<Vec<_>>()
        .join("\n")
}

/// What an item emits, as values. None: it skips, or a value has no JSON form.
pub fn emitted(outcome: &Outcome) -> Option<Vec<Value>> {
    match outcome.clone().into_wit() {
        Ok(wit::Outcome::Emit(emissions)) => {
            emissions.iter().map(|emission| serde_json::from_str(&emission.value).ok()).collect()
        }
        Ok(wit::Outcome::Skip(_)) | Err(_) => None,
    }
}

/// Why an item is skipped. None: it emits.
pub fn skipped(outcome: &Outcome) -> Option<String> {
    match outcome.clone().into_wit() {
        Ok(wit::Outcome::Skip(skip)) => Some(skip.reason),
        Ok(wit::Outcome::Emit(_)) | Err(_) => None,
    }
}

/// The first value of an item that ends well. Panics where it ends otherwise or emits none.
#[track_caller]
#[expect(clippy::expect_used, reason = "it fails the test")]
pub fn value(outcome: Result<Outcome, Failure>) -> Value {
    emitted(&outcome.expect("an outcome")).expect("values").remove(0)
}

/// The message of an item that fails so. Panics where it ends well, or fails otherwise.
#[track_caller]
#[expect(clippy::expect_used, reason = "it fails the test")]
pub fn fails(outcome: Result<Outcome, Failure>, code: &str, is_retryable: bool) -> String {
    let failure = outcome.expect_err("fails");
    assert_eq!((failure.code(), failure.is_retryable()), (code, is_retryable), "{failure}");
    failure.message().to_owned()
}

/// An answer with this text.
pub fn answer(text: impl Into<String>) -> Response {
    Response {
        text: text.into(),
        tool_calls: Vec::new(),
        finish: "stop".to_owned(),
        model: "test".to_owned(),
        usage: Usage {
            input_tokens: 0,
            output_tokens: 0,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
            extra: Vec::new(),
        },
        opaque: Vec::new(),
        cut: None,
        extra: Vec::new(),
    }
}

/// An error as the host reports it.
pub fn model_error(kind: ModelErrorKind, code: &str, message: &str) -> ModelError {
    ModelError { kind, code: code.to_owned(), message: message.to_owned(), extra: Vec::new() }
}

/// An item called `item-0`, around a value of the plugin's type.
pub fn item_of<T>(data: T) -> Item<T> {
    Item { id: "item-0".to_owned(), index: 0, data, blobs: Vec::new(), extra: std::collections::BTreeMap::new() }
}

/// The first attempt in a job called `test`, with this configuration and no limits.
pub fn context_of<C>(config: C) -> Context<C> {
    Context {
        job: "test".to_owned(),
        attempt: 1,
        config,
        budget: crate::Budget::default(),
        extra: std::collections::BTreeMap::new(),
    }
}

/// The same item as the host hands it over.
pub fn item(json: &str) -> wit::Item {
    wit::Item { id: "item-0".to_owned(), index: 0, json: json.to_owned(), blobs: Vec::new(), extra: Vec::new() }
}

/// The same context as the host hands it over.
pub fn context(config: &str) -> wit::Context {
    wit::Context {
        job: "test".to_owned(),
        attempt: 1,
        config: config.to_owned(),
        budget: wit::Budget { calls: None, tokens: None, micro_dollars: None, extra: Vec::new() },
        extra: Vec::new(),
    }
}

#[cfg_attr(target_family = "wasm", expect(dead_code, reason = "a component asks the host"))]
pub(crate) fn complete(request: &Request) -> Result<Response, ModelError> {
    // Taken out while it answers, so that a model that asks in turn finds none instead of a locked cell.
    let Some(mut model) = MODEL.with(RefCell::take) else {
        let message = "there is no model outside a host: use `sandmill_plugin::testing::with_model`";
        return Err(model_error(wit_llm::ErrorKind::Denied, "no_host", message));
    };
    let result = model(request);
    MODEL.with(|slot| slot.replace(Some(model)));
    result
}

#[cfg_attr(target_family = "wasm", expect(dead_code, reason = "a component asks the host"))]
pub(crate) fn window() -> Option<u64> {
    WINDOW.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm;

    #[test]
    fn answers_come_in_their_order_and_then_an_error() {
        let ask = || [(); 3].map(|()| llm::chat().user("q").text().map_err(|error| error.code));
        let got = with_model(answers(["a", "b"]), ask);
        assert_eq!(got, [Ok("a".to_owned()), Ok("b".to_owned()), Err("no_more_answers".to_owned())]);
    }

    #[test]
    fn an_outcome_can_be_looked_at() {
        assert_eq!(emitted(&Outcome::emit_many([1, 2])), Some(vec![1.into(), 2.into()]));
        assert_eq!((emitted(&Outcome::skip("why")), skipped(&Outcome::skip("why"))), (None, Some("why".to_owned())));
        assert_eq!(skipped(&Outcome::emit(1)), None);
    }
}
