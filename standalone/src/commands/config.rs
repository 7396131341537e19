//! `waitless config`: what is in force, as TOML, secrets hidden by their type.

use std::process::ExitCode;

use anyhow::Context as _;
use configuration::Role;

use super::{CommandResult, check_mail_and_sources};
use crate::cli::PrintConfig;
use crate::terminal;

pub(crate) fn config(args: &PrintConfig) -> CommandResult {
    let config = args.config.load_with(Role::AllInOne, check_mail_and_sources)?;
    for warning in &config.warnings {
        terminal::print_error(format!("Warning: {} {}", warning.key, warning.message));
    }
    if args.output.json {
        terminal::print_json(&serde_json::to_value(&config)?)?;
    } else {
        terminal::print(toml::to_string(&config).context("write the configuration as TOML")?)?;
    }
    Ok(ExitCode::SUCCESS)
}
