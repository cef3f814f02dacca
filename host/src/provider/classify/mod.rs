//! From what a failed exchange says to what is done about it.
//!
//! The order: codes that mean one thing only, then the status, then weaker codes, and the provider's prose only where
//! it gave no code. Prose is a last resort, since it may quote the prompt.

mod facts;
mod rules;

use crate::domain::ErrorClass;
use crate::provider::Overflow;
use facts::Mark;
use rules::Rules;

pub(super) use facts::Facts;
pub(super) use rules::{ANTHROPIC, GEMINI, OPENAI, Profile};

pub(super) fn classify(rules: &Profile, facts: &Facts) -> ErrorClass {
    let class = by_all(rules, facts);
    match class {
        // The input fits by itself: what is too long is the output that was asked for.
        ErrorClass::ContextOverflow if leaves_room(facts) => ErrorClass::MaxOutputTooLarge,
        ErrorClass::MaxOutputTooLarge if fills_all(facts) => ErrorClass::ContextOverflow,
        class => class,
    }
}

fn leaves_room(facts: &Facts) -> bool {
    let Overflow { limit, input, output, .. } = facts.overflow;
    output.is_some() && limit.zip(input).is_some_and(|(limit, input)| input < limit)
}

fn fills_all(facts: &Facts) -> bool {
    facts.overflow.limit.zip(facts.overflow.input).is_some_and(|(limit, input)| input >= limit)
}

fn by_all(rules: &Profile, facts: &Facts) -> ErrorClass {
    if facts.mark == Some(Mark::Moderated) {
        return ErrorClass::Refused;
    }
    if let Some(class) = by_code(rules, |rules| rules.codes, facts) {
        // Some providers call a limit by the minute a quota.
        let short = class == ErrorClass::QuotaExhausted && facts.status == Some(429) && is_short(rules, facts);
        return if short { ErrorClass::RateLimited } else { class };
    }
    match facts.status {
        None => by_code(rules, |rules| rules.weak_codes, facts)
            .unwrap_or_else(|| by_words(rules, facts, ErrorClass::ServerError)),
        // Redirects are not followed: a key belongs to one address.
        Some(300..=399 | 404 | 405 | 410) => ErrorClass::ModelUnknown,
        Some(401 | 407) => ErrorClass::Authentication,
        Some(402) if facts.has_retry_after => ErrorClass::RateLimited,
        Some(402) => ErrorClass::QuotaExhausted,
        Some(403) => ErrorClass::Permission,
        // 522 and 524 are Cloudflare's.
        Some(408 | 504 | 522 | 524) => ErrorClass::Timeout,
        // A conflict, or too early: both pass, and neither is a matter of how much is sent.
        Some(409 | 425) => ErrorClass::ServerError,
        Some(413) => by_words(rules, facts, ErrorClass::RequestTooLarge),
        Some(429) => too_many(rules, facts),
        // 498 is Groq's, 529 Anthropic's.
        Some(498 | 529) => ErrorClass::Overloaded,
        Some(400..=499) if is_max_output(rules, facts) => ErrorClass::MaxOutputTooLarge,
        Some(400..=499) => by_words(rules, facts, ErrorClass::BadRequest),
        Some(503) if facts.codes.iter().any(|code| code == "resource_exhausted") => ErrorClass::RateLimited,
        Some(_) if is_deterministic(rules, facts) => ErrorClass::BadRequest,
        Some(_) if is_overload(rules, facts) => ErrorClass::Overloaded,
        Some(_) => ErrorClass::ServerError,
    }
}

type Table = &'static [(&'static str, ErrorClass)];

/// The most telling code that a table knows; the protocol's own table comes first.
fn by_code(rules: &Profile, table: fn(&Rules) -> Table, facts: &Facts) -> Option<ErrorClass> {
    let meaning = |code: &String| rules.all(table).find(|(known, _)| known == code).map(|(_, class)| *class);
    facts.codes.iter().find_map(meaning)
}

fn too_many(rules: &Profile, facts: &Facts) -> ErrorClass {
    let limit = facts.number_after("limit");
    let never_fits = facts.lower.contains("request too large")
        && limit.zip(facts.number_after("requested")).is_some_and(|(limit, requested)| requested > limit);
    if never_fits {
        // It is larger than a whole minute's allowance: waiting does not make it fit.
        ErrorClass::RequestTooLarge
    } else if facts.mark == Some(Mark::DailyQuota) || limit == Some(0) {
        ErrorClass::QuotaExhausted
    } else if is_short(rules, facts) || by_words(rules, facts, ErrorClass::RateLimited) != ErrorClass::QuotaExhausted {
        ErrorClass::RateLimited
    } else {
        ErrorClass::QuotaExhausted
    }
}

/// A complaint about the field that bounds the answer, and about its size. The field's name makes sure that the words
/// are not a quotation.
fn is_max_output(rules: &Profile, facts: &Facts) -> bool {
    let is_bound =
        facts.param.as_deref().is_some_and(|param| rules.any(|rules| rules.output_bounds, |name| *name == param));
    is_bound && rules.any(|rules| rules.too_large, |phrase| facts.lower.contains(phrase))
}

/// The meaning of the message, if there is no code whose meaning it could contradict.
fn by_words(rules: &Profile, facts: &Facts, otherwise: ErrorClass) -> ErrorClass {
    let is_empty = |code: &String| rules.any(|rules| rules.empty_codes, |empty| empty == code);
    let coded = facts.has_code && !facts.codes.first().is_some_and(is_empty);
    let found = rules.all(|rules| rules.rejections).find(|(phrase, _)| facts.lower.contains(phrase));
    found.filter(|_| !coded).map_or(otherwise, |(_, class)| *class)
}

fn is_short(rules: &Profile, facts: &Facts) -> bool {
    rules.any(|rules| rules.short_windows, |phrase| facts.lower.contains(phrase))
}

/// The server says 5xx where it means 4xx: the same request fails the same way for ever.
fn is_deterministic(rules: &Profile, facts: &Facts) -> bool {
    rules.any(|rules| rules.deterministic, |phrase| facts.lower.contains(phrase))
}

fn is_overload(rules: &Profile, facts: &Facts) -> bool {
    let says = |text: &str| rules.any(|rules| rules.overload, |phrase| text.contains(phrase));
    says(&facts.lower) || facts.codes.iter().any(|code| says(code))
}
