//! The one switch that stops the run from within: once thrown, no further call leaves and no further item starts.

use crate::store::StoreError;
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Why a run cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HaltReason {
    /// The provider refuses the job as a whole, or the disk is full; a person is needed.
    Parked { code: String, message: String },
    /// The provider says when to come back.
    ParkedUntil { unix_ms: u64, message: String },
    /// The limit on provider calls is reached.
    Budget { message: String },
    /// The store no longer takes what happens: going on would lose paid answers.
    Store { message: String },
    /// Guests were dropped by a signal or after the grace period; the run knows why.
    Interrupted,
}

impl From<&StoreError> for HaltReason {
    fn from(error: &StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::DiskFull { .. } => Self::Parked { code: "disk_full".into(), message },
            StoreError::ReadOnly { .. } => Self::Parked { code: "store_read_only".into(), message },
            StoreError::Busy { .. } => Self::Parked { code: "store_busy".into(), message },
            StoreError::Locked { .. }
            | StoreError::NotFound { .. }
            | StoreError::Exists { .. }
            | StoreError::NotAStore { .. }
            | StoreError::Newer { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Blank { .. }
            | StoreError::NetworkFilesystem { .. }
            | StoreError::BadJobName { .. }
            | StoreError::Io { .. }
            | StoreError::Sqlite { .. }
            | StoreError::Format(_)
            | StoreError::FileExists { .. }
            | StoreError::Pruned { .. }
            | StoreError::Control { .. }
            | StoreError::Closed => Self::Store { message },
        }
    }
}

/// Thrown at most once: the first reason stays.
#[derive(Debug, Default)]
pub struct Halt {
    reason: Mutex<Option<HaltReason>>,
    token: CancellationToken,
}

impl Halt {
    pub fn throw(&self, reason: HaltReason) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.token.cancel();
    }

    pub fn is_thrown(&self) -> bool {
        self.token.is_cancelled()
    }

    pub fn reason(&self) -> Option<HaltReason> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once the switch is thrown.
    pub async fn thrown(&self) {
        self.token.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let halt = Halt::default();
        assert!(!halt.is_thrown());
        halt.throw(HaltReason::Budget { message: "a".into() });
        halt.throw(HaltReason::Store { message: "b".into() });
        halt.thrown().await;
        assert_eq!(halt.reason(), Some(HaltReason::Budget { message: "a".into() }));
    }
}
