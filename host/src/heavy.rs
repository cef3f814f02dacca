//! Work that takes long for its size, off the threads that other tasks wait for: a thread that checks sixty megabytes runs nobody else.

use std::sync::LazyLock;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// What is done in place takes less than a tick of the sandbox's clock.
const IN_PLACE_BYTES_MAX: usize = 256 << 10;

/// One a processor: more would only take the processors from those who wait less.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)));

/// Does `work`, which takes as long as so many bytes take: in place where they are few.
pub async fn by_size<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= IN_PLACE_BYTES_MAX { work() } else { Box::pin(elsewhere(work)).await }
}

/// Does `work` on another thread. It goes on when nobody waits any more.
pub async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match attempted(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and whoever waits with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The same, where a panic is only one more way to fail.
pub async fn attempted<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    // Never closed.
    let place = PLACES.acquire().await;
    tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    })
    .await
}

/// Does `work` on this thread; if it takes long, the runtime's other tasks go on on another.
pub fn in_place<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let many = || Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes > IN_PLACE_BYTES_MAX && many() { tokio::task::block_in_place(work) } else { work() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_large_is_done_on_another_thread() {
        let thread = || std::thread::current().id();
        let here = thread();
        assert_eq!(by_size(10, thread).await, here);
        assert_ne!(by_size(1 << 20, thread).await, here);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_go_on_beside_what_is_done_in_place() {
        let (said, heard) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            tokio::spawn(async move { said.send(()) });
            in_place(1 << 20, || heard.recv()).unwrap();
        })
        .await
        .unwrap();
        assert_eq!(in_place(1 << 20, || 1), 1);
    }

    #[tokio::test]
    #[should_panic(expected = "of the work")]
    async fn a_panic_is_that_of_whoever_waits() {
        elsewhere::<()>(|| panic!("of the work")).await;
    }
}
