//! Work that begins so many times a second, whether what began before has ended or not: what is slow is waited for by nobody, and is measured whole.

use anyhow::bail;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// So many begin a second.
pub(crate) const A_SECOND: u32 = 1_000;
/// Of the time that they should take, so much more at most, or the pace was another.
const LATE_MAX: f64 = 1.05;
/// The first part, in which caches fill, is left out: one in so many.
const WARMING: usize = 10;

/// Begins `begin(0)`, `begin(1)` and so on, `count` of them, on `runtime`, and waits for all. What each of them says that it took, but for the first ones.
///
/// # Errors
///
/// One failed, or the machine did not keep the pace.
pub(crate) fn keep<Work>(runtime: &Handle, count: usize, begin: impl Fn(usize) -> Work) -> anyhow::Result<Vec<Duration>>
where
    Work: Future<Output = anyhow::Result<Duration>> + Send + 'static,
{
    let step = Duration::from_secs(1) / A_SECOND;
    let (mut times, took) = every(step, runtime, count, begin)?;
    let due = step * u32::try_from(count)?;
    if took > due.mul_f64(LATE_MAX) {
        bail!("{count} were to begin in {due:?}, and it took {took:?}: the machine is too busy to measure on");
    }
    Ok(times.split_off(count / WARMING))
}

/// What each took, and until all had begun.
#[expect(clippy::disallowed_methods, reason = "this is what measures")]
fn every<Work>(
    step: Duration,
    runtime: &Handle,
    count: usize,
    begin: impl Fn(usize) -> Work,
) -> anyhow::Result<(Vec<Duration>, Duration)>
where
    Work: Future<Output = anyhow::Result<Duration>> + Send + 'static,
{
    let (started, mut due, mut tasks) = (Instant::now(), Duration::ZERO, Vec::with_capacity(count));
    for nth in 0..count {
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        tasks.push(runtime.spawn(begin(nth)));
        due += step;
    }
    let took = started.elapsed();
    let times = tasks.into_iter().map(|task| runtime.block_on(task)?).collect::<anyhow::Result<_>>()?;
    Ok((times, took))
}

/// The time that 99 of 100 do not exceed, in milliseconds, and the one in the middle.
pub(crate) fn ninety_nine_and_middle(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |hundredths: usize| {
        let last = (times.len() * hundredths).div_ceil(100).saturating_sub(1);
        times.get(last).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    (at(99), at(50))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn one_in_a_hundred_may_take_longer() {
        let times = |slow: u64| (1..=200).map(|n| Duration::from_millis(if n > 200 - slow { 90 } else { 1 })).collect();
        let check = |slow, expected: (f64, f64)| {
            let found = ninety_nine_and_middle(times(slow));
            assert!((found.0 - expected.0).abs() < 1e-9 && (found.1 - expected.1).abs() < 1e-9, "{found:?}");
        };
        check(2, (1.0, 1.0));
        check(3, (90.0, 1.0));
    }

    #[test]
    fn all_are_waited_for_and_one_that_fails_is_told() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let all = |bad: usize| {
            every(Duration::ZERO, runtime.handle(), 20, move |nth| async move {
                (nth != bad).then(|| Duration::from_millis(nth as u64)).context("no")
            })
        };
        let times: Vec<u128> = all(20).unwrap().0.iter().map(Duration::as_millis).collect();
        assert_eq!(times, (0..20).collect::<Vec<_>>());
        assert!(all(19).is_err());
    }
}
