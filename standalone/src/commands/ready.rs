//! `waitless ready`: what a container runtime without an HTTP client asks.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use configuration::{Mode, Role};

use super::CommandResult;
use crate::all_in_one::local_address;
use crate::cli::Ready;
use crate::client::prepare;
use crate::data_folder::DataFolder;
use crate::terminal;

/// A process that takes longer is not ready.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn ready(args: Ready) -> CommandResult {
    let base = match &args.url {
        Some(url) => url.clone(),
        None => address_of_configuration(&args)?,
    };
    let url = format!("{}/readyz", base.trim_end_matches('/'));
    let client = prepare(&url).timeout(ANSWER_WITHIN).build().context("prepare the HTTP client")?;
    let answer = client.get(&url).send().await.with_context(|| format!("ask {url}"))?;
    let status = answer.status();
    let ready = status.is_success();
    if args.output.json {
        terminal::print_json(&serde_json::json!({ "ready": ready }))?;
    } else if ready {
        terminal::print("It is ready.")?;
    }
    if ready {
        return Ok(ExitCode::SUCCESS);
    }
    let said = answer.text().await.unwrap_or_default();
    terminal::print_error(format!("{url} answers {status}: {}", said.trim()));
    Ok(ExitCode::FAILURE)
}

/// Everything in one process may have been given any port, and wrote down which.
fn address_of_configuration(args: &Ready) -> anyhow::Result<String> {
    let config = args.config.load(Role::DatabaseOnly)?;
    let written = match config.service.mode {
        Mode::Embedded => DataFolder::new(&config.service.data_dir).read_address()?,
        Mode::Production => None,
    };
    Ok(written.unwrap_or_else(|| local_address(&config)))
}
