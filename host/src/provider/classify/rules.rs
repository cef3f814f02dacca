//! What providers' codes and phrases mean: data, without logic.
//!
//! `COMMON` holds for every protocol, since gateways hand one provider's errors on in another's shape. What means
//! something in one protocol only stands in that protocol's rules, which come first. Codes are compared whole, phrases are looked
//! for in the message in lower case. `corpus.rs` holds a body for most of them.

use crate::domain::ErrorClass;

pub(super) struct Rules {
    /// Codes and types that mean the same whatever the status.
    pub(super) codes: &'static [(&'static str, ErrorClass)],
    /// Codes and types that say no more than a status does: they count where there is no status, as in a 200 that
    /// holds an error.
    pub(super) weak_codes: &'static [(&'static str, ErrorClass)],
    /// For 4xx without a code of their own, in this order.
    pub(super) rejections: &'static [(&'static str, ErrorClass)],
    /// For 5xx: what says that the request is at fault after all, so that no retry mends it.
    pub(super) deterministic: &'static [&'static str],
    /// For 5xx.
    pub(super) overload: &'static [&'static str],
    /// The fields that bound the answer, in lower case, and what is said of one that is too large.
    pub(super) output_bounds: &'static [&'static str],
    pub(super) too_large: &'static [&'static str],
    /// What tells a limit by the minute from a quota that is used up.
    pub(super) short_windows: &'static [&'static str],
    /// Codes that are there and say nothing.
    pub(super) empty_codes: &'static [&'static str],
}

use ErrorClass::{
    Authentication, BadRequest, ContextOverflow, Garbage, MaxOutputTooLarge, ModelUnknown, Overloaded, Permission,
    QuotaExhausted, RateLimited, Refused, RequestTooLarge, ServerError, Timeout,
};

/// The rules of one protocol, those that are its own first.
pub(in crate::provider) struct Profile(&'static [&'static Rules]);

impl Profile {
    /// One table of all rules.
    pub(super) fn all<T>(&self, table: fn(&Rules) -> &'static [T]) -> impl Iterator<Item = &'static T> {
        self.0.iter().flat_map(move |rules| table(rules))
    }

    pub(super) fn any<T: 'static>(&self, table: fn(&Rules) -> &'static [T], holds: impl Fn(&T) -> bool) -> bool {
        self.all(table).any(holds)
    }
}

pub(in crate::provider) const OPENAI: Profile = Profile(&[&COMMON]);
pub(in crate::provider) const ANTHROPIC: Profile = Profile(&[&ANTHROPIC_RULES, &COMMON]);
pub(in crate::provider) const GEMINI: Profile = Profile(&[&GEMINI_RULES, &COMMON]);

const NONE: Rules = Rules {
    codes: &[],
    weak_codes: &[],
    rejections: &[],
    deterministic: &[],
    overload: &[],
    output_bounds: &[],
    too_large: &[],
    short_windows: &[],
    empty_codes: &[],
};

const ANTHROPIC_RULES: Rules = Rules {
    rejections: &[
        // Both are BadRequest by their type, and mean the same as a code elsewhere.
        ("you have reached your specified api usage limits", QuotaExhausted),
        ("output blocked by content filtering policy", Refused),
    ],
    ..NONE
};

const GEMINI_RULES: Rules = Rules {
    codes: &[
        ("api_key_invalid", Authentication),
        ("api_key_expired", Authentication),
        ("access_token_expired", Authentication),
        ("billing_disabled", QuotaExhausted),
    ],
    // A precondition that failed is the project's: its country, its billing.
    weak_codes: &[("failed_precondition", Permission)],
    rejections: &[
        ("api key not valid", Authentication),
        ("api key expired", Authentication),
        ("api key not found", Authentication),
        ("location is not supported", Permission),
        ("free tier is not available", Permission),
        ("request payload size exceeds the limit", RequestTooLarge),
    ],
    ..NONE
};

