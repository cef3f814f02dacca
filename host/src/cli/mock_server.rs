//! `mock-server`: the mock provider over HTTP.

use super::{CliResult, Exit, Failure, runtime};
use crate::kit::wrapped;
use crate::provider::Faults;
use crate::provider::server::{ServerSettings, serve};
use anyhow::Context;
use clap::Args;
use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = faults_help())]
pub(super) struct MockServerArgs {
    /// Where to listen; port 0 takes a free one. The address is said on stdout
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Such as `rate_limit=5%,server_error=3%,latency=50ms`
    #[arg(long, default_value = "")]
    faults: String,
    /// For everything that is drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A JSON line for each request that arrives
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// Of a terminal, and of them for a fault's name.
const COLUMNS: usize = 80;
const NAME: usize = 26;

fn faults_help() -> String {
    let mut text = String::from(
        "Examples:
  sandmill mock-server --listen 127.0.0.1:8080 --faults rate_limit=5%
  sandmill run plugins/prompt --set prompt='{{text}}' --input mails.jsonl \\
      --provider openai --base-url http://127.0.0.1:8080/v1 --model any

Faults:\n",
    );
    for fault in Faults::HELP {
        let mut name = format!("{}={}", fault.name, fault.example);
        for line in wrapped(fault.meaning, COLUMNS - NAME - 3) {
            let _ = writeln!(text, "  {name:<NAME$} {line}");
            name.clear();
        }
    }
    text
}

pub(super) fn mock_server(args: &MockServerArgs) -> CliResult {
    let faults = Faults::parse(&args.faults)?;
    let log = match &args.log {
        None => None,
        Some(path) => {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot write the log {}", path.display()))?;
            Some(Box::new(file) as Box<dyn Write + Send>)
        }
    };
    runtime()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        let address = listener.local_addr().map_err(Failure::internal)?;
        outln!("listening on http://{address}/v1");
        let shutdown = async {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
            let terminated = async {
                match &mut terminate {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated => {}
            }
        };
        serve(listener, ServerSettings { faults, seed: args.seed, log }, shutdown).await.map_err(Failure::internal)?;
        Ok(Exit::Done)
    })
}
