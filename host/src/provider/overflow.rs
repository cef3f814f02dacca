//! The numbers in an error about the size of a request.
//!
//! Every provider has a sentence of its own. A template is such a sentence in lower case: `{L}` is what the model takes,
//! `{U}` the input, `{M}` the output that was asked for, `{O}` the most that the model writes, `{X}` one more than that,
//! `{_}` a number that says nothing, and `…` whatever stands between.

use super::Overflow;

/// The more telling ones first: the first that fits is taken.
const TEMPLATES: [&str; 27] = [
    // OpenAI, older vLLM: with functions, the numbers of these stand in between.
    "maximum context length is {L} tokens…requested {_} tokens ({U} in the messages…{M} in the completion",
    // OpenRouter.
    "maximum context length is {L} tokens…requested about {_} tokens ({U} of text input…{M} in the output",
    // vLLM: `at least` is where it stopped counting, which says nothing of the input.
    "maximum context length is {L} tokens…requested {M} output tokens and your prompt contains at least {_}",
    "maximum context length is {L} tokens…requested {M} output tokens and your prompt contains {U} input tokens",
    "is too large: {M}. this model's maximum context length is {L} tokens and your request has {U} input tokens",
    "maximum context length is {L} tokens…prompt contains at least {_}",
    "maximum context length is {L} tokens…prompt contains {U} input tokens",
    "you passed {U} input tokens and requested {M} output tokens…context length is only {L}",
    "you passed {U} input…context length is only {L}",
    "max_tokens={M}…cannot be greater than max_model_len={L}",
    // OpenAI.
    "maximum context length is {L} tokens…messages resulted in {U}",
    // DeepSeek.
    "the valid range of max_tokens is [{_}, {O}]",
    // OpenRouter, DeepSeek.
    "maximum context length is {L} tokens…you requested about {U} tokens",
    "maximum context length is {L} tokens…you requested {U} tokens",
    "max_tokens is too large: {M}. this model supports at most {O} completion tokens",
    // Anthropic.
    "prompt is too long: {U} tokens > {L} maximum",
    "exceed context limit: {U} + {M} > {L}",
    "max_tokens: {M} > {O}, which is the maximum allowed number of output tokens",
    // Gemini.
    "input token count ({U}) exceeds the maximum number of tokens allowed ({L})",
    "exceeds the maximum number of tokens allowed ({L})",
    "maxoutputtokens value of {M} but the supported range is from {_} (inclusive) to {X} (exclusive)",
    // xAI.
    "maximum prompt length is {L} but the request contains {U}",
    // Mistral.
    "prompt contains {U} tokens…with {L} maximum context length",
    // Kimi.
    "exceeded model token limit: {L} (requested: {U})",
    // llama.cpp.
    "request ({U} tokens) exceeds the available context size ({L} tokens)",
    // Whoever says no more.
    "maximum context length is {L} tokens",
    "maximum context length of {L} tokens",
];

/// Larger numbers are mistakes.
const TOKENS_MAX: u64 = 1_000_000_000;

/// Reads a message in lower case. What it does not say is `None`, as are zeros and absurd numbers.
pub(super) fn parse(message: &str) -> Overflow {
    TEMPLATES.iter().find_map(|template| find(message, template)).unwrap_or_default()
}

fn find(message: &str, template: &str) -> Option<Overflow> {
    let start = &template[..template.find(['{', '…']).unwrap_or(template.len())];
    message.match_indices(start).find_map(|(at, _)| fit(&message[at..], template, Overflow::default()))
}

/// Lays the template on the start of the text.
fn fit(text: &str, template: &str, known: Overflow) -> Option<Overflow> {
    if let Some(behind) = template.strip_prefix('…') {
        let literal = &behind[..behind.find(['{', '…']).unwrap_or(behind.len())];
        // Behind a gap before a number there is no text to look for: every place is tried.
        let mut places = text.match_indices(literal).map(|(at, _)| at);
        return places.find_map(|at| fit(&text[at..], behind, known));
    }
    if let Some(hole) = template.strip_prefix('{') {
        let (name, behind) = hole.split_once('}')?;
        let (number, rest) = number(text)?;
        let number = (1..=TOKENS_MAX).contains(&number).then_some(number);
        let mut known = known;
        match name {
            "L" => known.limit = number,
            "U" => known.input = number,
            "M" => known.output = number,
            "X" => known.output_limit = number.map(|number| number - 1),
            "O" => known.output_limit = number,
            _ => {}
        }
        return fit(rest, behind, known);
    }
    match template.find(['{', '…']) {
        None => text.starts_with(template).then_some(known),
        Some(end) => fit(text.strip_prefix(&template[..end])?, &template[end..], known),
    }
}

