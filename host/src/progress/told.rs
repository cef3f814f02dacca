//! What an event says to a person: one line, whatever a guest or a provider put into it.

use crate::domain::{Event, sanitize_line};
use std::time::Duration;

/// A wait shorter than this is not worth a line.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// What is said of a message of a guest or a provider, in bytes.
const MESSAGE_BYTES_MAX: usize = 300;

/// Who wants to read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Nobody who reads: it is in the figures.
    Figures,
    /// Whoever asks for more.
    Detail,
    /// Everybody.
    News,
}

pub(super) fn weight(event: &Event) -> Weight {
    match event {
        Event::BreakerChanged { .. } | Event::NoProgress { .. } => Weight::News,
        Event::CallRetry { wait, .. } if *wait < LONG_WAIT => Weight::Figures,
        Event::CallRetry { .. }
        | Event::RequestCut { .. }
        | Event::ConcurrencyChanged { .. }
        | Event::PaceLearned { .. }
        | Event::FellBack { .. }
        | Event::ItemRetry { .. }
        | Event::ItemSkipped { .. }
        | Event::ItemFailed { .. }
        | Event::GuestLog { .. } => Weight::Detail,
        Event::CallAnswered { .. }
        | Event::CallReused { .. }
        | Event::GuestGaveWay { .. }
        | Event::CallFailed { .. }
        | Event::ItemDone { .. } => Weight::Figures,
    }
}

/// Without a line end.
pub(super) fn line(event: &Event) -> String {
    let short = |text: &str| sanitize_line(text, MESSAGE_BYTES_MAX);
    let seconds = Duration::as_secs_f64;
    match event {
        Event::BreakerChanged { route, to, reason, pause, .. } => {
            let pause = pause.map_or(String::new(), |pause| format!(", for {:.1} s", seconds(&pause)));
            format!("route {route}: circuit breaker {to}: {}{pause}", short(reason))
        }
        Event::NoProgress { patience, waiting_for } => {
            format!("nothing has moved for {}: {waiting_for}", humantime::format_duration(*patience))
        }
        Event::CallRetry { item, class, message, attempt, attempts_max, wait, .. } => {
            let attempt = match attempt {
                0 => "which costs no attempt".to_owned(),
                attempt => format!("attempt {attempt} of {attempts_max} failed"),
            };
            format!("{item}: {class}, {attempt}, waiting {:.1} s: {}", seconds(wait), short(message))
        }
        Event::CallAnswered { item, route, took, input_tokens, output_tokens, .. } => format!(
            "{item}: route {route} answered after {:.1} s: {input_tokens} tokens read, {output_tokens} written",
            seconds(took)
        ),
        Event::CallReused { item } => format!("{item}: answered from the journal"),
        Event::GuestGaveWay { item } => format!("{item}: gave its instance to another item while it waits"),
        Event::CallFailed { item, route, took, class, .. } => {
            format!("{item}: route {route}: {class} after {:.1} s", seconds(took))
        }
        Event::RequestCut { item, tokens_before, tokens_after } => {
            format!("{item}: cut from {tokens_before} to {tokens_after} tokens to fit the model's context")
        }
        Event::ConcurrencyChanged { route, limit } => format!("route {route}: {limit} calls at once"),
        Event::PaceLearned { route, requests, tokens } => {
            let per_minute = |limit: &Option<u64>| limit.map_or("?".into(), |limit| limit.to_string());
            format!(
                "route {route}: the provider takes {} requests and {} tokens a minute",
                per_minute(requests),
                per_minute(tokens)
            )
        }
        Event::FellBack { from, to, reason } => format!("route {from}: {reason}, {to} steps in"),
        Event::ItemRetry { item, attempt, code, message, wait } => format!(
            "{item}: attempt {attempt} rejected by the plugin ({}), again in {:.1} s: {}",
            short(code),
            seconds(wait),
            short(message)
        ),
        Event::ItemDone { item } => format!("{item}: done"),
        Event::ItemSkipped { item, reason } => format!("{item}: skipped: {}", short(reason)),
        Event::ItemFailed { item, class, code, message } => {
            format!("{item}: failed: {class}/{}: {}", short(code), short(message))
        }
        Event::GuestLog { item, level, message } => format!("{item}: {level}: {}", short(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ErrorClass, ItemId};

    #[test]
    fn a_retry_is_told_with_its_wait_and_what_the_provider_said_in_one_line() {
        let retry = |attempt, wait| Event::CallRetry {
            item: ItemId::new("a").unwrap(),
            route: "r".into(),
            class: ErrorClass::RateLimited,
            code: "c".into(),
            message: "slow\n\u{1b}[2Jdown".into(),
            attempt,
            attempts_max: 5,
            wait: Duration::from_millis(wait),
        };
        assert_eq!(line(&retry(2, 1_500)), "a: rate_limited, attempt 2 of 5 failed, waiting 1.5 s: slow  [2Jdown");
        assert!(line(&retry(0, 1_500)).contains("which costs no attempt"));
        assert_eq!((weight(&retry(1, 999)), weight(&retry(1, 1_000))), (Weight::Figures, Weight::Detail));
    }
}
