//! Signals, as phases: the first drains, the second interrupts, the third ends the process.

use tokio::sync::watch;

/// How urgently the run is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Running,
    /// Nothing new is begun; what is in flight may finish, up to the grace period.
    Draining {
        signal: i32,
    },
    /// Guests are dropped where they stand; answers under way still reach the journal.
    Interrupting {
        signal: i32,
    },
}

/// Where phases come from: signals in production, a test's hand in tests.
#[derive(Debug, Clone)]
pub struct Shutdown {
    phase: watch::Receiver<Phase>,
}

impl Shutdown {
    /// A run that nobody stops, and the handle that could.
    pub fn manual() -> (watch::Sender<Phase>, Self) {
        let (sender, phase) = watch::channel(Phase::Running);
        (sender, Self { phase })
    }

    /// Listens for SIGINT and SIGTERM from now on. `exit` is called at the third signal, with its number.
    pub fn on_signals(exit: impl Fn(i32) + Send + 'static) -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, shutdown) = Self::manual();
        tokio::spawn(async move {
            loop {
                let number = tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
                    _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
                };
                let phase = *sender.borrow();
                match phase {
                    Phase::Running => sender.send_replace(Phase::Draining { signal: number }),
                    Phase::Draining { signal } => sender.send_replace(Phase::Interrupting { signal }),
                    Phase::Interrupting { .. } => {
                        exit(number);
                        return;
                    }
                };
            }
        });
        Ok(shutdown)
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Returns when the phase is another than `seen`.
    pub async fn changed_from(&mut self, seen: Phase) {
        if self.phase.wait_for(|phase| *phase != seen).await.is_err() {
            // Nobody can stop this run any more.
            std::future::pending::<()>().await;
        }
    }
}
