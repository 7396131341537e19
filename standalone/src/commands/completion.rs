//! `waitless completion`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::CommandResult;
use crate::cli::Cli;
use crate::terminal;

/// Prints the script. It is made of the command line's own description, so that it knows every option.
pub(crate) fn completion(shell: Shell) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "waitless", &mut script);
    terminal::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
