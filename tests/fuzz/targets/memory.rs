//! How much of the heap a reader takes: a small input must not make it take much.

use peak_alloc::PeakAlloc;

/// The allocator that counts; whoever calls the targets installs it. Of the process as a whole: targets run one at a time.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Counts from where it is made.
pub(crate) struct Counted {
    before: usize,
}

impl Counted {
    pub(crate) fn start() -> Self {
        HEAP.reset_peak_usage();
        Self { before: HEAP.current_usage() }
    }

    /// Panics if more than `mebibytes` were held at any moment since.
    #[track_caller]
    pub(crate) fn check(&self, mebibytes: usize) {
        let taken = HEAP.peak_usage().saturating_sub(self.before);
        assert!(taken <= mebibytes << 20, "{taken} bytes were held, and {mebibytes} MiB are allowed");
    }
}
