//! The breaker on the plugin itself: items on which it crashed since one was done.

use super::Ending;
use super::worker::Crash;
use crate::domain::{FailureClass, ItemId, sanitize_line};

/// Bytes of a message that says why a run ended.
const MESSAGE_BYTES_MAX: usize = 500;
/// Different ones that are told apart.
const KINDS_MAX: usize = 100;

/// What crashed, by class and message, with the first item of each.
#[derive(Debug, Default)]
pub(super) struct Traps {
    count: u32,
    kinds: Vec<(FailureClass, String, ItemId, u32)>,
}

impl Traps {
    pub(super) fn count(&mut self, crash: Crash) {
        self.count = self.count.saturating_add(1);
        let Crash { class, message, item } = crash;
        if let Some((.., times)) = self.kinds.iter_mut().find(|(known, text, ..)| *known == class && *text == message) {
            *times = times.saturating_add(1);
        } else if self.kinds.len() < KINDS_MAX {
            self.kinds.push((class, message, item, 1));
        }
    }

    /// `most`: 0 never stops.
    pub(super) fn ending(&self, most: u32) -> Option<Ending> {
        if most == 0 || self.count < most {
            return None;
        }
        // Of those that came as often, the first.
        let (class, message, item, times) = self.kinds.iter().rev().max_by_key(|(.., times)| *times)?;
        Some(Ending::Traps {
            count: most,
            commonest: *times,
            class: class.name().to_owned(),
            message: sanitize_line(message, MESSAGE_BYTES_MAX),
            item: sanitize_line(item.as_str(), MESSAGE_BYTES_MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(message: &str, item: &str) -> Crash {
        Crash { class: FailureClass::Trap, message: message.into(), item: ItemId::new(item).unwrap() }
    }

    #[test]
    fn the_commonest_crash_is_named_with_its_first_item() {
        let mut traps = Traps::default();
        for (message, item) in [("a", "1"), ("b", "2"), ("b", "3")] {
            assert_eq!(traps.ending(3), None);
            traps.count(crash(message, item));
        }
        let reason = traps.ending(3).unwrap().reason();
        assert!(reason.contains("2 times by trap: b (item 2)") && reason.contains("--max-traps 3"), "{reason}");
        assert_eq!(traps.ending(0), None, "0 never stops");
        assert_eq!(traps.ending(4), None);
    }
}
