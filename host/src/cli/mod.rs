//! The command line: one file a subcommand, the wiring, the exit codes.

#[macro_use]
mod out;

mod alert;
mod attach;
mod attempts;
mod card;
mod compile_worker;
mod compiling;
mod completions;
mod config;
mod cost;
mod debug;
mod doctor;
#[cfg(test)]
mod documents;
mod dry_run;
mod endpoint;
mod exit;
mod export;
mod failed;
mod failure;
mod findings;
mod grants;
mod help;
mod init;
mod input;
mod job;
mod job_ref;
mod limits;
mod live;
mod loading;
mod log;
mod memory;
mod merge;
mod mock_server;
mod parquet_worker;
mod pause;
mod plugin;
mod policy;
mod prices;
#[cfg(test)]
mod reference;
mod report;
mod resume;
mod routes;
mod run;
mod run_args;
mod set;
mod settings;
mod show;
mod status;
mod status_figures;
mod steer;
mod trust;
mod trying;
mod watch;

use self::failure::{CliResult, Failure};
use crate::clock::SystemClock;
use crate::domain::{escape_json, sanitize_text};
use crate::progress;
use anyhow::Context;
use clap::{FromArgMatches, Parser, Subcommand};
pub use exit::Exit;
use std::process::ExitCode;

/// Runs a batch of items through a plugin, and finishes it or fails cleanly.
#[derive(Debug, Parser)]
#[command(name = "sandmill", version, about, max_term_width = 100, after_help = help::after())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Show every cause of an error, a line each
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a plugin over the items of a file, or go on where it stopped
    Run(Box<run_args::RunArgs>),
    /// Go on with a job as it was started; let a paused one go on
    Resume(resume::ResumeArgs),
    /// Let a job that runs begin nothing new, until it is resumed
    Pause(pause::PauseArgs),
    /// Change what a job may cost or does at once, also while it runs
    Set(set::SetArgs),
    /// Show how far a job is
    Status(status::StatusArgs),
    /// Show what happened in a job, in order of time
    Log(log::LogArgs),
    /// Show what a job's calls cost
    Cost(cost::CostArgs),
    /// Write what a job has yielded: JSON Lines, CSV or Parquet
    Export(export::ExportArgs),
    /// Make one page of all that is known of a job
    Report(report::ReportArgs),
    /// Look at failed items, take them out, try them again
    #[command(subcommand)]
    Failed(failed::FailedCommand),
    /// Run one item once more as it was, offline, and show how it ends
    Debug(Box<debug::DebugArgs>),
    /// Make one job, or one output, of several
    Merge(merge::MergeArgs),
    /// List, verify, back up, prune and remove jobs
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Write a sandmill.toml with every setting, commented out
    Init(init::InitArgs),
    /// Check keys, providers, disk and system before a night's run
    Doctor(Box<doctor::DoctorArgs>),
    /// Check or show the settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Try the channels through which alerts are sent
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Begin, build, test, check, look into and pin plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Serve the mock provider over HTTP
    MockServer(mock_server::MockServerArgs),
    /// Write a script with which a shell completes commands and flags
    Completions(completions::CompletionsArgs),
    /// Compile one component, for another process of this program
    #[command(hide = true)]
    CompileWorker(compile_worker::WorkerArgs),
    /// Decode one Parquet file, for another process of this program
    #[command(hide = true)]
    ParquetWorker(parquet_worker::WorkerArgs),
}

/// The whole program.
pub fn main() -> ExitCode {
    let parsed = help::command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout and are no errors.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            if error.use_stderr() && run_args::wants_json(std::env::args_os()) {
                let message = sanitize_text(&error.render().to_string(), failure::ERROR_BYTES_MAX);
                let message = message.trim_start_matches("error: ");
                errln!("{}", progress::object(message, Some(exit.number()), None, &SystemClock::new()));
            } else {
                let _ = error.print();
            }
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
        Command::Init(args) => init::init(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Config(command) => config::config(&command),
        Command::Plugin(command) => plugin::plugin(&command),
        Command::MockServer(args) => mock_server::mock_server(&args),
        Command::Completions(args) => Ok(completions::completions(&args)),
        Command::CompileWorker(args) => return compile_worker::compile_worker(&args),
        Command::ParquetWorker(args) => return parquet_worker::parquet_worker(&args),
    };
    match result.and_then(|exit| out::finish().map(|()| exit)) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            errln!("error: {}", failure.told(arguments.verbose));
            failure.exit.code()
        }
    }
}

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

/// A JSON line on stdout.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    outln!("{}", escape_json(&serde_json::to_string(value).map_err(Failure::internal)?));
    Ok(())
}
