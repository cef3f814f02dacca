//! Which changes of a pace are written down: few enough that a store stays small, however often they come and however long a
//! run takes.

use std::time::Duration;

/// Between two of them at first.
const EVERY: Duration = Duration::from_secs(10);
/// After so many rows the pauses are twice as long.
const ROWS: u32 = 500;

/// Says which.
#[derive(Debug, Default)]
pub struct Notes {
    last: Option<Duration>,
    rows: u32,
}

impl Notes {
    /// Whether what has changed now is written down.
    pub fn take(&mut self, now: Duration) -> bool {
        let pause = EVERY.saturating_mul(2_u32.saturating_pow(self.rows / ROWS));
        if self.last.is_some_and(|last| now.saturating_sub(last) < pause) {
            return false;
        }
        self.last = Some(now);
        self.rows = self.rows.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_changes_without_a_pause_is_some_thousand_rows() {
        let mut notes = Notes::default();
        let taken = (0..365 * 24 * 3_600).filter(|second| notes.take(Duration::from_secs(*second))).count();
        assert!((3_000..8_000).contains(&taken), "{taken}");
    }

    #[test]
    fn the_first_change_is_written_down_and_the_next_after_a_pause() {
        let mut notes = Notes::default();
        let at = [0, 9, 10, 19, 20].map(Duration::from_secs);
        assert_eq!(at.map(|now| notes.take(now)), [true, false, true, false, true]);
    }
}
