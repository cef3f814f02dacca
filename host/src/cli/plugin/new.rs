//! `plugin new`: the first files of a plugin, and what to type next.

use super::super::{CliResult, Exit};
use crate::kit::{self, Language};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill plugin new triage --lang python
  sandmill plugin new plugins/triage --lang rust")]
pub(in super::super) struct NewArgs {
    /// The folder to make; its last part is the plugin's name
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// What it is written in
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,
}

impl ValueEnum for Language {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Rust => PossibleValue::new("rust").alias("rs"),
            Self::Python => PossibleValue::new("python").alias("py"),
            Self::JavaScript => PossibleValue::new("js").alias("javascript"),
            Self::TypeScript => PossibleValue::new("ts").alias("typescript"),
            Self::Go => PossibleValue::new("go").alias("golang"),
            Self::C => PossibleValue::new("c"),
        })
    }
}

pub(super) fn new(args: &NewArgs) -> CliResult {
    let made = kit::new(&args.folder, args.lang)?;
    outln!("made {}: a plugin in {}. Next:\n", args.folder.display(), args.lang);
    outln!("    cd {}", args.folder.display());
    for install in &made.missing {
        outln!("    {install}");
    }
    outln!("    sandmill plugin build .");
    outln!("    {}", made.test);
    outln!("    sandmill plugin test .");
    outln!("    sandmill plugin check .");
    outln!("    sandmill run . --input sample/items.jsonl --output out.jsonl --provider mock");
    outln!("\nREADME.md says what is in it, and how it runs with a model.");
    Ok(Exit::Done)
}
