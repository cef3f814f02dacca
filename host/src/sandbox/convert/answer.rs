//! What a plugin is told of a model's answer.

use super::pairs::pairs_to_wit;
use super::wl;
use crate::domain::{Completion, Cut, LlmError, LlmErrorKind, TokenCount, Usage};

pub(in crate::sandbox) fn completion_to_wit(completion: Completion) -> wl::Response {
    wl::Response {
        text: completion.text,
        tool_calls: completion
            .tool_calls
            .into_iter()
            .map(|call| wl::ToolCall {
                id: call.id,
                name: call.name,
                arguments: call.arguments,
                extra: pairs_to_wit(call.extra),
            })
            .collect(),
        finish: completion.finish,
        model: completion.model,
        usage: usage_to_wit(completion.usage),
        opaque: completion
            .opaque
            .into_iter()
            .map(|part| wl::OtherPart { kind: part.kind, value: part.value })
            .collect(),
        cut: completion.cut.map(cut_to_wit),
        extra: pairs_to_wit(completion.extra),
    }
}

fn usage_to_wit(usage: Usage) -> wl::Usage {
    wl::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        extra: pairs_to_wit(usage.extra),
    }
}

fn cut_to_wit(cut: Cut) -> wl::Cut {
    wl::Cut {
        how: cut.how,
        tokens_before: cut.tokens_before,
        tokens_after: cut.tokens_after,
        messages_dropped: cut.messages_dropped,
        extra: Vec::new(),
    }
}

pub(in crate::sandbox) fn error_to_wit(error: LlmError) -> wl::Error {
    wl::Error {
        kind: match error.kind {
            LlmErrorKind::Transient => wl::ErrorKind::Transient,
            LlmErrorKind::TooLarge => wl::ErrorKind::TooLarge,
            LlmErrorKind::Rejected => wl::ErrorKind::Rejected,
            LlmErrorKind::Refused => wl::ErrorKind::Refused,
            LlmErrorKind::Limit => wl::ErrorKind::Limit,
            LlmErrorKind::Denied => wl::ErrorKind::Denied,
            LlmErrorKind::Cancelled => wl::ErrorKind::Cancelled,
        },
        code: error.code,
        message: error.message,
        extra: pairs_to_wit(error.extra),
    }
}

pub(in crate::sandbox) fn token_count_to_wit(count: TokenCount) -> wl::TokenCount {
    wl::TokenCount { tokens: count.tokens, window: count.window, exact: count.exact, extra: Vec::new() }
}
