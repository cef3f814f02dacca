//! What an attempt's requests may take, and what they have taken.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

/// Over all requests of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    pub(super) requests: u64,
    /// At once, until their answers have been read or dropped.
    pub(super) open: u64,
    /// In bodies of requests, in bytes.
    pub(super) sent_bytes: u64,
    /// In bodies of answers, in bytes.
    pub(super) received_bytes: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { requests: 1_000, open: 16, sent_bytes: 16 << 20, received_bytes: 64 << 20 }
    }
}

#[derive(Debug)]
pub(super) struct Spent {
    allowed: Allowance,
    requests: AtomicU64,
    open: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Spent {
    pub(super) fn new(allowed: Allowance) -> Self {
        let none = || AtomicU64::new(0);
        Self { allowed, requests: none(), open: none(), sent: none(), received: none() }
    }

    /// One more request.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Open, Error> {
        // Counted from its begin, so that dropping it gives back its place.
        let open = Open(Arc::clone(self));
        let is_open = self.open.fetch_add(1, Ordering::Relaxed);
        if is_open >= self.allowed.open {
            return Err(Error::ConnectionLimitReached);
        }
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.allowed.requests {
            return Err(Error::HttpRequestDenied);
        }
        Ok(open)
    }
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<Spent>);

impl Open {
    pub(super) fn sends(&self, bytes: usize) -> Result<(), Error> {
        let most = self.0.allowed.sent_bytes;
        takes(&self.0.sent, bytes, most).map_err(|()| Error::HttpRequestBodySize(Some(most)))
    }

    fn receives(&self, bytes: usize) -> Result<(), Error> {
        let most = self.0.allowed.received_bytes;
        takes(&self.0.received, bytes, most).map_err(|()| Error::HttpResponseBodySize(Some(most)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn takes(counter: &AtomicU64, bytes: usize, most: u64) -> Result<(), ()> {
    let bytes = bytes as u64;
    let total = counter.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
    if total > most { Err(()) } else { Ok(()) }
}

pin_project! {
    /// The body of an answer, counted, and given up when it stands still.
    pub(super) struct Counted {
        #[pin]
        inner: WasiBody,
        open: Open,
        idle: Duration,
        #[pin]
        patience: Sleep,
        has_ended: bool,
    }
}

impl Counted {
    pub(super) fn new(inner: WasiBody, open: Open, idle: Duration) -> Self {
        Self { inner, open, idle, patience: tokio::time::sleep(idle), has_ended: false }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Error;

    #[expect(clippy::disallowed_methods, reason = "a limit on real time; the guest never sees it")]
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut this = self.project();
        if *this.has_ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = this.inner.as_mut().poll_frame(cx) else {
            std::task::ready!(this.patience.as_mut().poll(cx));
            *this.has_ended = true;
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };
        this.patience.as_mut().reset(Instant::now() + *this.idle);
        let counted = frame.map(|frame| {
            let frame = frame?;
            this.open.receives(frame.data_ref().map_or(0, Bytes::len))?;
            Ok(frame)
        });
        *this.has_ended = !matches!(counted, Some(Ok(_)));
        Poll::Ready(counted)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_requests_and_bytes_and_no_more() {
        let allowed = Allowance { requests: 3, open: 2, sent_bytes: 10, received_bytes: 20 };
        let spent = Arc::new(Spent::new(allowed));
        let (one, two) = (spent.begin().unwrap(), spent.begin().unwrap());
        assert!(matches!(spent.begin(), Err(Error::ConnectionLimitReached)));
        drop(two);
        let three = spent.begin().unwrap();
        assert!(one.sends(6).is_ok() && three.sends(4).is_ok());
        assert!(matches!(one.sends(1), Err(Error::HttpRequestBodySize(Some(10)))));
        assert!(one.receives(20).is_ok());
        assert!(matches!(three.receives(1), Err(Error::HttpResponseBodySize(Some(20)))));
        drop((one, three));
        assert!(matches!(spent.begin(), Err(Error::HttpRequestDenied)));
        assert_eq!(spent.open.load(Ordering::Relaxed), 0, "what was refused holds no place");
    }
}
