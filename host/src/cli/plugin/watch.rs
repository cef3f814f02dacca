//! `--watch`: once more whenever a source has changed, until somebody ends it.
//!
//! What the system tells of files only wakes; whether there is anything new is told by what the files hold, so that what a build touches
//! or an editor saves twice is no reason to go again.

use super::super::{CliResult, Exit, out};
use super::test::interrupted;
use crate::domain::Digest;
use crate::kit;
use crate::kit::cases;
use crate::run::{Phase, Shutdown};
use anyhow::{Context, bail};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// An editor writes several files, and each in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// Somebody who never stops writing is not waited for.
const WAITS_MAX: u32 = 50;

/// Plugins' folders, and what else is looked at.
pub(super) struct Watched {
    pub(super) folders: Vec<PathBuf>,
    pub(super) has_cases: bool,
}

/// Runs `round` again and again. What it fails by is said, and waited on.
pub(super) fn watch(
    watched: &Watched,
    runtime: &Handle,
    shutdown: &Shutdown,
    mut round: impl FnMut() -> CliResult,
) -> CliResult {
    for folder in &watched.folders {
        if !folder.join("plugin.toml").exists() {
            bail_no_folder(folder)?;
        }
    }
    let mut looking = Looking::new()?;
    for nth in 1_u64.. {
        let before = watched.state();
        looking.at(watched)?;
        if nth > 1 {
            out::complain_styled(&format!("\n\x1b[2m── round {nth} {}\x1b[0m\n", "─".repeat(60)));
        }
        match round() {
            Err(failure) if interrupted(shutdown).is_none() => errln!("error: {}", failure.told(false)),
            Ok(_) | Err(_) => {}
        }
        if interrupted(shutdown).is_none() {
            errln!("Waiting for a change; Ctrl-C ends this");
            runtime.block_on(looking.until_changed(watched, &before, shutdown.clone()))?;
        }
        if let Some(exit) = interrupted(shutdown) {
            return Ok(exit);
        }
    }
    Ok(Exit::Done)
}

fn bail_no_folder(folder: &Path) -> anyhow::Result<()> {
    bail!("--watch looks at a plugin's folder, and {} has no plugin.toml: name one that has", folder.display())
}

impl Watched {
    /// What all files hold; one that cannot be read is told by its reason.
    fn state(&self) -> Vec<String> {
        let of_folder = |folder: &PathBuf| {
            let sources = kit::digest_of_sources(folder).unwrap_or_else(|error| error.to_string());
            // A manifest that is broken has no sources.
            let manifest = std::fs::read(folder.join("plugin.toml")).unwrap_or_default();
            format!("{sources} {}", Digest::of(&manifest))
        };
        let cases = self.cases().into_iter().map(|path| match std::fs::read(&path) {
            Ok(bytes) => format!("{} {}", path.display(), Digest::of(&bytes)),
            Err(error) => format!("{} {error}", path.display()),
        });
        self.folders.iter().map(of_folder).chain(cases).collect()
    }

    fn cases(&self) -> Vec<PathBuf> {
        if !self.has_cases {
            return Vec::new();
        }
        self.folders.iter().flat_map(|folder| cases::find(folder).unwrap_or_default()).collect()
    }

    /// The folders that hold them: a file that is replaced is another one.
    fn places(&self) -> BTreeSet<PathBuf> {
        let mut places: BTreeSet<PathBuf> = self.folders.iter().cloned().collect();
        for folder in &self.folders {
            places.extend(kit::folders_of_sources(folder).unwrap_or_default());
            let tests = folder.join(cases::FOLDER);
            places.extend((self.has_cases && tests.is_dir()).then_some(tests));
        }
        // The folder of `file` is the one that one is in.
        places.into_iter().map(|path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }).collect()
    }
}

struct Looking {
    watcher: RecommendedWatcher,
    woken: Arc<Notify>,
    places: BTreeSet<PathBuf>,
}

impl Looking {
    fn new() -> anyhow::Result<Self> {
        let woken = Arc::new(Notify::new());
        let wakes = Arc::clone(&woken);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change, and looking at what has changed reads. Of an error it is found out what is behind it.
            if !matches!(event, Ok(notify::Event { kind: EventKind::Access(_), .. })) {
                wakes.notify_one();
            }
        });
        let watcher = watcher.context("cannot watch files: run the command again by hand after each change")?;
        Ok(Self { watcher, woken, places: BTreeSet::new() })
    }

    fn at(&mut self, watched: &Watched) -> anyhow::Result<()> {
        let places = watched.places();
        for gone in self.places.difference(&places) {
            // A folder that is no longer there is not watched any more.
            let _ = self.watcher.unwatch(gone);
        }
        // Those that were looked at before as well: a folder that was made anew is another one.
        for place in &places {
            match self.watcher.watch(place, RecursiveMode::NonRecursive) {
                // It went while it was looked at, which its own folder tells.
                Err(_) if !place.exists() => {}
                other => other.with_context(|| format!("cannot watch {}", place.display()))?,
            }
        }
        self.places = places;
        Ok(())
    }

    /// Or until somebody ends it.
    async fn until_changed(
        &mut self,
        watched: &Watched,
        before: &[String],
        mut shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        loop {
            // Folders come and go; what is in a new one is seen by the look at the files.
            self.at(watched)?;
            if shutdown.phase() != Phase::Running || watched.state() != before {
                return Ok(());
            }
            tokio::select! {
                () = self.woken.notified() => {}
                () = shutdown.changed_from(Phase::Running) => return Ok(()),
            }
            for _ in 0..WAITS_MAX {
                if tokio::time::timeout(QUIET, self.woken.notified()).await.is_err() {
                    break;
                }
            }
        }
    }
}
