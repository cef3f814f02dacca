//! The numbers in an error about the size of a request, in whichever words a provider tells them.
//!
//! A parser without a policy: numbers can lie, and whoever uses them checks them.

use super::Overflow;
use serde_json::Value;

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Limit,
    Input,
    Output,
    /// Input and output together.
    Sum,
    /// Nothing.
    Skip,
}

use Means::{Input, Limit, Output, Skip, Sum};

/// Words that stand before the first number, and what the numbers from there on mean, in their order. The first row that
/// fits counts; all in lower case.
const PHRASES: [(&str, &[Means]); 14] = [
    // Anthropic: `U + M > L`.
    ("exceed context limit:", &[Input, Output, Limit]),
    ("prompt is too long:", &[Input, Limit]),
    // OpenAI, older and newer; OpenRouter and DeepSeek; vLLM.
    ("maximum context length is", &[Limit, Input]),
    // Gemini.
    ("input token count (", &[Input, Limit]),
    // xAI.
    ("maximum prompt length is", &[Limit, Input]),
    // vLLM, older.
    ("you passed", &[Input, Output, Limit]),
    // Mistral.
    ("prompt contains", &[Input, Skip, Limit]),
    // Kimi.
    ("exceeded model token limit:", &[Limit, Sum]),
    // llama.cpp.
    ("request (", &[Input, Limit]),
    // OpenAI: `max_tokens is too large: 200000. This model supports at most 16384 completion tokens`.
    ("max_tokens is too large:", &[Skip, Output]),
    // vLLM: a matter of configuration.
    ("cannot be greater than max_model_len=", &[Limit]),
    ("max_tokens:", &[Skip, Output]),
    ("limit", &[Limit, Skip, Input]),
    ("context size", &[Limit]),
];

/// `body`: the error as it came, for those that put their numbers into fields.
pub(super) fn parse(lower: &str, body: Option<&Value>) -> Overflow {
    let field = |name: &str| body?.get("error")?.get(name)?.as_u64();
    if let (Some(input), Some(limit)) = (field("n_prompt_tokens"), field("n_ctx")) {
        return Overflow { limit: Some(limit), input: Some(input), output: None };
    }
    let Some((at, meanings)) =
        PHRASES.iter().find_map(|(words, meanings)| lower.find(words).map(|at| (at + words.len(), *meanings)))
    else {
        return Overflow::default();
    };
    let mut found = Overflow::default();
    for (number, means) in numbers(&lower[at..]).zip(meanings) {
        match means {
            Limit => found.limit = Some(number),
            Input | Sum => found.input = Some(number),
            Output => found.output = Some(number),
            Skip => {}
        }
    }
    found
}

/// Numbers of the text, those with commas among them.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split(|c: char| !c.is_ascii_digit() && c != ',').filter_map(|word| {
        let digits: String = word.chars().filter(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(message: &str, limit: Option<u64>, input: Option<u64>, output: Option<u64>) {
        assert_eq!(parse(&message.to_lowercase(), None), Overflow { limit, input, output }, "{message}");
    }

    #[test]
    fn numbers_are_found_in_the_words_of_each_provider() {
        let (limit, input) = (Some(8192), Some(9000));
        check(
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            limit,
            input,
            None,
        );
        check(
            "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens",
            limit,
            input,
            None,
        );
        check("prompt is too long: 9000 tokens > 8192 maximum", limit, input, None);
        check(
            "input length and `max_tokens` exceed context limit: 9000 + 100 > 8192, decrease input length",
            limit,
            input,
            Some(100),
        );
        check("The input token count (9000) exceeds the maximum number of tokens allowed (8192).", limit, input, None);
        check("This model's maximum prompt length is 8192 but the request contains 9000 tokens.", limit, input, None);
        check(
            "You passed 9000 input tokens and requested 100 output tokens. However, the model's context length is only 8192 tokens",
            limit,
            input,
            Some(100),
        );
        check(
            "Prompt contains 9000 tokens and 0 draft tokens, too large for model with 8192 maximum context length",
            limit,
            input,
            None,
        );
        check("Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)", limit, input, None);
        check(
            "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
            limit,
            input,
            None,
        );
        check(
            "max_tokens is too large: 200000. This model supports at most 16384 completion tokens",
            None,
            None,
            Some(16_384),
        );
        check("max_tokens=4000 cannot be greater than max_model_len=512", Some(512), None, None);
        check("input exceeds the context window", None, None, None);
    }

    #[test]
    fn numbers_in_fields_go_before_words() {
        let body = serde_json::json!({"error": {"n_prompt_tokens": 2019, "n_ctx": 512}});
        assert_eq!(parse("", Some(&body)), Overflow { limit: Some(512), input: Some(2019), output: None });
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(maximum context length is|you passed|[0-9]{1,30}|[a-z, é]){0,12}") {
            parse(&text, None);
        }
    }
}
