//! The command line of Waitless, and everything in one process.

mod all_in_one;
mod cli;
mod client;
mod commands;
mod data_folder;
mod demo;
mod doctor;
mod progress_reporter;
mod terminal;

use std::process::ExitCode;

use commands::execute;

fn main() -> ExitCode {
    // A thread that is blocked in what does not answer holds up no end.
    let ended = match cli::read() {
        Ok(command) => runtime::process::block_on(execute(command)).and_then(|ended| ended),
        Err(code) => return code,
    };
    ended.unwrap_or_else(|error| {
        terminal::print_error(format!("Error: {error:#}"));
        ExitCode::FAILURE
    })
}
