//! `stepwell completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    args::Cli,
    exit::{Exit, Problem},
    output::print,
};

/// Prints the completions for a shell.
pub(crate) fn print_for(shell: Shell) -> Result<Exit, Problem> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "stepwell", &mut text);
    print(&String::from_utf8_lossy(&text))
}
