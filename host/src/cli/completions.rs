//! `completions`: what a shell needs to complete commands and flags, made from the command line itself.

use super::{Exit, help};
use clap::{Args, Command};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(after_help = "Where it goes, so that new shells have it:
  bash        ~/.local/share/bash-completion/completions/sandmill
  zsh         a folder of $fpath, under the name _sandmill
  fish        ~/.config/fish/completions/sandmill.fish
  powershell  at the end of the file that $PROFILE names
  elvish      at the end of ~/.config/elvish/rc.elv

Examples:
  source <(sandmill completions bash)              # this shell alone
  sandmill completions bash >> ~/.bash_completion
  sandmill completions zsh > ~/.zfunc/_sandmill    # with fpath+=~/.zfunc")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    // The generators panic if they cannot write; to memory they always can.
    clap_complete::generate(args.shell, &mut offered(), "sandmill", &mut script);
    out!("{}", String::from_utf8_lossy(&script));
    Exit::Done
}

/// Without the commands that are hidden, which the generators would offer.
fn offered() -> Command {
    let all = help::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new("sandmill")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(shown.collect::<Vec<_>>())
}
