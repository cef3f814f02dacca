//! `plugin test`: a plugin against the cases in its folder, offline; or once with somebody who answers, to record what is said.

mod suite;
mod tell;

use super::super::trying::{TryArgs, Trying};
use super::super::{CliResult, Exit, Failure};
use super::watch::{Watched, watch};
use crate::kit::cases::{self, CaseFile};
use crate::progress::Verbosity;
use crate::run::{Phase, Shutdown};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use suite::{Counts, Suite};
use tokio::runtime::Runtime;

/// Which answers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Record {
    /// Those that a case has not
    Missing,
    /// All, in the place of those that a case has
    All,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 if every case passes, 3 if one does not, 2 if a file of cases is
broken or the plugin cannot be built or loaded; with --record also those of
`run`.

Examples:
  sandmill plugin test plugins/summarize
  sandmill plugin test plugins/summarize/tests/cases.jsonl --filter long -v
  sandmill plugin test plugins/summarize --record --update \\
      --provider openai --model gpt-4o-mini --max-cost 0.10")]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(in super::super) struct TestArgs {
    /// Plugins' folders, or files of cases in their `tests` [default: the folder that one is in]
    paths: Vec<PathBuf>,
    /// Only cases whose names hold TEXT
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print a JSON object a line, one for each case
    #[arg(long)]
    json: bool,
    /// Show what each case asks and logs
    #[arg(short, long)]
    verbose: bool,
    /// Ask the provider for answers, and write them into the cases
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "missing")]
    record: Option<Record>,
    /// Write what came of each case into it, as what is expected
    #[arg(long)]
    update: bool,
    /// Again whenever a source of the plugin or a case changes
    #[arg(long, conflicts_with_all = ["record", "update"])]
    watch: bool,
    #[command(flatten)]
    trying: TryArgs,
}

/// A plugin's folder, and files of cases in it.
struct Target {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

pub(super) fn test(args: &TestArgs) -> CliResult {
    args.check()?;
    let targets = targets(&args.paths)?;
    let mut trying = Trying::new(&args.trying, if args.json { Verbosity::Quiet } else { args.verbosity() })?;
    let shutdown = shutdown(&trying.runtime)?;
    if !args.watch {
        return round(args, &mut trying, &targets, &shutdown);
    }
    let watched = Watched { folders: targets.into_iter().map(|target| target.folder).collect(), has_cases: true };
    let runtime = trying.runtime.handle().clone();
    // Files of cases come and go.
    watch(&watched, &runtime, &shutdown, || round(args, &mut trying, &self::targets(&args.paths)?, &shutdown))
}

impl TestArgs {
    fn verbosity(&self) -> Verbosity {
        if self.verbose { Verbosity::Verbose } else { Verbosity::Normal }
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.record.is_none() && self.trying.names_somebody() {
            bail!(
                "--provider and --route say whom to ask, and without --record a case asks nobody: add it, or leave them out"
            );
        }
        Ok(())
    }
}

/// The first signal ends the test where it stands; what was recorded by then is written.
pub(super) fn shutdown(runtime: &Runtime) -> Result<Shutdown, Failure> {
    let _context = runtime.enter();
    Shutdown::on_signals(super::super::run::exit_at_once)
        .context("cannot listen for signals")
        .map_err(Failure::internal)
}

/// All cases once.
fn round(args: &TestArgs, trying: &mut Trying, targets: &[Target], shutdown: &Shutdown) -> CliResult {
    let mut read = Vec::new();
    let mut problems = Vec::new();
    for target in targets {
        let mut files = Vec::new();
        for path in &target.files {
            match CaseFile::read(path) {
                Ok(file) => files.push(file),
                Err(found) => problems.extend(found),
            }
        }
        read.push((&target.folder, files));
    }
    if !problems.is_empty() {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let what = if told.len() == 1 { "a case is broken" } else { "cases are broken" };
        return Err(anyhow::anyhow!("{what}, and none was run:\n{}", told.join("\n")).into());
    }
    let mut counts = Counts::default();
    let mut exit = Exit::Done;
    for (folder, files) in read {
        let suite = Suite { args, folder, shutdown };
        if let Some(ended) = suite.run(trying, files, &mut counts)? {
            exit = ended;
            break;
        }
    }
    if counts.all() == 0 && exit == Exit::Done {
        let filter = args.filter.as_deref().unwrap_or_default();
        bail_no_case(filter)?;
    }
    if !args.json {
        tell::summary(&counts);
    }
    Ok(match exit {
        Exit::Done if counts.broken > 0 => Exit::Usage,
        Exit::Done if counts.failed() > 0 => Exit::ItemsFailed,
        other => other,
    })
}

fn bail_no_case(filter: &str) -> anyhow::Result<()> {
    bail!("no case has a name that holds `{filter}` (--filter)")
}

/// Which one came, if one did.
pub(super) fn interrupted(shutdown: &Shutdown) -> Option<Exit> {
    match shutdown.phase() {
        Phase::Running => None,
        Phase::Draining { signal } | Phase::Interrupting { signal } => Some(Exit::of_signal(signal)),
    }
}

fn targets(paths: &[PathBuf]) -> anyhow::Result<Vec<Target>> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here[..] } else { paths };
    let mut targets: Vec<Target> = Vec::new();
    for path in paths {
        let Target { folder, files } = target(path)?;
        match targets.iter_mut().find(|known| known.folder == folder) {
            Some(known) => known.files.extend(files),
            None => targets.push(Target { folder, files }),
        }
    }
    for target in &mut targets {
        target.files.sort();
        target.files.dedup();
    }
    Ok(targets)
}

fn target(path: &Path) -> anyhow::Result<Target> {
    let shown = path.display();
    if path.is_dir() {
        let files = cases::find(path).with_context(|| format!("cannot read the cases in {shown}"))?;
        if files.is_empty() {
            bail!(
                "there are no cases in {shown}: write them into {}, one a line (docs/testing.md)",
                path.join("tests/cases.jsonl").display()
            );
        }
        return Ok(Target { folder: path.to_path_buf(), files });
    }
    if !path.exists() {
        bail!("there is no {shown}: name a plugin's folder, or a file of cases in its `tests`");
    }
    let absolute = std::path::absolute(path)?;
    let folder = absolute.parent().and_then(Path::parent).filter(|folder| folder.join("plugin.toml").exists());
    if path.extension().is_none_or(|extension| extension != "jsonl") || folder.is_none() {
        bail!("{shown} is no file of cases: name a plugin's folder, or a .jsonl file in its `tests`");
    }
    // As it was named, where that tells the folder.
    let named = path.parent().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    let folder = named.or(folder).map(Path::to_path_buf).unwrap_or_default();
    Ok(Target { folder, files: vec![path.to_path_buf()] })
}
