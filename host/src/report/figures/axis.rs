//! The time in which a job was run, cut into equal pieces; the time between runs, in which nothing happened, is left out.

/// How wide a piece may be, in milliseconds; wider ones are doubled from the last.
const WIDTHS_MS: [u64; 24] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    345_600_000,
    691_200_000,
];
/// So many empty pieces between two runs are drawn rather than left out.
const GAP_MAX: u64 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axis {
    origin_ms: u64,
    width_ms: u64,
    stretches: Vec<Stretch>,
    len: usize,
}

/// Pieces without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    /// The first of its pieces, counted from the origin without leaving any out.
    first: u64,
    /// How many pieces stand before it on the axis.
    offset: usize,
    len: usize,
    /// When its last run ended: its last piece is no longer than that.
    end_ms: u64,
}

impl Axis {
    /// `spans`: from when to when a process ran the job. At most `len_max` pieces, which is 1 or more; none if there is no span.
    pub(super) fn new(spans: &[(u64, u64)], len_max: usize) -> Self {
        let mut spans: Vec<(u64, u64)> = spans.iter().map(|(from, to)| (*from, (*to).max(*from))).collect();
        spans.sort_unstable();
        let origin_ms = spans.first().map_or(0, |(from, _)| *from);
        let last = *WIDTHS_MS.last().unwrap_or(&1);
        let wider = std::iter::successors(last.checked_mul(2), |width| width.checked_mul(2));
        let mut fitting = Self { origin_ms, width_ms: u64::MAX, stretches: Vec::new(), len: 0 };
        for width_ms in WIDTHS_MS.into_iter().chain(wider).chain([u64::MAX]) {
            fitting = Self::of_width(origin_ms, width_ms, &spans);
            if fitting.len <= len_max {
                break;
            }
        }
        fitting
    }

    fn of_width(origin_ms: u64, width_ms: u64, spans: &[(u64, u64)]) -> Self {
        let mut stretches: Vec<(u64, u64, u64)> = Vec::new();
        for (from, to) in spans {
            // A run that ends where a piece would begin needs no such piece.
            let last = ((*to).max(from + 1) - 1 - origin_ms) / width_ms;
            let first = (from - origin_ms) / width_ms;
            match stretches.last_mut() {
                Some((_, before, end)) if first <= *before + 1 + GAP_MAX => {
                    *before = (*before).max(last);
                    *end = (*end).max(*to);
                }
                Some(_) | None => stretches.push((first, last, *to)),
            }
        }
        let mut len: usize = 0;
        let stretches = stretches
            .into_iter()
            .map(|(first, last, end_ms)| {
                let offset = len;
                let pieces = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
                len = len.saturating_add(pieces);
                Stretch { first, offset, len: pieces, end_ms }
            })
            .collect();
        Self { origin_ms, width_ms, stretches, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn width_ms(&self) -> u64 {
        self.width_ms
    }

    /// The piece of a moment, and how long it lies behind the piece's start. A moment outside of all runs is moved to the end of the
    /// stretch before it, or the beginning of the first one. `None`: there is no piece.
    pub(super) fn place(&self, ms: u64) -> Option<(usize, u64)> {
        let behind = ms.saturating_sub(self.origin_ms);
        let piece = behind / self.width_ms;
        let after = self.stretches.partition_point(|stretch| stretch.first <= piece);
        let stretch = self.stretches.get(after.saturating_sub(1))?;
        let within = usize::try_from(piece.saturating_sub(stretch.first)).unwrap_or(usize::MAX);
        if within >= stretch.len {
            return Some((stretch.offset + stretch.len - 1, self.covered_of(stretch, stretch.len - 1)));
        }
        let at = behind - piece * self.width_ms;
        // What ends a run's last piece ends in it.
        Some((stretch.offset + within, at.min(self.covered_of(stretch, within))))
    }

    /// Where a piece begins, in milliseconds since the Unix epoch.
    pub(super) fn start_ms(&self, piece: usize) -> u64 {
        self.stretch_of(piece).map_or(self.origin_ms, |(stretch, within)| {
            self.origin_ms + (stretch.first + within as u64).saturating_mul(self.width_ms)
        })
    }

    /// How much of a piece lies before its run's end, in milliseconds; at least 1.
    pub(super) fn covered_ms(&self, piece: usize) -> u64 {
        self.stretch_of(piece).map_or(1, |(stretch, within)| self.covered_of(stretch, within))
    }

    /// Whether time was left out right before a piece.
    pub(super) fn follows_gap(&self, piece: usize) -> bool {
        piece > 0 && self.stretches.iter().any(|stretch| stretch.offset == piece)
    }

    fn covered_of(&self, stretch: &Stretch, within: usize) -> u64 {
        let start = self.origin_ms + (stretch.first + within as u64).saturating_mul(self.width_ms);
        stretch.end_ms.saturating_sub(start).clamp(1, self.width_ms)
    }

    fn stretch_of(&self, piece: usize) -> Option<(&Stretch, usize)> {
        let after = self.stretches.partition_point(|stretch| stretch.offset <= piece);
        let stretch = self.stretches.get(after.checked_sub(1)?)?;
        Some((stretch, piece - stretch.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_night_between_two_runs_is_left_out() {
        let hour = 3_600_000;
        let axis = Axis::new(&[(1_000, 61_000), (20 * hour, 20 * hour + 60_000)], 239);
        assert_eq!((axis.width_ms(), axis.len()), (1_000, 60 + 60));
        assert_eq!(axis.place(1_000), Some((0, 0)));
        assert_eq!(axis.place(1_999), Some((0, 999)));
        assert_eq!(axis.place(20 * hour + 59_500), Some((119, 500)));
        assert!(axis.follows_gap(60) && !axis.follows_gap(59) && !axis.follows_gap(0));
        assert_eq!(axis.start_ms(60), 20 * hour);
        // Between the two, and before both.
        assert_eq!(axis.place(10 * hour).unwrap().0, 59);
        assert_eq!(axis.place(0), Some((0, 0)));
    }

    #[test]
    fn without_a_run_there_is_no_piece() {
        let axis = Axis::new(&[], 240);
        assert_eq!((axis.len(), axis.place(5)), (0, None));
    }

    #[test]
    fn a_run_of_no_time_is_one_piece() {
        let axis = Axis::new(&[(7, 7)], 240);
        assert_eq!((axis.len(), axis.place(7), axis.covered_ms(0)), (1, Some((0, 0)), 1));
    }

    proptest! {
        #[test]
        fn every_moment_of_a_run_lies_in_its_piece_and_there_are_not_too_many(
            spans in prop::collection::vec((0..1_u64 << 45, 0..1_u64 << 30), 1..40), at in 0..40_usize, share in 0..=1_000_u64, most in 1..300_usize,
        ) {
            let spans: Vec<(u64, u64)> = spans.into_iter().map(|(from, length)| (from, from + length)).collect();
            let axis = Axis::new(&spans, most);
            prop_assert!((1..=most).contains(&axis.len()), "{}", axis.len());
            let (from, to) = spans[at % spans.len()];
            let ms = from + (to - from) / 1_000 * share;
            let (piece, behind) = axis.place(ms).unwrap();
            prop_assert_eq!(axis.start_ms(piece) + behind, ms);
            prop_assert!(behind <= axis.covered_ms(piece) && axis.covered_ms(piece) <= axis.width_ms());
            let starts: Vec<u64> = (0..axis.len()).map(|piece| axis.start_ms(piece)).collect();
            prop_assert!(starts.is_sorted());
        }
    }
}
