//! Named points at which a test ends the process as `kill -9` does: between any two things that must not need each other.
//!
//! Compiled with the feature `failpoints` only, which nothing but the package's own tests switches on. Without it a point is
//! nothing.

/// Every point, in the order in which a run first passes them.
pub const POINTS: [&str; 18] = [
    "registration-chunk",
    "registration-mark-before",
    "registration-mark-after",
    "run-begin",
    "transaction-middle",
    "commit-before",
    "commit-after",
    "call-intended",
    "call-arrived",
    "call-committed",
    "outcome-before",
    "outcome-after",
    "output-before-rename",
    "output-after-rename",
    "run-end-before",
    "run-end-after",
    "checkpoint-before",
    "checkpoint-after",
];

/// Ends the process if `SANDMILL_FAILPOINT` is `point:n` and this is the nth time.
#[cfg(feature = "failpoints")]
pub fn pass(point: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    // A setting that says nothing ends nothing, which the test that waits for the end sees.
    let wanted = WANTED.get_or_init(|| {
        let setting = std::env::var("SANDMILL_FAILPOINT").ok()?;
        let (point, nth) = setting.split_once(':')?;
        Some((point.to_owned(), nth.parse().ok()?))
    });
    let Some((name, nth)) = wanted else { return };
    if name == point && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

#[cfg(not(feature = "failpoints"))]
pub const fn pass(_point: &str) {}
