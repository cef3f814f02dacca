//! How a route's gate is set: its pace, its calls at once, its circuit breaker.

use super::super::run_args::RunArgs;
use super::super::settings::{self, time};
use super::CALLS_AT_ONCE;
use crate::config::{self, Config};
use crate::resilience::{BreakerSettings, ConcurrencySettings, GateSettings, KeyLimits, LimiterSettings};
use anyhow::bail;
use std::time::Duration;

/// Of calls that a breaker looks back at.
const WINDOW_MAX: usize = 10_000;

pub(super) fn gate(spec: &config::Route, args: &RunArgs, config: &Config) -> anyhow::Result<GateSettings> {
    let retry_after_max = settings::retry(args, config)?.retry_after_max;
    let (args, sharers) = (&args.provider, sharers(args));
    let part = |calls: u32| (calls / sharers).max(1);
    let concurrency = match args.call_concurrency {
        Some(fixed) => ConcurrencySettings::Fixed(part(fixed)),
        None => ConcurrencySettings::Adaptive { ceiling: part(spec.limits.concurrency.unwrap_or(CALLS_AT_ONCE)) },
    };
    Ok(GateSettings {
        breaker: breaker(time(args.breaker_pause.as_deref(), config.breaker.pause)?, &config.breaker)?,
        concurrency,
        limits: limits(&spec.limits, sharers),
        outage_max: time(args.max_outage.as_deref(), config.breaker.max_outage)?
            .unwrap_or(GateSettings::default().outage_max),
        retry_after_max,
    })
}

fn limits(spec: &config::RouteLimits, sharers: u32) -> LimiterSettings {
    LimiterSettings { requests: spec.rpm, tokens: spec.tpm, sharers }
}

/// Processes that each run a part of one input ask the same provider.
fn sharers(args: &RunArgs) -> u32 {
    args.shard.map_or(1, |shard| shard.of)
}

/// What all routes on a provider share, where anything is set.
pub(super) fn key_limits(provider: &str, args: &RunArgs, config: &Config) -> Option<KeyLimits> {
    let sharers = sharers(args);
    let spec = &config.provider.get(provider)?.limits;
    (*spec != config::RouteLimits::default()).then(|| KeyLimits {
        provider: provider.to_owned(),
        limits: limits(spec, sharers),
        concurrency: spec.concurrency.map(|calls| (calls / sharers).max(1)),
    })
}

/// Settings that would never let it open, or always, are told rather than taken.
fn breaker(pause: Option<Duration>, spec: &config::Breaker) -> anyhow::Result<BreakerSettings> {
    let default = BreakerSettings::default();
    let pause = pause.unwrap_or(default.pause);
    // Whoever sets one of the two means the other to follow.
    let window = spec.window.unwrap_or_else(|| default.window.max(spec.calls_min.unwrap_or(0)));
    let calls_min = spec.calls_min.unwrap_or(default.calls_min.min(window));
    if !(1..=WINDOW_MAX).contains(&window) {
        bail!("breaker.window {window}: the last 1 to {WINDOW_MAX} calls can be looked at");
    }
    if !(1..=window).contains(&calls_min) {
        bail!(
            "breaker.calls_min {calls_min}: there are never so many calls in a window of {window}: set it from 1 to breaker.window"
        );
    }
    let fault_share = spec.fault_share.unwrap_or(default.fault_share);
    if fault_share <= 0.0 {
        bail!("breaker.fault_share 0%: the breaker would open without any failure; 100% opens it only when all fail");
    }
    let at_least_one = |name: &str, set: Option<u32>, default: u32| match set {
        Some(0) => bail!("breaker.{name} 0: it would open without any cause; 1 opens it on the first"),
        set => Ok(set.unwrap_or(default)),
    };
    Ok(BreakerSettings {
        overloaded_after: at_least_one("overloaded_after", spec.overloaded_after, default.overloaded_after)?,
        connections_after: at_least_one("connections_after", spec.connections_after, default.connections_after)?,
        rate_limited_after: at_least_one("rate_limited_after", spec.rate_limited_after, default.rate_limited_after)?,
        rate_limited_for: spec.rate_limited_for.unwrap_or(default.rate_limited_for),
        fault_share,
        window,
        calls_min,
        pause,
        pause_max: spec.pause_max.unwrap_or(default.pause_max).max(pause),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_breaker_are_checked_together() {
        let check = |text: &str| {
            let config: Config = toml_of(text);
            breaker(None, &config.breaker).map_err(|error| error.to_string())
        };
        let read = check("window = 30\nrate_limited_after = 5\nrate_limited_for = \"10s\"").unwrap();
        assert_eq!((read.window, read.calls_min, read.rate_limited_after), (30, 20, 5));
        assert_eq!(check("calls_min = 80").unwrap().window, 80, "the window grows with it");
        assert_eq!(check("window = 10").unwrap().calls_min, 10);
        assert!(check("window = 10\ncalls_min = 20").unwrap_err().contains("breaker.window"));
        for bad in ["window = 0", "calls_min = 0", "fault_share = \"0%\"", "rate_limited_after = 0"] {
            assert!(check(bad).unwrap_err().contains("breaker."), "{bad}");
        }
    }

    fn toml_of(breaker: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sandmill.toml");
        std::fs::write(&path, format!("[breaker]\n{breaker}\n")).unwrap();
        config::load(Some(&path)).unwrap()
    }
}
