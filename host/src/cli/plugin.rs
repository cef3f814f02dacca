//! `plugin …`: plugins' folders.

use super::{CliResult, Exit};
use crate::kit;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Run the build command of each folder's plugin.toml
    Build {
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
}

pub(super) fn plugin(command: &PluginCommand) -> CliResult {
    match command {
        PluginCommand::Build { folders } => {
            for folder in folders {
                let component = kit::build(folder)?;
                println!("built {}", component.display());
            }
        }
    }
    Ok(Exit::Done)
}
