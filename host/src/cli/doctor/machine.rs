//! The machine: disk, cache, open files, memory, clock, terminal.

use super::super::run_args::RunArgs;
use super::super::{compiling, memory, settings};
use super::{Findings, Looking, State};
use crate::config::{Config, Size};
use crate::sandbox::{CACHE_BYTES_MAX, Cache};
use crate::store::try_place;
use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit};
use std::io::IsTerminal;
use std::time::Duration;

/// With less room than this a job of some thousand items ends on a full disk; with the second it hardly begins.
const ROOM_LITTLE: u64 = 1 << 30;
const ROOM_LEAST: u64 = 64 << 20;
/// A commit waits for the disk, and every answer for a commit.
const SYNC_SLOW: Duration = Duration::from_millis(250);
/// Files that a run has open whatever it does: the store and its readers, the runtime, logs.
const FILES_OF_A_RUN: u64 = 64;
/// A clock this far off makes dates in Retry-After mean something else.
const SKEW_MAX_MS: i64 = 10_000;
/// 2026: this program is not older.
const BEGAN_MS: u64 = 1_767_225_600_000;
/// What clocks may differ by over the time that all this takes.
const JUMP_MS: u64 = 2_000;

impl Looking<'_> {
    /// `calls`: that may be on their way at once.
    pub(super) fn machine(&mut self, args: &RunArgs, config: &Config, calls: u32) -> anyhow::Result<()> {
        self.store(args, config);
        self.cache(args, config);
        self.files(args, config, calls);
        let of_one = args.limits.in_force(&config.limits)?.memory.map_or(0, |Size(bytes)| bytes);
        plugins(&mut self.findings, settings::instances(args, config).into(), of_one, memory::available());
        self.terminal();
        Ok(())
    }

    fn store(&mut self, args: &RunArgs, config: &Config) {
        let dir = settings::store_dir(args.store.as_deref(), config);
        let place = match try_place(&dir, &*self.clock) {
            Ok(place) => place,
            Err(error) => return self.wrong("store", error.to_string()),
        };
        if let Some(warning) = &place.warning {
            self.warn("store", warning);
        }
        let free = ByteSize(place.free_bytes);
        let text = format!("{}: can be written and synced, {free} are free", dir.display());
        match place.free_bytes {
            0..ROOM_LEAST => self.wrong("store", format!("{text}: free some space, or choose another --store")),
            ROOM_LEAST..ROOM_LITTLE => {
                self.warn("store", format!("{text}: a job may take that; free some space, or choose another --store"));
            }
            ROOM_LITTLE.. => self.fine("store", text),
        }
        if place.sync > SYNC_SLOW {
            let took = place.sync.as_secs_f64();
            self.warn(
                "store",
                format!("syncing takes {took:.2} s, and every answer waits for it: choose a --store on a faster disk"),
            );
        }
    }

    fn cache(&mut self, args: &RunArgs, config: &Config) {
        let Some(folder) = compiling::cache_folder(args.cache.as_deref(), config) else {
            return self.warn("cache", "off: plugins are compiled anew at every start (--cache DIR keeps them)");
        };
        match Cache::open(&folder, CACHE_BYTES_MAX) {
            Ok(_) => self.fine("cache", format!("{}: is this user's alone", folder.display())),
            // A run goes on without it.
            Err(error) => self.warn("cache", format!("is not used: {error}")),
        }
    }

    fn files(&mut self, args: &RunArgs, config: &Config, calls: u32) {
        let items = u64::from(settings::concurrency(args, config));
        files(&mut self.findings, items, calls.into(), getrlimit(Resource::Nofile).current);
    }

    fn terminal(&mut self) {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_else(|| "not set".into());
        let colours = if set("NO_COLOR").is_some() { ", without colours (NO_COLOR)" } else { "" };
        let text = match (std::io::stderr().is_terminal(), term.as_str()) {
            (false, _) => "none on stderr: a run says how far it is in lines".to_owned(),
            (true, "dumb") => "TERM=dumb: a run says how far it is in lines".to_owned(),
            (true, term) => format!("on stderr, TERM is {}{colours}", crate::domain::sanitize_line(term, 40)),
        };
        self.fine("terminal", text);
    }
}

/// `most`: what the system lets one process open; `None`: as many as it likes.
fn files(findings: &mut Findings, items: u64, calls: u64, most: Option<u64>) {
    let needed = FILES_OF_A_RUN + items + calls;
    let text = format!("{items} items and {calls} calls at once may open {needed}");
    match most {
        Some(most) if most < FILES_OF_A_RUN + items => {
            findings.add("files", State::Wrong, format!("{text}, and {most} are allowed: `ulimit -n {needed}`"));
        }
        Some(most) if most < needed => {
            let text =
                format!("{text}, and {most} are allowed: `ulimit -n {needed}`, or fewer with --call-concurrency");
            findings.add("files", State::Warning, text);
        }
        Some(most) => findings.add("files", State::Fine, format!("{text}, {most} are allowed")),
        None => findings.add("files", State::Fine, text),
    }
}

