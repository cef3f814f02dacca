//! What Azure sends: the same protocol, and codes of its own, some of them numbers in quotes.

use super::{Recorded, azure, told};
use crate::domain::ErrorClass::{
    Authentication, ContextOverflow, ModelUnknown, Permission, RateLimited, Refused, ServerError, Timeout,
};

pub(super) const CASES: &[Recorded] = &[
    azure(
        "Azure: rate",
        429,
        r#"{"error":{"code":"429","message":"Requests have exceeded call rate limit of your current pricing tier. Please retry after 86400 seconds."}}"#,
        RateLimited,
        "rate_limited",
    ),
    azure(
        "Azure: filter",
        400,
        r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        Refused,
        "responsibleaipolicyviolation",
    ),
    azure(
        "Azure: deployment",
        404,
        r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
        ModelUnknown,
        "deploymentnotfound",
    ),
    told(
        &[("retry-after", "12"), ("x-ms-retry-after-ms", "11500")],
        Some(11_500),
        azure(
            "Azure: tokens, with the milliseconds",
            429,
            r#"{"error":{"code":"RateLimitReached","message":"Your requests to gpt-4o have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 12 seconds."}}"#,
            RateLimited,
            "ratelimitreached",
        ),
    ),
    azure(
        "Azure: key",
        401,
        r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#,
        Authentication,
        "authentication",
    ),
    azure(
        "Azure: key, with a code in words",
        401,
        r#"{"error":{"code":"Unauthorized","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
        Authentication,
        "unauthorized",
    ),
    azure(
        "Azure: network",
        403,
        r#"{"error":{"code":"403","message":"Public access is disabled. Please configure private endpoint."}}"#,
        Permission,
        "permission",
    ),
    azure(
        "Azure: path or version",
        404,
        r#"{"error":{"code":"404","message":"Resource not found"}}"#,
        ModelUnknown,
        "model_unknown",
    ),
    azure(
        "Azure: context",
        400,
        r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ContextOverflow,
        "context_length_exceeded",
    ),
    azure(
        "Azure: timeout",
        408,
        r#"{"error":{"code":"Timeout","message":"The operation was timeout."}}"#,
        Timeout,
        "timeout",
    ),
    azure(
        "Azure: its own fault",
        500,
        r#"{"error":{"code":"InternalServerError","message":"Backend returned unexpected response. Please contact Microsoft for help."}}"#,
        ServerError,
        "internalservererror",
    ),
];
