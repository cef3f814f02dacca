//! What a child says, read on threads of their own: it may be silent, or talk, for as long as it likes.

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;

/// What is read at once, in bytes, and how much of it may wait to be taken: then the child waits in turn.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS: usize = 4;

pub fn spawn(name: &str, task: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(task).map(drop)
}

/// Everything, once it has ended. Reads one byte more than is allowed, so that it shows, and then no further.
pub fn collect(name: &str, pipe: impl Read + Send + 'static, most: u64) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = channel();
    spawn(name, move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends what came; the child's exit tells the rest.
        let _ = pipe.take(most + 1).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    })?;
    Ok(receiver)
}

/// A stream that is read as it comes, by somebody whose patience has an end.
#[derive(Debug)]
pub struct Patient {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    taken: usize,
    patience: Duration,
}

impl Patient {
    /// `patience`: how long nothing may come while somebody waits for it; then reading ends in [`ErrorKind::TimedOut`].
    pub fn new(name: &str, pipe: impl Read + Send + 'static, patience: Duration) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS);
        spawn(name, move || forward(pipe, &sender))?;
        Ok(Self { chunks, chunk: Vec::new(), taken: 0, patience })
    }
}

/// Until its end, or until nobody wants it any more.
fn forward(mut pipe: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = read.is_err();
        if sender.send(read).is_err() || is_last {
            return;
        }
    }
}

impl BufRead for Patient {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.chunk.len() {
            self.taken = 0;
            self.chunk.clear();
            match self.chunks.recv_timeout(self.patience) {
                Ok(chunk) => self.chunk = chunk?,
                Err(RecvTimeoutError::Disconnected) => {}
                Err(RecvTimeoutError::Timeout) => return Err(ErrorKind::TimedOut.into()),
            }
        }
        Ok(&self.chunk[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.chunk.len());
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.fill_buf()?;
        let length = ready.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_read_whole_and_a_silence_has_an_end() {
        let text = b"0123456789".repeat(100_000);
        let mut whole = Patient::new("t", io::Cursor::new(text.clone()), Duration::from_mins(1)).unwrap();
        let mut read = Vec::new();
        whole.read_to_end(&mut read).unwrap();
        assert!(read == text);
        let (silent, writer) = io::pipe().unwrap();
        let error = Patient::new("t", silent, Duration::from_millis(20)).unwrap().fill_buf().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(writer);
    }

    #[test]
    fn what_nobody_takes_is_not_heaped_up() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut patient = Patient::new("t", reader, Duration::from_mins(1)).unwrap();
        let (sender, written) = channel();
        spawn("t", move || {
            let block = vec![b'x'; CHUNK_BYTES];
            while io::Write::write_all(&mut writer, &block).is_ok() && sender.send(()).is_ok() {}
        })
        .unwrap();
        // The channel, what waits to get into it, the pipe, and what the writer holds.
        let most = CHUNKS + 1 + 16 + 1;
        let mut blocks = 0;
        while written.recv_timeout(Duration::from_millis(200)).is_ok() {
            blocks += 1;
        }
        assert!(blocks <= most, "{blocks}");
        assert_eq!(patient.fill_buf().unwrap()[0], b'x');
    }
}