/// `of_one`: what one plugin may take, in bytes; `free`: `None` where the system does not say.
fn plugins(findings: &mut Findings, instances: u64, of_one: u64, free: Option<u64>) {
    let most = instances.saturating_mul(of_one);
    let text = format!("{instances} plugins of up to {} may take {}", ByteSize(of_one), ByteSize(most));
    match free {
        Some(free) if free < of_one => findings.add(
            "memory",
            State::Wrong,
            format!(
                "{text}, and {} are free: not one may take what it is allowed; lower --limit-memory",
                ByteSize(free)
            ),
        ),
        Some(free) if free < most => {
            let fit = free / of_one.max(1);
            let text = format!(
                "{text}, and {} are free: --max-instances {fit} if they all do, or a lower --limit-memory",
                ByteSize(free)
            );
            findings.add("memory", State::Warning, text);
        }
        Some(free) => findings.add("memory", State::Fine, format!("{text}, {} are free", ByteSize(free))),
        None => findings.add("memory", State::Skipped, format!("{text}; how much is free cannot be told here")),
    }
}

/// What was seen of clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How far a provider's clock is ahead, in milliseconds.
    pub(super) skew: Option<i64>,
    /// By the wall clock, at first and now, in milliseconds since the Unix epoch.
    pub(super) on_wall: u64,
    pub(super) now: u64,
    /// By the clock that nobody sets.
    pub(super) passed: Duration,
}

pub(super) fn clock(findings: &mut Findings, times: Times) {
    let Times { skew, on_wall, now, passed } = times;
    let expected = on_wall + u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    if now < BEGAN_MS {
        findings.add("clock", State::Wrong, "it is set to a time before 2026: certificates will not be valid; set it");
    } else if now.abs_diff(expected) > JUMP_MS {
        let by = now.abs_diff(expected) / 1_000;
        findings.add(
            "clock",
            State::Warning,
            format!("it was set by {by} s while this ran: waits hold, times that are told may not"),
        );
    } else {
        match skew {
            Some(skew) if skew.abs() > SKEW_MAX_MS => {
                let (by, which) = (skew.unsigned_abs() / 1_000, if skew > 0 { "behind" } else { "ahead of" });
                findings.add(
                    "clock",
                    State::Warning,
                    format!("it is {by} s {which} the provider's: set it, by NTP if that can be"),
                );
            }
            Some(_) => findings.add("clock", State::Fine, "as the provider's"),
            None => findings.add("clock", State::Fine, "goes; nobody was asked for the time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(look: impl FnOnce(&mut Findings)) -> (State, String) {
        let mut findings = Findings::default();
        look(&mut findings);
        (findings.worst(), findings.lines().join(" "))
    }

    #[test]
    fn what_a_run_opens_is_held_against_what_it_may() {
        let files = |most| told(|findings| super::files(findings, 32, 256, most));
        assert_eq!(files(Some(1_024)).0, State::Fine);
        assert_eq!(files(None).0, State::Fine);
        let (state, text) = files(Some(128));
        assert_eq!(state, State::Warning);
        assert!(text.contains("ulimit -n 352"), "{text}");
        assert_eq!(files(Some(64)).0, State::Wrong);
    }

    #[test]
    fn what_plugins_may_take_is_held_against_what_is_free() {
        let memory = |free| told(|findings| super::plugins(findings, 32, 128 << 20, free));
        assert_eq!(memory(Some(8 << 30)).0, State::Fine);
        let (state, text) = memory(Some(1 << 30));
        assert_eq!(state, State::Warning);
        assert!(text.contains("--max-instances 8"), "{text}");
        assert_eq!(memory(Some(1 << 20)).0, State::Wrong);
        assert_eq!(memory(None).0, State::Skipped);
    }

    #[test]
    fn a_clock_that_is_off_or_was_set_is_told() {
        let now = BEGAN_MS + 1;
        let times = Times { skew: Some(500), on_wall: now, now, passed: Duration::ZERO };
        let clock = |times| told(|findings| super::clock(findings, times));
        assert_eq!(clock(times).0, State::Fine);
        assert!(clock(Times { skew: Some(60_000), ..times }).1.contains("60 s behind"));
        assert!(clock(Times { skew: Some(-60_000), ..times }).1.contains("60 s ahead of"));
        assert_eq!(clock(Times { passed: Duration::from_mins(1), ..times }).0, State::Warning);
        assert_eq!(clock(Times { on_wall: 0, now: 1, ..times }).0, State::Wrong);
    }
}
