//! `wasi:filesystem` with what is written counted, so that a plugin that may write does not fill the disk. All else is wasmtime-wasi's.

use super::state::GuestState;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor};
use wasmtime_wasi::p2::{DynOutputStream, FsResult, OutputStream, Pollable, StreamError, StreamResult};

/// As wasmtime-wasi links it; a test holds that these are the functions that guests call.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// What an attempt may still write, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Written(Arc<AtomicU64>);

impl Written {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes_max)))
    }

    /// Whether so much more may be written; it counts as written then.
    fn take(&self, bytes: u64) -> bool {
        let less = |left: u64| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Takes the place of the functions that write.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, GuestState>;
    type Fd = Resource<Descriptor>;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap("[method]descriptor.write-via-stream", |mut store: Store<'_>, (fd, offset): (Fd, u64)| {
        let made = store.data_mut().filesystem().write_via_stream(fd, offset);
        Ok((counted(store.data_mut(), made)?,))
    })?;
    types.func_wrap("[method]descriptor.append-via-stream", |mut store: Store<'_>, (fd,): (Fd,)| {
        let made = store.data_mut().filesystem().append_via_stream(fd);
        Ok((counted(store.data_mut(), made)?,))
    })?;
    types.func_wrap_async(
        "[method]descriptor.write",
        |mut store: Store<'_>, (fd, bytes, offset): (Fd, Vec<u8>, u64)| {
            Box::new(async move {
                let state = store.data_mut();
                if !state.written.take(bytes.len() as u64) {
                    return Ok((Err(ErrorCode::InsufficientSpace),));
                }
                Ok((told(state.filesystem().write(fd, bytes, offset).await)?,))
            })
        },
    )?;
    // Counted as if all of it were written, though a file may hold nothing there.
    types.func_wrap_async("[method]descriptor.set-size", |mut store: Store<'_>, (fd, size): (Fd, u64)| {
        Box::new(async move {
            let state = store.data_mut();
            if !state.written.take(size) {
                return Ok((Err(ErrorCode::InsufficientSpace),));
            }
            Ok((told(state.filesystem().set_size(fd, size).await)?,))
        })
    })
}

fn told<T>(done: FsResult<T>) -> wasmtime::Result<Result<T, ErrorCode>> {
    match done {
        Ok(value) => Ok(Ok(value)),
        Err(error) => Ok(Err(error.downcast()?)),
    }
}

/// The stream that was made, behind one that counts.
fn counted(
    state: &mut GuestState,
    made: FsResult<Resource<DynOutputStream>>,
) -> wasmtime::Result<Result<Resource<DynOutputStream>, ErrorCode>> {
    let stream = match told(made)? {
        Ok(stream) => stream,
        Err(code) => return Ok(Err(code)),
    };
    let written = state.written.clone();
    let files = state.filesystem();
    let inner = files.table.delete(stream)?;
    let stream: DynOutputStream = Box::new(Counted { inner, written });
    Ok(Ok(files.table.push(stream)?))
}

struct Counted {
    inner: DynOutputStream,
    written: Written,
}

impl Counted {
    fn take(&self, bytes: usize) -> StreamResult<()> {
        if self.written.take(bytes as u64) {
            return Ok(());
        }
        let full = std::io::Error::from(rustix::io::Errno::NOSPC);
        Err(StreamError::LastOperationFailed(full.into()))
    }
}

#[async_trait::async_trait]
impl Pollable for Counted {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for Counted {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(bytes.len())?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(bytes.len())?;
        self.inner.blocking_write_and_flush(bytes).await
    }

    fn write_zeroes(&mut self, bytes: usize) -> StreamResult<()> {
        self.take(bytes)?;
        self.inner.write_zeroes(bytes)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_written_and_no_more() {
        let written = Written::new(10);
        assert!(written.take(6) && written.clone().take(4));
        assert!(!written.take(1) && written.take(0));
        let written = Written::new(10);
        assert!(!written.take(11) && written.take(10), "what was refused takes nothing");
    }
}
