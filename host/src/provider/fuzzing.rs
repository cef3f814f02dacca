//! What the fuzz targets reach of this module: answers, headers and requests on every wire, without a network. Part of no build but
//! theirs (`tests/fuzz`).

use super::anthropic::Anthropic;
use super::dialect::Dialect;
use super::exchange::{self, Exchange};
use super::gemini::Gemini;
use super::openai::{Azure, OpenAi};
use super::{Answer, Call, ModelFacts, ProviderError, RateLimits, address, rate_headers, retry_after};
use crate::domain::{Pair, Request};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    OpenAi,
    Azure,
    Anthropic,
    Gemini,
}

impl Wire {
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Azure, Self::Anthropic, Self::Gemini];

    fn base(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Azure => "https://n.openai.azure.com/openai/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta",
        }
    }

    /// `None`: the address above is none, which a test would tell.
    fn dialect(self) -> Option<(Url, Box<dyn Dialect>)> {
        let base = address::base(self.base()).ok()?;
        let dialect: Box<dyn Dialect> = match self {
            Self::OpenAi => Box::new(OpenAi::new(&base)),
            Self::Azure => Box::new(Azure::new(&base, None).ok()?),
            Self::Anthropic => Box::new(Anthropic::new(&base)),
            Self::Gemini => Box::new(Gemini),
        };
        Some((base, dialect))
    }

    /// One HTTP answer, read as the client reads it.
    pub fn read(self, heard: &Heard<'_>) -> Option<Result<Answer, ProviderError>> {
        let (_, dialect) = self.dialect()?;
        let headers = header_map(&heard.headers);
        let Heard { status, body, now_unix_ms, .. } = *heard;
        Some(exchange::read(&Exchange { status, headers: &headers, body, now_unix_ms, model: "asked" }, &*dialect))
    }

    /// The body of a request, and the address that it goes to.
    pub fn write(self, model: &str, request: Request) -> Option<(Url, Result<Vec<u8>, ProviderError>)> {
        let (base, dialect) = self.dialect()?;
        let parameters: Arc<[Pair]> = Arc::default();
        let call = Call { model: model.to_owned(), request: Arc::new(request), parameters, identity: [0; 32] };
        Some((dialect.address(&base, model), dialect.encode(&call)))
    }

    /// What is read of a list of models.
    pub fn model_facts(self, body: &[u8], model: &str) -> Option<ModelFacts> {
        let (_, dialect) = self.dialect()?;
        Some(dialect.model_facts(&serde_json::from_slice(body).unwrap_or_default(), model))
    }
}

/// One HTTP answer. Headers that HTTP does not know as such are left out.
#[derive(Debug, Default)]
pub struct Heard<'a> {
    pub status: u16,
    pub headers: Vec<(&'a [u8], &'a [u8])>,
    pub body: &'a [u8],
    pub now_unix_ms: u64,
}

pub fn retry_after(headers: &[(&[u8], &[u8])], now_unix_ms: u64) -> Option<Duration> {
    retry_after::parse(&header_map(headers), now_unix_ms)
}

pub fn rate_limits(headers: &[(&[u8], &[u8])], now_unix_ms: u64) -> RateLimits {
    rate_headers::parse(&header_map(headers), now_unix_ms)
}

fn header_map(pairs: &[(&[u8], &[u8])]) -> HeaderMap {
    let pair = |(name, value): &(&[u8], &[u8])| {
        Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
    };
    pairs.iter().filter_map(pair).collect()
}
