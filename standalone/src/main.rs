//! The command line of Waitless, and everything in one process.

mod all_in_one;
mod cli;
mod client;
mod commands;
mod data_folder;
mod demo;
mod progress_reporter;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use commands::{CommandResult, check, completion, config, jobs, keys, links, migrate, reports, run, show, up, watch};

#[tokio::main]
async fn main() -> ExitCode {
    match execute(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            terminal::print_error(format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command) -> CommandResult {
    match command {
        Command::Up(args) => up::up(args).await,
        Command::Demo(args) => demo::run_demo(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Convert(args) => run::convert(args).await,
        Command::Jobs(args) => jobs::jobs(args).await,
        Command::Show(args) => show::show(args).await,
        Command::Watch(args) => watch::watch(args).await,
        Command::Links(args) => links::links(args).await,
        Command::Cancel(args) => jobs::cancel(args).await,
        Command::Replay(args) => jobs::replay(args).await,
        Command::Reports(args) => reports::reports(args).await,
        Command::Check(args) => check::check(args).await,
        Command::Keys(args) => keys::keys(args).await,
        Command::Migrate(args) => migrate::migrate(args).await,
        Command::Config(args) => config::config(&args),
        Command::Completion { shell } => Ok(completion::completion(shell)),
    }
}
