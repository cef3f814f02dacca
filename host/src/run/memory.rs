//! What live guests have of memory together, against what they shall have: who may begin, and who of those that wait has to go.
//!
//! Counted as the sandbox grants it, page by page, rather than measured: so it is exact, the same on every machine, and known before the
//! system has given anything. It is a target, not a bound: a guest that has begun is refused nothing but its own limit, so that no item fails
//! for what others take. Must not know: who waits for what, and for how long.

/// How much less one that took less makes of what a guest is expected to take; one that took more says so at once.
const FADE: u64 = 16;

/// All live guests.
#[derive(Debug)]
pub(super) struct Memory {
    /// In bytes; `None`: whoever comes may begin.
    target: Option<u64>,
    /// What a guest is expected to take while nothing is known of any.
    most_of_one: u64,
    live: usize,
    /// Of each guest the larger of what it has and what it is expected to take, in bytes.
    counted: u64,
    /// What they have, and the most that it ever was.
    held: u64,
    peak: u64,
    /// The part of `counted` that is on its way out.
    leaving: u64,
    /// Somebody waits to begin: what is known of it alone.
    first: Option<u64>,
    /// What guests took of late; `None`: nothing is known.
    usual: Option<u64>,
}

/// One guest's part, from before it begins until its memory is given back.
#[derive(Debug, Default)]
pub(super) struct Part {
    held: u64,
    expected: u64,
    leaves: bool,
}

impl Part {
    fn counted(&self) -> u64 {
        self.held.max(self.expected)
    }

    pub(super) fn leaves(&self) -> bool {
        self.leaves
    }
}

impl Memory {
    pub(super) fn new(target: Option<u64>, most_of_one: u64) -> Self {
        let (live, first, usual) = (0, None, None);
        Self { target, most_of_one, live, counted: 0, held: 0, peak: 0, leaving: 0, first, usual }
    }

    /// What guests have now, and the most that it ever was; in bytes.
    pub(super) fn figures(&self) -> (u64, u64) {
        (self.held, self.peak)
    }

    /// Whoever asks may begin, or is the first to do so once there is room. One may always: where nobody is live there is nothing to wait for.
    /// `known`: what this item has taken before, in bytes.
    pub(super) fn begin(&mut self, known: u64) -> Option<Part> {
        let expected = self.expected(known);
        let has_room = self.target.is_none_or(|target| self.counted.saturating_add(expected) <= target);
        if self.live > 0 && !has_room {
            self.first = Some(known);
            return None;
        }
        self.first = None;
        self.live += 1;
        self.counted += expected;
        Some(Part { expected, ..Part::default() })
    }

    /// The first of those who wait does so no longer.
    pub(super) fn forget_first(&mut self) {
        self.first = None;
    }

    /// A guest's memories are about to be `bytes` in all.
    pub(super) fn grows(&mut self, part: &mut Part, bytes: u64) {
        self.held = self.held - part.held + bytes;
        self.peak = self.peak.max(self.held);
        self.recount(part, |part| part.held = bytes);
    }

    /// A guest waits for an answer: what it has by now is what it takes, as far as anybody knows.
    pub(super) fn waits(&mut self, part: &mut Part) {
        if part.held == 0 {
            return;
        }
        let usual = self.usual.unwrap_or(0).max(part.held);
        self.usual = Some(usual);
        self.recount(part, |part| part.expected = part.expected.min(usual));
    }

    /// More is taken, or wanted by whoever is first, than there shall be, once all have gone that are on their way.
    pub(super) fn is_short(&self) -> bool {
        let wanted = self.first.map_or(0, |known| self.expected(known));
        let stays = self.counted - self.leaving;
        self.target.is_some_and(|target| stays.saturating_add(wanted) > target)
    }

    /// A guest that waits gives its instance back.
    pub(super) fn leaves(&mut self, part: &mut Part) {
        if !part.leaves {
            part.leaves = true;
            self.leaving += part.counted();
        }
    }

