//! How long things took, of any number of them in little room.

use serde::Serialize;

/// Each power of two is cut into so many parts, so that a quantile is off by a thirty-second at most.
const PARTS_BITS: u32 = 5;
const PARTS: usize = 1 << PARTS_BITS;
const CELLS: usize = (64 - PARTS_BITS as usize + 1) * PARTS;
/// Where bars begin: 0, and 1, 2, 5 times each power of ten, in milliseconds.
const BARS: usize = 28;

#[derive(Debug, Clone)]
pub(super) struct Histogram {
    cells: Vec<u64>,
    bars: [u64; BARS],
    bar_starts: [u64; BARS],
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

/// What is told of it. All in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Latency {
    pub count: u64,
    pub min_ms: u64,
    pub mean_ms: u64,
    /// Off by a thirty-second at most, as the others.
    pub p50_ms: u64,
    pub p90_ms: u64,
    pub p99_ms: u64,
    pub max_ms: u64,
    /// Without the empty ones at both ends.
    pub bars: Vec<Bar>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bar {
    pub from_ms: u64,
    /// Not among them.
    pub to_ms: u64,
    pub count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        let mut bar_starts = [0; BARS];
        let (mut power, mut steps) = (1_u64, [1, 2, 5].into_iter().cycle());
        for start in &mut bar_starts[1..] {
            let step = steps.next().unwrap_or(1);
            *start = step * power;
            power *= if step == 5 { 10 } else { 1 };
        }
        Self { cells: vec![0; CELLS], bars: [0; BARS], bar_starts, count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, ms: u64) {
        if let Some(cell) = self.cells.get_mut(cell(ms)) {
            *cell += 1;
        }
        let bar = self.bar_starts.partition_point(|start| *start <= ms);
        self.bars[bar.saturating_sub(1)] += 1;
        self.count += 1;
        self.sum += u128::from(ms);
        self.min = self.min.min(ms);
        self.max = self.max.max(ms);
    }

    pub(super) fn latency(&self) -> Latency {
        if self.count == 0 {
            return Latency::default();
        }
        let bar = |nth: usize| Bar {
            from_ms: self.bar_starts[nth],
            to_ms: self.bar_starts.get(nth + 1).copied().unwrap_or(u64::MAX),
            count: self.bars[nth],
        };
        let first = self.bars.iter().position(|count| *count > 0).unwrap_or(0);
        let last = self.bars.iter().rposition(|count| *count > 0).unwrap_or(0);
        Latency {
            count: self.count,
            min_ms: self.min,
            mean_ms: u64::try_from(self.sum / u128::from(self.count)).unwrap_or(u64::MAX),
            p50_ms: self.quantile(50),
            p90_ms: self.quantile(90),
            p99_ms: self.quantile(99),
            max_ms: self.max,
            bars: (first..=last).map(bar).collect(),
        }
    }

    /// So many of a hundred took no longer.
    fn quantile(&self, percent: u64) -> u64 {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (nth, count) in self.cells.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return last_of(nth).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

fn cell(ms: u64) -> usize {
    if ms < PARTS as u64 {
        return usize::try_from(ms).unwrap_or(0);
    }
    let exponent = ms.ilog2();
    let part = usize::try_from(ms >> (exponent - PARTS_BITS)).unwrap_or(0) & (PARTS - 1);
    (exponent - PARTS_BITS + 1) as usize * PARTS + part
}

/// The largest number in a cell.
fn last_of(cell: usize) -> u64 {
    if cell < PARTS {
        return cell as u64;
    }
    let shift = cell / PARTS - 1;
    let low = ((PARTS + cell % PARTS) as u64) << shift;
    low + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_nothing_there_is_nothing() {
        assert_eq!(Histogram::default().latency(), Latency::default());
    }

    #[test]
    fn small_numbers_are_exact_and_bars_begin_at_1_2_5() {
        let mut histogram = Histogram::default();
        for ms in [0, 1, 1, 4, 5, 49] {
            histogram.add(ms);
        }
        let latency = histogram.latency();
        let bars: Vec<_> = latency.bars.iter().map(|bar| (bar.from_ms, bar.to_ms, bar.count)).collect();
        assert_eq!(bars, [(0, 1, 1), (1, 2, 2), (2, 5, 1), (5, 10, 1), (10, 20, 0), (20, 50, 1)]);
        assert_eq!((latency.min_ms, latency.p50_ms, latency.max_ms, latency.mean_ms), (0, 1, 49, 10));
    }

    proptest! {
        #[test]
        fn quantiles_are_near_those_of_a_sorted_list(mut all in prop::collection::vec(any::<u64>().prop_flat_map(|most| 0..=(most >> 20)), 1..300)) {
            let mut histogram = Histogram::default();
            for ms in &all {
                histogram.add(*ms);
            }
            all.sort_unstable();
            let latency = histogram.latency();
            for (percent, found) in [(50, latency.p50_ms), (90, latency.p90_ms), (99, latency.p99_ms)] {
                let exact = all[(all.len() * percent).div_ceil(100).max(1) - 1];
                prop_assert!(found >= exact && found - exact <= exact / 32 + 1, "{percent}: {found} for {exact}");
            }
            prop_assert_eq!(latency.bars.iter().map(|bar| bar.count).sum::<u64>(), all.len() as u64);
            for bar in &latency.bars {
                let inside = all.iter().filter(|ms| (bar.from_ms..bar.to_ms).contains(ms)).count();
                prop_assert_eq!(bar.count, inside as u64);
            }
        }
    }
}
