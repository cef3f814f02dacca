//! `[provider]`, `[route]` and `[model]`: whom to ask.

use super::{CA_FILE, Default, Kind, PROXY, Section, key, parser};
use crate::catalog::ModelEntry;
use crate::config;

pub(super) const PROVIDER: Section = Section {
    heading: "`[provider.NAME]`",
    before: "An endpoint and the key to it. `openai`, `anthropic`, `gemini` and `mock` exist without a section; one of the same name takes their place.
The flags apply to the provider that `--provider` names.",
    after: "Of `key_env`, `key_file` and `key_command` one may be set. Where none is, and the variable is not either, no key is sent.",
    shown_as: "provider.x",
    parser: parser::<config::Provider>(),
    keys: &[
        key("protocol", Kind::OneOf("`openai`, `azure`, `anthropic`, `gemini` or `mock`"), Default::Said("`openai`"), "what is spoken there"),
        key("base_url", Kind::Text("URL"), Default::Said("the protocol's own; none for `azure`"), "up to and including the version").flag("`--base-url`"),
        key("key_env", Kind::Text("name"), Default::Said("`OPENAI_API_KEY`, `AZURE_OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `GEMINI_API_KEY`, where it is set"), "the environment variable that holds the key").flag("`--api-key-env`"),
        key("key_file", Kind::Path, Default::Said("none"), "the file that holds it"),
        key("key_command", Kind::Texts("list of words"), Default::Said("none"), "program and arguments that print it, within 30 s; no shell"),
        key("api_version", Kind::Text("text"), Default::Said("none"), "Azure's, such as `2024-10-21`; without it the base URL is that of the v1 API"),
        PROXY,
        CA_FILE,
        key("headers", Kind::Table("table of texts"), Default::Said("none"), "sent with every request; they win over the protocol's own, and are taken as secret"),
        key("connect_timeout", Kind::Duration, Default::Shown, "for a connection to come about"),
        key("limits", Kind::Table("table"), Default::Said("none"), "of the key: what all routes on this provider share; see below"),
        key("idempotency_header", Kind::Text("name"), Default::Said("none sent"), "a header, such as `Idempotency-Key`, that carries a key for each question, the same for every try until one is answered"),
        key("faults", Kind::Text("text"), Default::Said("none"), "the mock provider's; `sandmill mock-server --help` lists them").flag("`--faults`"),
    ],
};

pub(super) const ROUTE: Section = Section {
    heading: "`[route.NAME]`",
    before: "A model at a provider, and how it is used. `--route NAME` takes it for every model role of the plugin that is not bound, `--route ROLE=NAME`
for one. With `--provider` the flags make a route of their own, called `default`, which does without a section.",
    after: "",
    shown_as: "route.x",
    parser: parser::<config::Route>(),
    keys: &[
        key("provider", Kind::Text("name"), Default::Said("required"), "a `[provider.NAME]`, or `openai`, `anthropic`, `gemini`, `mock`").flag("`--provider`"),
        key("model", Kind::Text("text"), Default::Said("required; `mock-1` for the mock"), "as the provider calls it").flag("`--model`"),
        key("members", Kind::Texts("list of routes"), Default::Said("none"), "calls are spread over them; then nothing else may be set"),
        key("parameters", Kind::Table("table"), Default::Said("none"), "fields of the request's body; they win over the plugin's, and another one is a change of the job"),
        key("extra_allow", Kind::Texts("list of names"), Default::Said("none"), "what plugins may add of the provider's own: fields of requests, messages, media and tools, and types of parts"),
        key("limits", Kind::Table("table"), Default::Said("none"), "see below"),
        key("prices", Kind::Table("table"), Default::Said("the catalogue's"), "see below").flag("`--prices`"),
        key("context", Kind::Tokens, Default::Said("the catalogue's, else as the provider tells, else `[context] assumed`"), "what the model takes in all").flag("`--context`"),
        key("max_output", Kind::Tokens, Default::Said("the catalogue's, else as the provider tells"), "what it writes at most"),
        key("timeout", Kind::Duration, Default::Shown, "how long one exchange may take").flag("`--timeout`, for all routes"),
        key("fallback", Kind::Table("table"), Default::Said("none"), "see below"),
    ],
};

