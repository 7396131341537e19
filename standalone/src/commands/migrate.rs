//! `waitless migrate`: run once before processes of a new version start.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use configuration::Role;
use store_postgres::PostgresStore;

use super::CommandResult;
use super::keys::open_store;
use crate::cli::Migrate;
use crate::terminal;

pub(crate) async fn migrate(args: Migrate) -> CommandResult {
    let config = args.config.load(Role::DatabaseOnly)?;
    let started = Instant::now();
    if config.database.url.expose().starts_with("postgres") {
        PostgresStore::migrate(&config.database).await.context("migrate the database of the configuration")?;
    } else {
        // SQLite is brought up to date whenever it is opened.
        open_store(&config).await?;
    }
    if args.output.json {
        terminal::print_json(&serde_json::json!({ "up_to_date": true }))?;
        return Ok(ExitCode::SUCCESS);
    }
    terminal::print(format!("The database is up to date ({}).", terminal::format_duration(started.elapsed())))?;
    Ok(ExitCode::SUCCESS)
}
