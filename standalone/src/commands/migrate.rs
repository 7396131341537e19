//! `waitless migrate`: run once before processes of a new version start.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use shared::config::Role;
use shared::store::PostgresStore;

use super::keys::open_store;
use super::{Outcome, load};
use crate::cli::Configured;
use crate::screen;

pub(crate) async fn migrate(configured: Configured) -> Outcome {
    let config = load(Role::DatabaseOnly, &configured)?;
    let started = Instant::now();
    if config.database.url.expose().starts_with("postgres") {
        PostgresStore::migrate(&config.database).await.context("migrate the database of the configuration")?;
    } else {
        // SQLite is brought up to date whenever it is opened.
        open_store(&config).await?;
    }
    screen::line(format!("The database is up to date ({}).", screen::how_long(started.elapsed())));
    Ok(ExitCode::SUCCESS)
}