pub(super) const ROUTE_LIMITS: Section = Section {
    heading: "`[route.NAME.limits]`, `[provider.NAME.limits]`",
    before: "A route's own, and those of a key.",
    after: "",
    shown_as: "route.x.limits",
    parser: parser::<config::RouteLimits>(),
    keys: &[
        key("rpm", Kind::Number, Default::Said("as the provider's headers tell"), "requests in a minute"),
        key(
            "tpm",
            Kind::Number,
            Default::Said("as the provider's headers tell"),
            "tokens read and written in a minute",
        ),
        key("concurrency", Kind::Number, Default::Shown, "calls at once, at most; how many it really are is found out")
            .flag("`--call-concurrency`, which fixes it for all routes"),
    ],
};

pub(super) const PRICES: Section = Section {
    heading: "`[route.NAME.prices]`",
    before: "In dollars for a million tokens. A model of your own costs 0.",
    after: "`service_tier` (Gemini: `serviceTier`) in the route's parameters chooses the tier that is asked for, and its price; where an answer names the
tier that it was served in, and its price is known, that is what it cost. A dearer tier whose price is not known has none, and `--max-cost`
asks for it.",
    shown_as: "",
    parser: parser::<config::RoutePrices>(),
    keys: &[
        key("input", Kind::Dollars, Default::Said("required"), "what is read").flag("`--prices input=`"),
        key("output", Kind::Dollars, Default::Said("required"), "what is written, reasoning too").flag("`--prices output=`"),
        key("reasoning", Kind::Dollars, Default::Said("as `output`"), "the part of the output that is reasoning").flag("`--prices reasoning=`"),
        key("cache_read", Kind::Dollars, Default::Said("as `input`"), "what the provider had in its cache").flag("`--prices cache-read=`"),
        key("cache_write", Kind::Dollars, Default::Said("as `input`"), "what it put there").flag("`--prices cache-write=`"),
        key("standard", Kind::Table("table of the same numbers"), Default::Said("none"), "calls that are served in the standard tier, where another is asked for"),
        key("flex", Kind::Table("table of the same numbers"), Default::Said("none"), "calls that are served in that tier"),
        key("priority", Kind::Table("table of the same numbers"), Default::Said("none"), "calls that are served in that tier"),
        key("batch", Kind::Table("table of the same numbers"), Default::Said("none"), "calls that are served in that tier"),
    ],
};

pub(super) const FALLBACK: Section = Section {
    heading: "`[route.NAME.fallback]`",
    before: "The routes that step in, each for one reason.",
    after: "",
    shown_as: "",
    parser: parser::<config::RouteFallback>(),
    keys: &[
        key("open", Kind::Text("route"), Default::Said("none"), "while the breaker is open"),
        key("quota", Kind::Text("route"), Default::Said("none"), "once credit or quota is used up"),
        key("context", Kind::Text("route"), Default::Said("none"), "for a request that does not fit"),
    ],
};

pub(super) const MODEL: Section = Section {
    heading: "`[model.NAME]`",
    before: "Figures that go before those that the program knows of a model. What is not said stays.",
    after: "",
    shown_as: "",
    parser: parser::<ModelEntry>(),
    keys: &[
        key("context_tokens", Kind::Tokens, Default::Said("none"), "input and output together"),
        key("max_output_tokens", Kind::Tokens, Default::Said("none"), "what it writes at most"),
        key(
            "encoding",
            Kind::OneOf("`o200k_base`, `cl100k_base`, `p50k_base` or `r50k_base`"),
            Default::Said("none"),
            "how its tokens are counted",
        ),
        key(
            "estimate_percent",
            Kind::Number,
            Default::Said("110"),
            "without an encoding: what the count in `o200k_base` is multiplied by, in percent",
        ),
        key(
            "price",
            Kind::Table("table"),
            Default::Said("none"),
            "whole millionths of a dollar for a million tokens: `input`, `output`, `cache_read`, `cache_write`, `reasoning`",
        ),
        key(
            "long",
            Kind::Table("table"),
            Default::Said("none"),
            "the same for requests whose input is longer than its `above_tokens`",
        ),
        key(
            "max_input_tokens",
            Kind::Tokens,
            Default::Said("none"),
            "of the input alone, where it may not fill the context",
        ),
        key("flex", Kind::Table("table"), Default::Said("none"), "as `price`, of a slower tier"),
        key("priority", Kind::Table("table"), Default::Said("none"), "as `price`, of a faster tier"),
        key("batch", Kind::Table("table"), Default::Said("none"), "as `price`, of batches handed in as a file"),
        key("source", Kind::Text("text"), Default::Said("none"), "where the figures were read"),
        key("price_source", Kind::Text("text"), Default::Said("none"), "where the prices were, if elsewhere"),
        key("date", Kind::Text("text"), Default::Said("none"), "on what day"),
    ],
};
