//! Failures in the shapes in which providers send them, and what each of them is: from references, SDKs, reports and
//! servers run by hand. A failure that was misread ends here as a new line.
//!
//! `docs/provider-errors.md` is written from it.

mod anthropic;
mod azure;
mod compatible;
mod document;
mod garbage;
mod gemini;
mod openai;

use super::anthropic::Anthropic;
use super::dialect::Dialect;
use super::exchange::{Exchange, read};
use super::gemini::Gemini;
use super::openai::{Azure, OpenAi};
use super::{Answer, ProviderError, address};
use crate::domain::ErrorClass;
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// The protocol in which a failure is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    OpenAi,
    Azure,
    Anthropic,
    Gemini,
}

#[derive(Clone, Copy)]
struct Recorded {
    /// Who sends it, a colon, and what is wrong.
    from: &'static str,
    spoken: Spoken,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    class: ErrorClass,
    code: &'static str,
    /// How long it asks to wait.
    wait: Option<Duration>,
}

const fn openai(
    from: &'static str,
    status: u16,
    body: &'static str,
    class: ErrorClass,
    code: &'static str,
) -> Recorded {
    Recorded { from, spoken: Spoken::OpenAi, status, headers: &[], body, class, code, wait: None }
}

const fn azure(from: &'static str, status: u16, body: &'static str, class: ErrorClass, code: &'static str) -> Recorded {
    Recorded { spoken: Spoken::Azure, ..openai(from, status, body, class, code) }
}

const fn anthropic(
    from: &'static str,
    status: u16,
    body: &'static str,
    class: ErrorClass,
    code: &'static str,
) -> Recorded {
    Recorded { spoken: Spoken::Anthropic, ..openai(from, status, body, class, code) }
}

const fn gemini(
    from: &'static str,
    status: u16,
    body: &'static str,
    class: ErrorClass,
    code: &'static str,
) -> Recorded {
    Recorded { spoken: Spoken::Gemini, ..openai(from, status, body, class, code) }
}

/// With what headers, and how many milliseconds it asks to wait, by them or by its body.
const fn told(headers: &'static [(&'static str, &'static str)], wait_ms: Option<u64>, recorded: Recorded) -> Recorded {
    let wait = match wait_ms {
        Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
        None => None,
    };
    Recorded { headers, wait, ..recorded }
}

impl Recorded {
    fn read(&self) -> ProviderError {
        let pairs = self.headers.iter();
        let headers: HeaderMap =
            pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        self.spoken.read(self.status, &headers, self.body.as_bytes()).unwrap_err()
    }
}

impl Spoken {
    const ALL: [Self; 4] = [Self::OpenAi, Self::Azure, Self::Anthropic, Self::Gemini];

    fn dialect(self) -> Box<dyn Dialect> {
        let base = address::base("http://127.0.0.1/v1").unwrap();
        match self {
            Self::OpenAi => Box::new(OpenAi::local()),
            Self::Azure => Box::new(Azure::new(&base, None).unwrap()),
            Self::Anthropic => Box::new(Anthropic::new(&base)),
            Self::Gemini => Box::new(Gemini),
        }
    }

    fn read(self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Answer, ProviderError> {
        read(&Exchange { status, headers, body, now_unix_ms: 0, model: "m" }, self.dialect().as_ref())
    }

    /// An answer that is one.
    const fn answer(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Azure => {
                r#"{"choices":[{"message":{"role":"assistant","content":"Once é 1"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#
            }
            Self::Anthropic => {
                r#"{"content":[{"type":"text","text":"Once é 1"}],"stop_reason":"end_turn","usage":{"input_tokens":1}}"#
            }
            Self::Gemini => {
                r#"{"candidates":[{"content":{"parts":[{"text":"Once é 1"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}"#
            }
        }
    }
}

fn corpus() -> Vec<Recorded> {
    let mut all = [openai::CASES, azure::CASES, compatible::CASES, anthropic::CASES, gemini::CASES].concat();
    all.extend(garbage::cases());
    all
}

#[test]
fn every_recorded_failure_is_what_it_is() {
    let mut misread = Vec::new();
    for recorded in corpus() {
        let error = recorded.read();
        let (is, must_be) = (
            (error.class, error.code.as_str(), error.retry_after, error.status),
            (recorded.class, recorded.code, recorded.wait, Some(recorded.status)),
        );
        if is != must_be {
            misread.push(format!("{} ({:?}): {is:?} rather than {must_be:?}", recorded.from, recorded.spoken));
        }
    }
    assert!(misread.is_empty(), "{}", misread.join("\n"));
}

#[test]
fn no_failure_is_recorded_twice() {
    let mut names: Vec<(&str, &str)> =
        corpus().iter().map(|recorded| (recorded.from, recorded.spoken.dialect_name())).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
}

#[test]
fn messages_are_one_line_and_name_the_way_out() {
    let message = |from: &str| corpus().iter().find(|recorded| recorded.from == from).unwrap().read().message;
    assert_eq!(message("vLLM: path"), "status 404: Not Found; check --model and --base-url");
    assert_eq!(message("nginx: bad gateway"), "status 502: 502 Bad Gateway");
    assert_eq!(message("any server: an empty 500"), "status 500: an empty body");
    assert_eq!(
        message("any server: a redirect"),
        "status 301: an empty body; redirects are not followed, this one leads to https://api.example.com/v1: check --base-url"
    );
    assert_eq!(message("OpenRouter: rate in a 200"), "status 200: Rate limit exceeded");
    for recorded in corpus() {
        let error = recorded.read();
        assert!(!error.message.contains('\n') && error.message.len() < 700, "{error}");
    }
}

#[test]
fn an_answer_that_breaks_off_anywhere_is_none() {
    for spoken in Spoken::ALL {
        let answer = spoken.answer();
        assert_eq!(spoken.read(200, &HeaderMap::new(), answer.as_bytes()).unwrap().completion.text, "Once é 1");
        for end in 0..answer.len() {
            let error = spoken.read(200, &HeaderMap::new(), &answer.as_bytes()[..end]).unwrap_err();
            assert_eq!(error.class, ErrorClass::Garbage, "{spoken:?}, {end} bytes: {error}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_no_failure_counts_as_an_answer(
        status in 300_u16..600, body in prop::collection::vec(any::<u8>(), 0..200), nth in 0_usize..4
    ) {
        let spoken = Spoken::ALL[nth];
        prop_assert!(spoken.read(status, &HeaderMap::new(), &body).is_err());
        prop_assert!(spoken.read(200, &HeaderMap::new(), &body).is_err());
    }

    #[test]
    fn an_answer_with_a_part_replaced_never_makes_it_panic(
        nth in 0_usize..4, at in 0_usize..140, replaced in "[\\[\\]{}\",:0-9a-z]{0,6}"
    ) {
        let spoken = Spoken::ALL[nth];
        let answer = spoken.answer();
        let at = answer.floor_char_boundary(at.min(answer.len()));
        let behind = answer.ceil_char_boundary((at + replaced.len()).min(answer.len()));
        let body = format!("{}{replaced}{}", &answer[..at], &answer[behind..]);
        if let Ok(read) = spoken.read(200, &HeaderMap::new(), body.as_bytes()) {
            prop_assert!(!read.completion.text.is_empty() || read.completion.finish != "stop", "{body}");
        }
    }
}
