//! `waitless erase`: removes whatever is known of a principal, straight from database and storage.

use std::process::ExitCode;

use anyhow::Context as _;
use configuration::Role;
use model::job::Caller;
use serde_json::json;
use storage::Storage;
use store::Removed;

use super::CommandResult;
use super::audit::command_line;
use super::keys::open_store;
use crate::cli::Erase;
use crate::terminal;

pub(crate) async fn erase(args: Erase) -> CommandResult {
    let config = args.config.load(Role::DatabaseOnly)?;
    let store = open_store(&config).await?;
    let whom = Caller { tenant: args.tenant, principal: args.principal };
    if args.dry_run {
        let there = store.count_of_principal(&whom).await?;
        return tell(there, 0, "Would be removed", args.output.json);
    }
    let storage = Storage::open(&config.storage).context("open the storage named by storage.url")?;
    let erasing = runtime::erase::erase(store.as_ref(), &storage, &whom);
    let done = store::audit::acting(command_line(), erasing)
        .await
        .context("erase; what was removed stays removed, and the same command goes on")?;
    tell(done.removed, done.left, "Removed", args.output.json)
}

fn tell(removed: Removed, left: u64, what: &str, as_json: bool) -> CommandResult {
    if as_json {
        terminal::print_json(&json!({ "removed": removed, "left": left }))?;
    } else {
        let Removed { jobs, files, deliveries, clicks, keys, schedules, audit_persons } = removed;
        terminal::print(format!(
            "{what}: {jobs} jobs with their parameters and events, {files} files, {deliveries} addresses of mails, {clicks} clicks, \
             {keys} keys, {schedules} schedules, {audit_persons} names in the audit log."
        ))?;
    }
    if left > 0 {
        terminal::print_error(format!(
            "Error: {left} jobs are left, because others wait for their run; run the same command again once they have ended"
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
