//! A listener that takes so many connections and no more, and has no patience with those that never ask for anything they may have.
//!
//! Further ones wait in the system's queue. Nobody who connects can take file descriptors or memory that the batch needs.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, Join, ReadBuf};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// A listener that bounds its connections.
#[derive(Debug)]
pub struct Bounded {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    patience: Option<Duration>,
}

/// Whether who is connected has shown that they may be; said by whoever answers.
#[derive(Debug, Clone, Default)]
pub struct Admission(Arc<AtomicBool>);

/// One that was taken.
pub type Connection = Join<Reading, OwnedWriteHalf>;

/// What is read of one; its slot is free again when it ends.
#[derive(Debug)]
pub struct Reading {
    stream: OwnedReadHalf,
    admission: Admission,
    /// When it ends if it is not admitted by then.
    deadline: Option<Pin<Box<Sleep>>>,
    _slot: OwnedSemaphorePermit,
}

impl Bounded {
    /// `most`: connections at once. `patience`: a connection that is not admitted within it ends; `None`: none has to be.
    pub fn new(listener: TcpListener, most: usize, patience: Option<Duration>) -> Self {
        Self { listener, slots: Arc::new(Semaphore::new(most)), patience }
    }
}

impl Admission {
    /// From now on the connection may stay as long as it likes.
    pub fn admit(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_admitted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connected<IncomingStream<'_, Bounded>> for Admission {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        stream.io().reader().admission.clone()
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            // Nobody closes it.
            return std::future::pending().await;
        };
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Best effort: without it, small answers wait for their turn.
        let _ = stream.set_nodelay(true);
        let deadline = self.patience.map(|patience| Box::pin(tokio::time::sleep(patience)));
        let (stream, write) = stream.into_split();
        let read = Reading { stream, admission: Admission::default(), deadline, _slot: slot };
        (tokio::io::join(read, write), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Reading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.admission.is_admitted() {
            self.deadline = None;
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn bounded(most: usize, patience: Option<Duration>) -> (Bounded, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Bounded::new(listener, most, patience), address)
    }

    #[tokio::test]
    async fn one_more_than_may_be_waits_until_another_has_gone() {
        let (mut listener, address) = bounded(1, None).await;
        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let (first, _) = listener.accept().await;
        assert!(futures_util::FutureExt::now_or_never(listener.accept()).is_none());
        drop(first);
        listener.accept().await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_admitted_in_time_is_left_and_who_is_stays() {
        let (mut listener, address) = bounded(2, Some(Duration::from_secs(10))).await;
        let _silent = TcpStream::connect(address).await.unwrap();
        let (mut silent, _) = listener.accept().await;
        let error = silent.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut admitted, _) = listener.accept().await;
        admitted.reader().admission.admit();
        tokio::time::advance(Duration::from_hours(1)).await;
        client.write_u8(7).await.unwrap();
        assert_eq!(admitted.read_u8().await.unwrap(), 7);
    }
}
