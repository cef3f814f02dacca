//! The command line: one file a subcommand, the wiring, the exit codes.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks")]

mod alert;
mod attach;
mod attempts;
mod card;
mod compile_worker;
mod compiling;
mod config;
mod cost;
mod debug;
#[cfg(test)]
mod documents;
mod dry_run;
mod endpoint;
mod exit;
mod export;
mod failed;
mod grants;
mod input;
mod job;
mod job_ref;
mod limits;
mod live;
mod loading;
mod log;
mod merge;
mod mock_server;
mod pause;
mod plugin;
mod policy;
mod prices;
mod report;
mod resume;
mod routes;
mod run;
mod run_args;
mod set;
mod settings;
mod show;
mod status;
mod steer;
mod trust;
mod trying;
mod watch;

use crate::domain::{escape_json, sanitize_text};
use anyhow::Context;
use clap::{Parser, Subcommand};
pub use exit::Exit;
use std::process::ExitCode;

/// What is shown of an error, in bytes; a backtrace has room in it.
const ERROR_BYTES_MAX: usize = 32_000;

/// Runs a batch of items through a plugin, and finishes it or fails cleanly.
#[derive(Debug, Parser)]
#[command(name = "sandmill", version, about, max_term_width = 100, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a plugin over the items of a file; run it again to go on where it stopped
    Run(Box<run_args::RunArgs>),
    /// Go on with a job, from the arguments that are stored with it; or let one that is paused go on
    Resume(resume::ResumeArgs),
    /// Let a job that is being run begin nothing new, until it is resumed
    Pause(pause::PauseArgs),
    /// Change what a job may cost, or how much of it is done at once, also while it runs
    Set(set::SetArgs),
    /// Show how far a job is
    Status(status::StatusArgs),
    /// Show what happened in a job, in order of time
    Log(log::LogArgs),
    /// Show what a job's calls cost
    Cost(cost::CostArgs),
    /// Write what a job has yielded, in the columns and the format that are wanted
    Export(export::ExportArgs),
    /// Make one page of all that is known of a job: how it ended, its pace, its failures, its cost
    Report(report::ReportArgs),
    /// Look at failed items, take them out, try them again
    #[command(subcommand)]
    Failed(failed::FailedCommand),
    /// Run one item once more as it was, offline, and show how it ends
    Debug(Box<debug::DebugArgs>),
    /// Make one job or one output of several: shards, interrupted runs, machines
    Merge(merge::MergeArgs),
    /// List, verify, back up, prune and remove jobs
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Check or show the settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Try the channels through which alerts are sent
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Build plugins, look into them, compare and pin them
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Serve the mock provider over HTTP, in the forms of OpenAI, Anthropic and Gemini
    MockServer(mock_server::MockServerArgs),
    /// Compile one component, for another process of this program
    #[command(hide = true)]
    CompileWorker(compile_worker::WorkerArgs),
}

/// The whole program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout and are no errors.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return exit.code();
        }
    };
    let result = match arguments.command {
        Command::Run(args) => run::run(*args),
        Command::Resume(args) => resume::resume(&args),
        Command::Pause(args) => pause::pause(&args),
        Command::Set(args) => set::set(&args),
        Command::Job(command) => job::job(&command),
        Command::Status(args) => status::status(&args),
        Command::Log(args) => log::log(&args),
        Command::Cost(args) => cost::cost(&args),
        Command::Export(args) => export::export(&args),
        Command::Report(args) => report::report(&args),
        Command::Failed(command) => failed::failed(&command),
        Command::Debug(args) => debug::debug(&args),
        Command::Merge(args) => merge::merge(&args),
        Command::Alert(command) => alert::alert(&command),
        Command::Config(command) => config::config(&command),
        Command::Plugin(command) => plugin::plugin(&command),
        Command::MockServer(args) => mock_server::mock_server(&args),
        Command::CompileWorker(args) => return compile_worker::compile_worker(&args),
    };
    match result {
        Ok(exit) => exit.code(),
        Err(failure) => {
            // What a plugin, a provider or a file said may stand in it.
            eprintln!("error: {}", sanitize_text(&format!("{:#}", failure.error), ERROR_BYTES_MAX));
            failure.exit.code()
        }
    }
}

/// An error with the exit code that it ends in.
pub(crate) struct Failure {
    error: anyhow::Error,
    exit: Exit,
}

/// What a person can mend: arguments, files, plugins.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), exit: Exit::Usage }
    }
}

impl Failure {
    fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), exit: Exit::Internal }
    }
}

type CliResult = Result<Exit, Failure>;

/// Of the threads that check what plugins bring; address space, not memory.
const THREAD_STACK_BYTES: usize = 8 << 20;

/// The runtime of network, timers and signals.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // A schema's check recurses.
        .thread_stack_size(THREAD_STACK_BYTES)
        .enable_all()
        .thread_name("network")
        .build()
        .context("cannot start the runtime")
        .map_err(Failure::internal)
}

/// A JSON line on stdout; a reader that has gone is no error.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    use std::io::Write;
    let text = serde_json::to_string(value).map_err(Failure::internal)?;
    match writeln!(std::io::stdout(), "{}", escape_json(&text)) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::internal(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
