//! A terminal that nobody reads (stopped with Ctrl-S, or at the far end of a connection that hangs) takes nothing any more. It holds up
//! this thread, and never the batch.

use std::io::{Error, ErrorKind, Result, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

/// What may be on its way to the terminal; whoever writes more is told, and tries again later.
const QUEUE: usize = 64;
/// How long the end of a run waits for what is on its way.
const PATIENCE: Duration = Duration::from_secs(2);

enum Message {
    Bytes(Vec<u8>),
    /// Everything before it is written: whoever waits may go on.
    Done(std::sync::mpsc::Sender<()>),
}

/// Writes from a thread of its own, which ends with it.
pub(super) struct Unblocked {
    queue: SyncSender<Message>,
}

impl Unblocked {
    /// The error: the system has no thread to give.
    pub(super) fn new(out: impl Write + Send + 'static) -> Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        std::thread::Builder::new().name("screen".into()).spawn(move || write(out, &messages))?;
        Ok(Self { queue })
    }
}

fn write(mut out: impl Write, messages: &Receiver<Message>) {
    while let Ok(message) = messages.recv() {
        match message {
            // A terminal that has gone away is no reason to stop anything.
            Message::Bytes(bytes) => drop(out.write_all(&bytes).and_then(|()| out.flush())),
            Message::Done(done) => drop(done.send(())),
        }
    }
}

impl Write for Unblocked {
    /// All of it, or nothing and [`ErrorKind::WouldBlock`].
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let sent = self.queue.try_send(Message::Bytes(bytes.to_vec()));
        sent.map(|()| bytes.len()).map_err(|_| Error::from(ErrorKind::WouldBlock))
    }

    /// Waits for what is on its way, for a while.
    fn flush(&mut self) -> Result<()> {
        let (done, written) = channel();
        let sent = self.queue.try_send(Message::Done(done)).is_ok();
        if sent && written.recv_timeout(PATIENCE).is_ok() { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Takes nothing until it is let go.
    struct Stalled {
        gate: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            // Open for good once its other end is gone.
            let _ = self.gate.recv();
            self.written.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_takes_nothing_holds_up_nobody_and_gets_it_in_order_later() {
        let (hold, gate) = channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut out = Unblocked::new(Stalled { gate, written: Arc::clone(&written) }).unwrap();
        let taken = (0..500).take_while(|n| out.write_all(format!("{n}\n").as_bytes()).is_ok()).count();
        assert!((QUEUE..=QUEUE + 1).contains(&taken), "{taken}");
        drop(hold);
        while out.flush().is_err() {}
        let expected: String = (0..taken).map(|n| n.to_string() + "\n").collect();
        assert_eq!(String::from_utf8(written.lock().unwrap().clone()).unwrap(), expected);
    }
}
