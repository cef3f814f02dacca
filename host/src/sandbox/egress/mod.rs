//! Requests over HTTP that a plugin makes: to the hosts that were granted, to addresses that may be meant, so many and no more.
//!
//! A name is looked up here, once for a connection, and the connection goes to the very addresses that were looked at. Redirects are
//! the plugin's own business: each request is admitted by itself. Nothing is shared between two requests, no connection either.

mod address;
mod client;
mod spent;

use super::SandboxError;
use crate::domain::{Origin, Scheme};
use bytes::Bytes;
use client::Clients;
use http_body_util::BodyExt;
use spent::{Allowance, Counted, Spent};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// The longest that is waited for the begin of an answer, and between two parts of it; a plugin may ask for less.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// What all attempts have in common.
pub(super) struct Egress {
    granted: Vec<Origin>,
    clients: Clients,
    /// Connections live on the network's runtime, not on the guests'.
    network: Handle,
}

impl Egress {
    pub(super) fn new(granted: Vec<Origin>, network: &Handle) -> Result<Self, SandboxError> {
        let clients = Clients::new()
            .map_err(|error| SandboxError::Grant(format!("HTTP that was granted cannot be set up: {error}")))?;
        Ok(Self { granted, clients, network: network.clone() })
    }
}

/// A request that may leave.
struct Admitted {
    egress: Arc<Egress>,
    url: reqwest::Url,
    may_be_private: bool,
}

/// What one attempt has of it. Without anything granted every request is refused.
pub(super) struct Outlet {
    egress: Option<Arc<Egress>>,
    spent: Arc<Spent>,
}

impl Outlet {
    pub(super) fn new(egress: Option<Arc<Egress>>) -> Self {
        Self { egress, spent: Arc::new(Spent::new(Allowance::default())) }
    }

    fn admit(&self, request: &http::Request<WasiBody>) -> Result<Admitted, Error> {
        let egress = self.egress.as_ref().ok_or(Error::HttpRequestDenied)?;
        let uri = request.uri();
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(Error::HttpRequestDenied),
        };
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let asked = Origin::of_request(scheme, authority.as_str()).map_err(|_| Error::HttpRequestDenied)?;
        let mut granted = egress.granted.iter().filter(|granted| granted.covers(&asked)).peekable();
        if granted.peek().is_none() {
            return Err(Error::HttpRequestDenied);
        }
        let may_be_private = granted.any(Origin::may_be_private);
        // It makes of a connection what nobody could look into.
        if request.method() == http::Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        // Of what was looked at, not of what was written: no two readings of one address.
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("{}{slash}{path}", asked.base());
        let url = reqwest::Url::parse(&url).map_err(|_| Error::HttpRequestUriInvalid)?;
        Ok(Admitted { egress: Arc::clone(egress), url, may_be_private })
    }
}

type Answered = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Outlet {
    /// Made of the granted host instead.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        let admitted = self.admit(&request).and_then(|admitted| Ok((self.spent.begin()?, admitted)));
        Box::new(async move {
            let (open, admitted) = admitted?;
            let network = admitted.egress.network.clone();
            // Dropped with whoever waits for it.
            let exchange = AbortOnDropHandle::new(network.spawn(exchange(admitted, request, options, open)));
            let response = exchange.await.map_err(|error| Error::InternalError(Some(error.to_string())))??;
            let nothing_more: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, nothing_more))
        })
    }
}

async fn exchange(
    admitted: Admitted,
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
    open: spent::Open,
) -> Result<http::Response<WasiBody>, Error> {
    let (mut parts, body) = request.into_parts();
    let body = collected(body, &open).await?;
    // Said anew, of the body that is really sent.
    parts.headers.remove(http::header::CONTENT_LENGTH);
    let mut request = reqwest::Request::new(parts.method, admitted.url);
    *request.headers_mut() = parts.headers;
    if !body.is_empty() {
        *request.body_mut() = Some(body.into());
    }
    let least = |asked: fn(RequestOptions) -> Option<Duration>| {
        options.and_then(asked).map_or(SILENCE_MAX, |time| time.min(SILENCE_MAX))
    };
    let first = least(|options| options.connect_timeout).saturating_add(least(|options| options.first_byte_timeout));
    let client = admitted.egress.clients.of(admitted.may_be_private);
    let response = tokio::time::timeout(first, client.execute(request))
        .await
        .map_err(|_| Error::ConnectionReadTimeout)?
        .map_err(|error| client::error(&error))?;
    let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
    let idle = least(|options| options.between_bytes_timeout);
    let body = Counted::new(body.map_err(|error| client::error(&error)).boxed_unsync(), open, idle);
    Ok(http::Response::from_parts(parts, body.boxed_unsync()))
}

/// The whole body, as far as it may be sent.
async fn collected(body: WasiBody, open: &spent::Open) -> Result<Bytes, Error> {
    let (mut body, mut bytes) = (body, Vec::new());
    while let Some(frame) = body.frame().await {
        // Trailers are left out: hardly anybody reads those of a request.
        if let Ok(data) = frame?.into_data() {
            open.sends(data.len())?;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests;