const COMMON: Rules = Rules {
    codes: &[
        ("context_length_exceeded", ContextOverflow),
        ("exceed_context_size_error", ContextOverflow),
        ("context_window_exceeded", ContextOverflow),
        ("insufficient_quota", QuotaExhausted),
        ("billing_hard_limit_reached", QuotaExhausted),
        ("billing_not_active", QuotaExhausted),
        ("billing_error", QuotaExhausted),
        ("credit_balance_exhausted", QuotaExhausted),
        ("insufficient_balance", QuotaExhausted),
        ("organization_spend_limit_exceeded", QuotaExhausted),
        ("organization_usage_limit_exceeded", QuotaExhausted),
        ("project_spend_limit_exceeded", QuotaExhausted),
        ("enforced_spend_limit_reached", QuotaExhausted),
        ("contract_spend_limit_reached", QuotaExhausted),
        ("budget_exceeded", QuotaExhausted),
        ("ramp_limit_exceeded", RateLimited),
        ("content_filter", Refused),
        ("content_policy_violation", Refused),
        ("image_content_policy_violation", Refused),
        ("responsibleaipolicyviolation", Refused),
        ("moderation_blocked", Refused),
        ("data_inspection_failed", Refused),
        ("invalid_prompt", Refused),
        ("model_not_found", ModelUnknown),
        ("deploymentnotfound", ModelUnknown),
        ("invalid_api_key", Authentication),
        ("account_deactivated", Authentication),
        ("no_db_connection", Authentication),
        ("expired_key", Authentication),
        ("request_too_large", RequestTooLarge),
        ("overloaded_error", Overloaded),
        ("engine_overloaded_error", Overloaded),
        // Groq checks what the model wrote, and calls the request bad if the model wrote nonsense.
        ("json_validate_failed", Garbage),
        ("tool_use_failed", Garbage),
    ],
    weak_codes: &[
        ("invalid_request_error", BadRequest),
        ("badrequesterror", BadRequest),
        ("invalid_argument", BadRequest),
        ("authentication_error", Authentication),
        ("unauthenticated", Authentication),
        ("permission_error", Permission),
        ("permission_denied", Permission),
        ("not_found_error", ModelUnknown),
        ("notfounderror", ModelUnknown),
        ("rate_limit_exceeded", RateLimited),
        ("rate_limit_error", RateLimited),
        ("throttling_error", RateLimited),
        ("resource_exhausted", RateLimited),
        ("slow_down", Overloaded),
        ("unavailable", Overloaded),
        ("timeout_error", Timeout),
        ("deadline_exceeded", Timeout),
        ("api_error", ServerError),
        ("server_error", ServerError),
        ("internal_server_error", ServerError),
    ],
    rejections: &[
        ("`max_tokens` exceed context limit", MaxOutputTooLarge),
        ("maximum allowed number of output tokens", MaxOutputTooLarge),
        ("cannot be greater than max_model_len", MaxOutputTooLarge),
        ("'max_completion_tokens' is too large", MaxOutputTooLarge),
        ("max_tokens is too large", MaxOutputTooLarge),
        ("maxoutputtokens value of", MaxOutputTooLarge),
        ("the valid range of max_tokens is", MaxOutputTooLarge),
        ("maximum context length", ContextOverflow),
        ("exceeds the context window", ContextOverflow),
        ("exceed context limit", ContextOverflow),
        ("exceeds the maximum number of tokens", ContextOverflow),
        ("exceeds the available context size", ContextOverflow),
        ("exceeded model token limit", ContextOverflow),
        ("prompt is too long", ContextOverflow),
        ("maximum prompt length is", ContextOverflow),
        ("context length is only", ContextOverflow),
        ("input is too long for requested model", ContextOverflow),
        ("reduce the length of the messages", ContextOverflow),
        ("contextwindowexceedederror", ContextOverflow),
        ("credit balance is too low", QuotaExhausted),
        ("api usage limits", QuotaExhausted),
        ("spend limit", QuotaExhausted),
        ("insufficient balance", QuotaExhausted),
        ("insufficient credits", QuotaExhausted),
        ("insufficient_quota", QuotaExhausted),
        ("content exists risk", Refused),
        ("content management policy", Refused),
        ("usage policy", Refused),
        ("no connected db", Authentication),
        ("is not a valid model id", ModelUnknown),
        ("invalid model name", ModelUnknown),
    ],
    // llama.cpp's, of code `server_error`.
    deterministic: &[
        "'messages' is required",
        "expected 'messages' to be an array",
        "messages must contain 'content'",
        "message must contain either 'content' or 'tool_calls'",
        "image input is not supported",
        "audio input is not supported",
    ],
    overload: &[
        "overloaded",
        "slow down",
        "slow_down",
        "at capacity",
        "out of capacity",
        "no capacity",
        "tier capacity exceeded",
    ],
    output_bounds: &["max_tokens", "max_completion_tokens", "max_output_tokens"],
    too_large: &["too large", "at most", "greater than", "exceed", "maximum"],
    short_windows: &["per minute", "per second", "/min", "perminute", "rpm", "tpm"],
    empty_codes: &["invalid_request_error", "bad_request", "badrequesterror", "invalid_argument", "unknown_error"],
};
