//! Failures in the shapes in which providers send them, and what each of them is: from references, SDKs, reports and
//! servers run by hand. A failure that was misread ends here as a new line.

use super::exchange::{Exchange, read};
use super::openai::OpenAi;
use crate::domain::ErrorClass::{self, *};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

struct Recorded {
    from: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    class: ErrorClass,
    code: &'static str,
}

const fn case(from: &'static str, status: u16, body: &'static str, class: ErrorClass, code: &'static str) -> Recorded {
    Recorded { from, status, headers: &[], body, class, code }
}

const CORPUS: &[Recorded] = &[
    case(
        "OpenAI: a minute's tokens",
        429,
        r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 60000, Used 54134, Requested 6465. Please try again in 599ms.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
        RateLimited,
        "rate_limit_exceeded",
    ),
    case(
        "OpenAI: never fits",
        429,
        r#"{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 31538. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
        RequestTooLarge,
        "rate_limit_exceeded",
    ),
    case(
        "OpenAI: too large, yet below the limit",
        429,
        r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 29000.","type":"tokens","code":"rate_limit_exceeded"}}"#,
        RateLimited,
        "rate_limit_exceeded",
    ),
    case(
        "Groq: never fits, as a 413",
        413,
        r#"{"error":{"message":"Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 7001","type":"tokens","code":"rate_limit_exceeded"}}"#,
        RequestTooLarge,
        "rate_limit_exceeded",
    ),
    case(
        "OpenAI: quota",
        429,
        r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        QuotaExhausted,
        "insufficient_quota",
    ),
    case(
        "OpenAI: hard limit",
        429,
        r#"{"error":{"message":"Billing hard limit has been reached","type":"invalid_request_error","param":null,"code":"billing_hard_limit_reached"}}"#,
        QuotaExhausted,
        "billing_hard_limit_reached",
    ),
    case(
        "OpenAI: project spend",
        429,
        r#"{"error":{"message":"Project spend limit exceeded","type":"insufficient_quota","code":"project_spend_limit_exceeded"}}"#,
        QuotaExhausted,
        "project_spend_limit_exceeded",
    ),
    case(
        "OpenAI: key",
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-abc***xyz. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        Authentication,
        "invalid_api_key",
    ),
    case(
        "OpenAI: region",
        403,
        r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","param":null,"type":"request_forbidden"}}"#,
        Permission,
        "unsupported_country_region_territory",
    ),
    case(
        "OpenAI: model",
        404,
        r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
        ModelUnknown,
        "model_not_found",
    ),
    case(
        "OpenAI: context",
        400,
        r#"{"error":{"message":"This model's maximum context length is 4097 tokens. However, your messages resulted in 4275 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ContextOverflow,
        "context_length_exceeded",
    ),
    case(
        "OpenAI: context without numbers",
        400,
        r#"{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#,
        ContextOverflow,
        "context_length_exceeded",
    ),
    case(
        "OpenAI: a bad value",
        400,
        r#"{"error":{"message":"Invalid value: 'prompt is too long'. Supported values are: 'a'.","type":"invalid_request_error","param":"x","code":"invalid_value"}}"#,
        BadRequest,
        "invalid_value",
    ),
    case(
        "OpenAI: its own fault",
        500,
        r#"{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}}"#,
        ServerError,
        "server_error",
    ),
    case(
        "OpenAI: overloaded",
        503,
        r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"server_error","param":null,"code":null}}"#,
        Overloaded,
        "server_error",
    ),
    case(
        "OpenAI: slow down",
        503,
        r#"{"error":{"message":"Please reduce your request rate","type":"requests","code":"slow_down"}}"#,
        Overloaded,
        "slow_down",
    ),
    case(
        "OpenAI: slow down, as a 429",
        429,
        r#"{"error":{"message":"Slow down","type":"requests","code":"slow_down"}}"#,
        RateLimited,
        "slow_down",
    ),
    case(
        "OpenAI: policy",
        400,
        r#"{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","param":null,"code":"invalid_prompt"}}"#,
        Refused,
        "invalid_prompt",
    ),
    case(
        "Anthropic: overloaded",
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
        Overloaded,
        "overloaded_error",
    ),
    case(
        "Anthropic: spend",
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Spend limit","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
        QuotaExhausted,
        "enforced_spend_limit_reached",
    ),
    case(
        "Anthropic: ramp",
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Spend limit","details":{"error_code":"ramp_limit_exceeded"}}}"#,
        RateLimited,
        "ramp_limit_exceeded",
    ),
    case(
        "Anthropic: usage limit",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-01-01 at 00:00 UTC."}}"#,
        QuotaExhausted,
        "invalid_request_error",
    ),
    case(
        "Anthropic: credit",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
        QuotaExhausted,
        "invalid_request_error",
    ),
    case(
        "Anthropic: context",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
        ContextOverflow,
        "invalid_request_error",
    ),
    case(
        "Azure: rate",
        429,
        r#"{"error":{"code":"429","message":"Requests have exceeded call rate limit of your current pricing tier. Please retry after 86400 seconds."}}"#,
        RateLimited,
        "rate_limited",
    ),
    case(
        "Azure: filter",
        400,
        r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        Refused,
        "responsibleaipolicyviolation",
    ),
    case(
        "Azure: deployment",
        404,
        r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
        ModelUnknown,
        "deploymentnotfound",
    ),
    case(
        "Gemini: a minute",
        429,
        r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.\n* Quota exceeded for metric: generate_content_free_tier_requests, limit: 10\nPlease retry in 36.1s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"36s"}]}}]"#,
        RateLimited,
        "resource_exhausted",
    ),
    case(
        "Gemini: a day",
        429,
        r#"{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"36s"}]}}"#,
        QuotaExhausted,
        "resource_exhausted",
    ),
    case(
        "Gemini: limit 0",
        429,
        r#"{"error":{"code":429,"message":"Quota exceeded for metric: x, limit: 0","status":"RESOURCE_EXHAUSTED"}}"#,
        QuotaExhausted,
        "resource_exhausted",
    ),
    case(
        "Gemini: context",
        400,
        r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
        ContextOverflow,
        "invalid_argument",
    ),
    case(
        "Gemini: unavailable",
        503,
        r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#,
        Overloaded,
        "unavailable",
    ),
    case(
        "Gemini: rate, as a 503",
        503,
        r#"{"error":{"code":503,"message":"Try later","status":"RESOURCE_EXHAUSTED"}}"#,
        RateLimited,
        "resource_exhausted",
    ),
    case(
        "OpenRouter: rate in a 200",
        200,
        r#"{"error":{"code":429,"message":"Rate limit exceeded","metadata":{}}}"#,
        RateLimited,
        "rate_limited",
    ),
    case(
        "OpenRouter: broken off",
        200,
        r#"{"choices":[{"error":{"code":502,"message":"Upstream error"},"message":{"role":"assistant","content":"Once"},"finish_reason":"error"}]}"#,
        ServerError,
        "server_error",
    ),
    case(
        "OpenRouter: broken off without a reason",
        200,
        r#"{"choices":[{"message":{"role":"assistant","content":"Once"},"finish_reason":"error"}]}"#,
        Garbage,
        "finish_error",
    ),
    case(
        "OpenRouter: credit",
        402,
        r#"{"error":{"code":402,"message":"Insufficient credits"}}"#,
        QuotaExhausted,
        "quota_exhausted",
    ),
    case(
        "OpenRouter: flagged",
        403,
        r#"{"error":{"code":403,"message":"Your chosen model requires moderation","metadata":{"reasons":["x"],"flagged_input":"…"}}}"#,
        Refused,
        "refused",
    ),
    case(
        "OpenRouter: model",
        400,
        r#"{"error":{"message":"foo/bar is not a valid model ID","code":400}}"#,
        ModelUnknown,
        "model_unknown",
    ),
    case(
        "llama.cpp: context",
        400,
        r#"{"error":{"code":400,"message":"request (2019 tokens) exceeds the available context size (512 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":2019,"n_ctx":512}}"#,
        ContextOverflow,
        "exceed_context_size_error",
    ),
    case(
        "llama.cpp: key",
        401,
        r#"{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}"#,
        Authentication,
        "authentication_error",
    ),
    case(
        "vLLM: context",
        400,
        r#"{"error":{"message":"This model's maximum context length is 512 tokens. However, your prompt contains at least 513 input tokens, for a total of at least 513 tokens.","type":"BadRequestError","param":"input_tokens","code":400}}"#,
        ContextOverflow,
        "badrequesterror",
    ),
    case(
        "vLLM: configuration",
        400,
        r#"{"error":{"message":"max_tokens=4000 cannot be greater than max_model_len=512","type":"BadRequestError","code":400}}"#,
        MaxOutputTooLarge,
        "badrequesterror",
    ),
    case("vLLM: key", 401, r#"{"error":"Unauthorized"}"#, Authentication, "authentication"),
    case("vLLM: path", 404, r#"{"detail":"Not Found"}"#, ModelUnknown, "model_unknown"),
    case(
        "vLLM: dead",
        500,
        r#"{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","type":"InternalServerError","code":500}}"#,
        ServerError,
        "internalservererror",
    ),
    case(
        "vLLM: older shape",
        400,
        r#"{"object":"error","message":"This model's maximum context length is 512 tokens.","type":"BadRequestError","param":null,"code":400}"#,
        ContextOverflow,
        "badrequesterror",
    ),
    case(
        "LiteLLM: context",
        400,
        r#"{"error":{"message":"litellm.ContextWindowExceededError: too long","type":"invalid_request_error","param":null,"code":"400"}}"#,
        ContextOverflow,
        "invalid_request_error",
    ),
    case(
        "LiteLLM: timeout",
        408,
        r#"{"error":{"message":"litellm.Timeout: APITimeoutError","type":null,"param":null,"code":"408"}}"#,
        Timeout,
        "timeout",
    ),
    case(
        "LiteLLM: wrong key",
        400,
        r#"{"error":{"message":"No connected db.","type":"no_db_connection","param":null,"code":"400"}}"#,
        Authentication,
        "no_db_connection",
    ),
    case("LiteLLM: no key", 500, "Internal Server Error", ServerError, "server_error"),
    Recorded {
        from: "LiteLLM: cooling down",
        status: 429,
        headers: &[("retry-after", "10")],
        body: r#"{"error":{"message":"No deployments available for selected model, Try again in 10 seconds.","type":"all_deployments_in_cooldown","code":"429"}}"#,
        class: RateLimited,
        code: "all_deployments_in_cooldown",
    },
    Recorded {
        from: "OpenRouter: credit, for now",
        status: 402,
        headers: &[("retry-after", "5")],
        body: r#"{"error":{"code":402,"message":"Too many concurrent requests for your balance"}}"#,
        class: RateLimited,
        code: "rate_limited",
    },
    case(
        "Scaleway: a minute's quota",
        429,
        r#"{"error":{"message":"INSUFFICIENT QUOTA: tokens per minute","type":"INSUFFICIENT QUOTA","code":"insufficient_quota"}}"#,
        RateLimited,
        "insufficient_quota",
    ),
    case(
        "DeepSeek: risk",
        400,
        r#"{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
        Refused,
        "invalid_request_error",
    ),
    case(
        "DeepSeek: balance",
        402,
        r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
        QuotaExhausted,
        "invalid_request_error",
    ),
    case(
        "xAI: context",
        400,
        r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 140000 tokens."}"#,
        ContextOverflow,
        "context_overflow",
    ),
    case(
        "Kimi: context",
        400,
        r#"{"error":{"message":"Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)","type":"invalid_request_error"}}"#,
        ContextOverflow,
        "invalid_request_error",
    ),
    case(
        "Kimi: overloaded",
        429,
        r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}"#,
        Overloaded,
        "engine_overloaded_error",
    ),
    case(
        "nginx: bad gateway",
        502,
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body></html>",
        ServerError,
        "server_error",
    ),
    case(
        "nginx: gateway timeout",
        504,
        "<html><head><title>504 Gateway Time-out</title></head></html>",
        Timeout,
        "timeout",
    ),
    case("a conflict", 409, "", ServerError, "server_error"),
    case("an empty 500", 500, "", ServerError, "server_error"),
    Recorded {
        from: "a redirect",
        status: 301,
        headers: &[("location", "https://api.example.com/v1")],
        body: "",
        class: ModelUnknown,
        code: "model_unknown",
    },
    case("a page in a 200", 200, "<!doctype html><title>Welcome</title>", Garbage, "not_json"),
    case("nothing in a 200", 200, "", Garbage, "empty_body"),
    case("a word in a 200", 200, "upstream unavailable", Garbage, "not_json"),
    case("half an answer", 200, r#"{"choices":[{"message":{"content":"Once up"#, Garbage, "cut_off"),
    case("{} in a 200", 200, "{}", Garbage, "no_choices"),
    case("no choice", 200, r#"{"choices":[]}"#, Garbage, "no_choices"),
    case(
        "null for content",
        200,
        r#"{"choices":[{"message":{"role":"assistant","content":null},"finish_reason":"stop"}]}"#,
        Garbage,
        "empty_answer",
    ),
    case("a number for content", 200, r#"{"choices":[{"message":{"content":7}}]}"#, Garbage, "wrong_shape"),
    case(
        "an error by type in a 200",
        200,
        r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        Overloaded,
        "overloaded_error",
    ),
    case(
        "an error by a weak code in a 200",
        200,
        r#"{"error":{"type":"invalid_request_error","message":"bad"}}"#,
        BadRequest,
        "invalid_request_error",
    ),
    case("an unknown error in a 200", 200, r#"{"error":"something went wrong"}"#, ServerError, "server_error"),
];

fn read_recorded(recorded: &Recorded) -> crate::provider::ProviderError {
    let pairs = recorded.headers.iter();
    let headers: HeaderMap =
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    let body = recorded.body.as_bytes();
    let exchange = Exchange { status: recorded.status, headers: &headers, body, now_unix_ms: 0, model: "m" };
    read(&exchange, &OpenAi::local()).unwrap_err()
}

#[test]
fn every_recorded_failure_is_what_it_is() {
    for recorded in CORPUS {
        let error = read_recorded(recorded);
        assert_eq!((error.class, error.code.as_str()), (recorded.class, recorded.code), "{}: {error}", recorded.from);
        assert_eq!(error.status, Some(recorded.status), "{}", recorded.from);
    }
}

#[test]
fn messages_are_one_line_and_name_the_way_out() {
    let message = |from: &str| read_recorded(CORPUS.iter().find(|recorded| recorded.from == from).unwrap()).message;
    assert_eq!(message("vLLM: path"), "status 404: Not Found; check --model and --base-url");
    assert_eq!(message("nginx: bad gateway"), "status 502: 502 Bad Gateway");
    assert_eq!(message("an empty 500"), "status 500: an empty body");
    assert_eq!(
        message("a redirect"),
        "status 301: an empty body; redirects are not followed, this one leads to https://api.example.com/v1: check --base-url"
    );
    assert_eq!(message("OpenRouter: rate in a 200"), "status 200: Rate limit exceeded");
    for recorded in CORPUS {
        let error = read_recorded(recorded);
        assert!(!error.message.contains('\n') && error.message.len() < 700, "{error}");
    }
}