/// A whole number, with or without commas at the thousands.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len());
    let digits = text[..end].trim_end_matches(',');
    let number = digits.replace(',', "").parse().ok()?;
    Some((number, &text[digits.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Numbers = (Option<u64>, Option<u64>, Option<u64>, Option<u64>);

    /// Limit, input, output, the most of the output.
    const TABLE: &[(&str, Numbers)] = &[
        (
            "This model's maximum context length is 4097 tokens. However, your messages resulted in 4275 tokens. Please reduce the length of the messages.",
            (Some(4097), Some(4275), None, None),
        ),
        (
            "This model's maximum context length is 4097 tokens. However, you requested 5066 tokens (1066 in the messages, 4000 in the completion). Please reduce the length of the messages or completion.",
            (Some(4097), Some(1066), Some(4000), None),
        ),
        (
            "This model's maximum context length is 4097 tokens. However, you requested 5100 tokens (1066 in the messages, 34 in the functions, and 4000 in the completion).",
            (Some(4097), Some(1066), Some(4000), None),
        ),
        ("Your input exceeds the context window of this model.", (None, None, None, None)),
        ("prompt is too long: 210000 tokens > 200000 maximum", (Some(200_000), Some(210_000), None, None)),
        (
            "input length and `max_tokens` exceed context limit: 195000 + 8192 > 200000, decrease input length or `max_tokens` and try again",
            (Some(200_000), Some(195_000), Some(8192), None),
        ),
        (
            "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5",
            (None, None, Some(100_000), Some(64_000)),
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            (Some(1_048_576), Some(1_200_000), None, None),
        ),
        (
            "The input token count exceeds the maximum number of tokens allowed (1048576).",
            (Some(1_048_576), None, None, None),
        ),
        (
            "Unable to submit request because it has a maxOutputTokens value of 9000 but the supported range is from 1 (inclusive) to 8193 (exclusive).",
            (None, None, Some(9000), Some(8192)),
        ),
        (
            "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
            (Some(131_072), Some(140_000), None, None),
        ),
        (
            "This endpoint's maximum context length is 128000 tokens. However, you requested about 140,000 tokens (139,000 of text input, 1,000 in the output). Please reduce the length of either one.",
            (Some(128_000), Some(139_000), Some(1_000), None),
        ),
        (
            "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens. Please reduce.",
            (Some(65_536), Some(70_000), None, None),
        ),
        (
            "You passed 7000 input tokens and requested 2000 output tokens. However, the model's context length is only 8192 tokens, resulting in a maximum input length of 6192 tokens.",
            (Some(8192), Some(7000), Some(2000), None),
        ),
        (
            "This model's maximum context length is 512 tokens. However, your prompt contains at least 513 input tokens, for a total of at least 513 tokens.",
            (Some(512), None, None, None),
        ),
        (
            "This model's maximum context length is 512 tokens. However, you requested 100 output tokens and your prompt contains at least 413 input tokens, for a total of at least 513 tokens.",
            (Some(512), None, Some(100), None),
        ),
        (
            "This model's maximum context length is 512 tokens. However, you requested 500 output tokens and your prompt contains 20 input tokens, for a total of 520 tokens.",
            (Some(512), Some(20), Some(500), None),
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context length is 512 tokens and your request has 20 input tokens (4000 > 512 - 20).",
            (Some(512), Some(20), Some(4000), None),
        ),
        ("max_tokens=4000 cannot be greater than max_model_len=512", (Some(512), None, Some(4000), None)),
        (
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.",
            (None, None, Some(100_000), Some(16_384)),
        ),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", (None, None, None, Some(8192))),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            (Some(32_768), Some(40_000), None, None),
        ),
        (
            "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)",
            (Some(8192), Some(9000), None, None),
        ),
        ("Input is too long for requested model.", (None, None, None, None)),
        (
            "request (2019 tokens) exceeds the available context size (512 tokens), try increasing it",
            (Some(512), Some(2019), None, None),
        ),
        ("the request exceeds the available context size. try increasing the context size", (None, None, None, None)),
        ("Please reduce the length of the messages or completion.", (None, None, None, None)),
        ("This model's maximum context length is 0 tokens.", (None, None, None, None)),
        ("This model's maximum context length is 99999999999999 tokens.", (None, None, None, None)),
    ];

    #[test]
    fn every_phrasing_is_understood() {
        for (message, (limit, input, output, output_limit)) in TABLE {
            let expected = Overflow { limit: *limit, input: *input, output: *output, output_limit: *output_limit };
            assert_eq!(parse(&message.to_lowercase()), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}", nth in 0..TEMPLATES.len(), cut in 0_usize..120) {
            let _ = parse(&text);
            let start: String = TEMPLATES[nth].replace("{L}", "12").replace("{U}", "34").chars().take(cut).collect();
            let _ = parse(&format!("{start}{text}"));
        }
    }
}
