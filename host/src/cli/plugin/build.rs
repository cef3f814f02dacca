//! `plugin build`: runs what the folders say, and tells what came of it.

use super::super::{CliResult, Exit, runtime};
use super::test;
use super::watch::{Watched, watch};
use crate::clock::{Clock, SystemClock};
use crate::kit::{self, FolderError, Says};
use bytesize::ByteSize;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "The command runs in the folder, with what is in its .venv first on the PATH. A
folder with a `kit` in its plugin.toml is given that kit first, of this version
of sandmill, in .sandmill/kit.

Examples:
  sandmill plugin build plugins/summarize
  sandmill plugin build plugins/* --quiet
  sandmill plugin build . --watch")]
pub(in super::super) struct BuildArgs {
    /// Plugins' folders
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Show what the build command says only if it fails
    #[arg(short, long)]
    quiet: bool,
    /// Again whenever a source changes
    #[arg(long)]
    watch: bool,
}

pub(super) fn build(args: &BuildArgs) -> CliResult {
    if !args.watch {
        return build_each(args, &args.folders);
    }
    let runtime = runtime()?;
    let shutdown = test::shutdown(&runtime)?;
    let watched = Watched { folders: args.folders.clone(), has_cases: false };
    let mut is_first = true;
    watch(&watched, runtime.handle(), &shutdown, || {
        // All at first, then what has changed.
        let wanted: Vec<PathBuf> = args.folders.iter().filter(|folder| is_first || is_stale(folder)).cloned().collect();
        is_first = false;
        build_each(args, &wanted)
    })
}

fn build_each(args: &BuildArgs, folders: &[PathBuf]) -> CliResult {
    let clock = SystemClock::new();
    for folder in folders {
        let began = clock.monotonic();
        let built = kit::build(folder, if args.quiet { Says::Quietly } else { Says::Aloud })?;
        let seconds = clock.monotonic().saturating_sub(began).as_secs_f64();
        outln!("built {} ({}, in {seconds:.1} s)", built.path.display(), ByteSize(built.bytes));
    }
    Ok(Exit::Done)
}

/// What is wrong with it otherwise is told by whoever uses it.
fn is_stale(folder: &Path) -> bool {
    matches!(kit::locate(folder), Err(FolderError::NotBuilt(_) | FolderError::Stale(_)))
}

/// So that what is tried is what the sources say.
pub(super) fn build_if_stale(folder: &Path) -> anyhow::Result<()> {
    if is_stale(folder) {
        kit::build(folder, Says::Aloud)?;
    }
    Ok(())
}