    /// Its memory is given back.
    pub(super) fn ends(&mut self, part: &Part) {
        self.live -= 1;
        self.counted -= part.counted();
        self.held -= part.held;
        if part.leaves {
            self.leaving -= part.counted();
        }
        // One that had none never began.
        if part.held > 0 {
            let usual = self.usual.unwrap_or(part.held);
            self.usual = Some(part.held.max(usual - (usual.saturating_sub(part.held)).div_ceil(FADE)));
        }
    }

    fn expected(&self, known: u64) -> u64 {
        known.max(self.usual.unwrap_or(self.most_of_one))
    }

    fn recount(&mut self, part: &mut Part, change: impl FnOnce(&mut Part)) {
        let before = part.counted();
        change(part);
        let now = part.counted();
        self.counted = self.counted - before + now;
        if part.leaves {
            self.leaving = self.leaving - before + now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    /// One that has begun, and taken so much.
    fn taken(memory: &mut Memory, bytes: u64) -> Part {
        let mut part = memory.begin(0).unwrap();
        memory.grows(&mut part, bytes);
        part
    }

    #[test]
    fn as_many_begin_as_fit_by_what_one_may_take_until_one_has_shown_what_it_does() {
        let mut memory = Memory::new(Some(300 * MIB), 128 * MIB);
        let mut parts = vec![memory.begin(0).unwrap(), memory.begin(0).unwrap()];
        assert!(memory.begin(0).is_none(), "a third might take more than is there");
        for part in &mut parts {
            memory.grows(part, 24 * MIB);
            memory.waits(part);
        }
        while let Some(mut part) = memory.begin(0) {
            memory.grows(&mut part, 24 * MIB);
            parts.push(part);
        }
        assert_eq!(parts.len(), 12, "300 MiB hold twelve of 24");
        assert_eq!(memory.figures(), (12 * 24 * MIB, 12 * 24 * MIB));
    }

    #[test]
    fn one_may_always_begin_however_little_there_is() {
        let mut memory = Memory::new(Some(1), 128 * MIB);
        let part = taken(&mut memory, 64 * MIB);
        assert!(memory.begin(0).is_none());
        memory.ends(&part);
        assert!(memory.begin(0).is_some());
    }

    #[test]
    fn so_many_have_to_go_that_the_first_fits_and_no_more() {
        let mut memory = Memory::new(Some(100 * MIB), 20 * MIB);
        let mut parts: Vec<Part> = (0..5).map(|_| taken(&mut memory, 20 * MIB)).collect();
        assert!(!memory.is_short(), "all of it is taken, and nobody wants more");
        assert!(memory.begin(50 * MIB).is_none());
        for part in &mut parts[..3] {
            assert!(memory.is_short());
            memory.leaves(part);
        }
        assert!(!memory.is_short(), "three of twenty make room for one of fifty");
        for part in parts.drain(..3) {
            memory.ends(&part);
        }
        assert!(memory.begin(50 * MIB).is_some());
        assert!(memory.begin(0).is_none() && memory.is_short());
        memory.forget_first();
        assert!(!memory.is_short());
    }

    #[test]
    fn one_that_grows_beyond_what_was_expected_makes_memory_short() {
        let mut memory = Memory::new(Some(100 * MIB), 10 * MIB);
        let mut part = taken(&mut memory, 10 * MIB);
        let other = taken(&mut memory, 10 * MIB);
        memory.grows(&mut part, 91 * MIB);
        assert!(memory.is_short());
        memory.leaves(&mut part);
        assert!(!memory.is_short(), "it counts as gone with all that it has");
        memory.grows(&mut part, 95 * MIB);
        assert!(!memory.is_short());
        memory.ends(&part);
        assert_eq!(memory.figures(), (10 * MIB, 105 * MIB));
        memory.ends(&other);
    }

    #[test]
    fn what_one_is_expected_to_take_rises_at_once_and_falls_with_those_that_take_less() {
        let mut memory = Memory::new(Some(1 << 40), 128 * MIB);
        let ends = |memory: &mut Memory, bytes| {
            let part = taken(memory, bytes);
            memory.ends(&part);
            memory.expected(0)
        };
        assert_eq!(ends(&mut memory, 2 * MIB), 2 * MIB);
        assert_eq!(ends(&mut memory, 66 * MIB), 66 * MIB);
        assert_eq!(ends(&mut memory, 2 * MIB), 62 * MIB);
        for _ in 0..200 {
            ends(&mut memory, 2 * MIB);
        }
        assert!(memory.expected(0) < 3 * MIB);
        assert_eq!(memory.expected(50 * MIB), 50 * MIB, "what an item has taken before is known of it");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Begin(u64),
        Grow(usize, u64),
        Wait(usize),
        Leave(usize),
        End(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..64_u64).prop_map(Step::Begin),
            3 => (0..100_usize, 0..100_u64).prop_map(|(nth, to)| Step::Grow(nth, to)),
            1 => (0..100_usize).prop_map(Step::Wait),
            1 => (0..100_usize).prop_map(Step::Leave),
            2 => (0..100_usize).prop_map(Step::End),
        ]
    }

    proptest! {
        #[test]
        fn the_sums_are_those_of_all_that_are_live_and_one_may_always_go_on(
            target in prop::option::of(0..500_u64), steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut memory = Memory::new(target, 100);
            let mut parts: Vec<Part> = Vec::new();
            for step in steps {
                let nth = |n: usize| n % parts.len().max(1);
                match step {
                    Step::Begin(known) => {
                        let was_empty = parts.is_empty();
                        let part = memory.begin(known);
                        prop_assert!(part.is_some() || !was_empty);
                        prop_assert!(part.is_some() || target.is_some());
                        parts.extend(part);
                    }
                    _ if parts.is_empty() => {}
                    Step::Grow(n, to) => {
                        let n = nth(n);
                        let to = to.max(parts[n].held);
                        memory.grows(&mut parts[n], to);
                    }
                    Step::Wait(n) => { let n = nth(n); memory.waits(&mut parts[n]); }
                    Step::Leave(n) => { let n = nth(n); memory.leaves(&mut parts[n]); }
                    Step::End(n) => { let part = parts.swap_remove(nth(n)); memory.ends(&part); }
                }
                prop_assert_eq!(memory.live, parts.len());
                prop_assert_eq!(memory.held, parts.iter().map(|part| part.held).sum::<u64>());
                prop_assert_eq!(memory.counted, parts.iter().map(Part::counted).sum::<u64>());
                let leaving = parts.iter().filter(|part| part.leaves).map(Part::counted).sum::<u64>();
                prop_assert_eq!(memory.leaving, leaving);
            }
        }

        /// Whatever order guests begin, wait and end in.
        #[test]
        fn guests_that_take_what_the_first_took_never_have_more_than_the_target(
            target in 100..1_000_u64, steps in prop::collection::vec(step(), 0..300),
        ) {
            let each = 24;
            let mut memory = Memory::new(Some(target), 100);
            let mut parts: Vec<Part> = Vec::new();
            for step in steps {
                let nth = |n: usize| n % parts.len().max(1);
                match step {
                    Step::Begin(_) => parts.extend(memory.begin(0)),
                    _ if parts.is_empty() => {}
                    Step::Grow(n, _) => { let n = nth(n); memory.grows(&mut parts[n], each); }
                    Step::Wait(n) => {
                        let n = nth(n);
                        memory.grows(&mut parts[n], each);
                        memory.waits(&mut parts[n]);
                    }
                    Step::Leave(n) => { let n = nth(n); memory.leaves(&mut parts[n]); }
                    Step::End(n) => {
                        let n = nth(n);
                        memory.grows(&mut parts[n], each);
                        let part = parts.swap_remove(n);
                        memory.ends(&part);
                    }
                }
            }
            prop_assert!(memory.peak <= target, "{} of {target}", memory.peak);
        }
    }
}
