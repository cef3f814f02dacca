//! Who connects: reqwest, told to resolve as we say, to follow nothing and to keep nothing.

use super::address::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect};
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi_http::Error;

/// For a connection to come about.
const CONNECT_MAX: Duration = Duration::from_secs(15);

pub(super) struct Clients {
    public: Client,
    any: Client,
}

impl Clients {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = |may_be_private| {
            Client::builder()
                .no_proxy()
                .http1_only()
                .redirect(redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                // A connection that is kept would be one that two items share.
                .pool_max_idle_per_host(0)
                .connect_timeout(CONNECT_MAX)
                .dns_resolver(Arc::new(Resolver { may_be_private }))
                .build()
        };
        Ok(Self { public: client(false)?, any: client(true)? })
    }

    pub(super) fn of(&self, may_be_private: bool) -> &Client {
        if may_be_private { &self.any } else { &self.public }
    }
}

/// Hands out only addresses that may be connected to. What is written as an address does not pass here: it was granted as such.
struct Resolver {
    may_be_private: bool,
}

/// A name that leads nowhere else than to addresses that were not granted.
#[derive(Debug, thiserror::Error)]
#[error("its addresses are private")]
struct Prohibited;

#[derive(Debug, thiserror::Error)]
#[error("the name is not known")]
struct Unknown;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let may_be_private = self.may_be_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| Unknown)?;
            let found: Vec<SocketAddr> = found.collect();
            if found.is_empty() {
                return Err(Unknown.into());
            }
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|address| may_be_private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Prohibited.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// What went wrong, in the words of `wasi:http`. The rest is nobody's business inside the sandbox.
pub(super) fn error(error: &reqwest::Error) -> Error {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<Prohibited>() {
            return Error::DestinationIpProhibited;
        }
        if inner.is::<Unknown>() {
            return Error::DnsError { rcode: None, info_code: None };
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return Error::ConnectionRefused;
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        Error::ConnectionTimeout
    } else if error.is_connect() {
        Error::DestinationUnavailable
    } else {
        Error::HttpProtocolError
    }
}
