//! `waitless pause`, `resume` and `pauses`: straight to the database, for everybody's jobs or those of one tenant.

use std::process::ExitCode;

use anyhow::{bail, ensure};
use configuration::{Config, Role};
use model::job::Lane;
use model::pause::{PauseKind, PauseTarget};
use serde_json::{Value, json};
use store::{Pause, end_pause};

use super::CommandResult;
use super::keys::open_store;
use crate::cli::{PauseArgs, Pauses};
use crate::terminal;

pub(crate) async fn pause(args: PauseArgs) -> CommandResult {
    let (config, target) = read(&args)?;
    let store = open_store(&config).await?;
    if target.kind == PauseKind::Source {
        ensure!(
            config.sources.contains_key(&target.name),
            "the configuration has no source `{}`; it has {}",
            target.name,
            config.sources.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        );
    }
    let fresh = store.pause(&target, "operator").await?;
    if args.output.json {
        terminal::print_json(&json!({"paused": view(&target), "already": !fresh}))?;
    } else {
        let told = if fresh { "is paused" } else { "was paused already" };
        terminal::print(format!(
            "{} {told}. Its jobs are accepted and wait; those that run go on.",
            describe(&target)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn resume(args: PauseArgs) -> CommandResult {
    let (config, target) = read(&args)?;
    let store = open_store(&config).await?;
    let Some(released) = end_pause(store.as_ref(), &target).await? else {
        bail!(
            "{} is not paused; `waitless pauses` lists what is, and a pause of one tenant's is named with --tenant",
            describe(&target)
        );
    };
    if args.output.json {
        terminal::print_json(&json!({"resumed": view(&target), "released": released}))?;
    } else {
        terminal::print(format!("{} is resumed. Jobs in line again: {released}.", describe(&target)))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn pauses(args: Pauses) -> CommandResult {
    let config = args.config.load(Role::DatabaseOnly)?;
    let pauses = open_store(&config).await?.pauses().await?;
    if args.output.json {
        let all: Vec<Value> = pauses.iter().map(row_json).collect();
        terminal::print_json(&json!({"pauses": all}))?;
    } else if pauses.is_empty() {
        terminal::print("Nothing is paused.")?;
    } else {
        let header = ["KIND", "NAME", "TENANT", "SINCE", "BY"];
        let rows: Vec<Vec<String>> = pauses.iter().map(row).collect();
        terminal::print(terminal::table(&header, &[false; 5], &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(args: &PauseArgs) -> anyhow::Result<(Config, PauseTarget)> {
    let lanes = Lane::ALL.map(Lane::as_str);
    ensure!(
        args.kind != PauseKind::Lane || lanes.contains(&args.name.as_str()),
        "`{}` is not a lane; lanes are {}",
        args.name,
        lanes.join(" and ")
    );
    ensure!(
        args.kind != PauseKind::Tenant || args.tenant.is_none(),
        "`waitless pause tenant NAME` takes no --tenant: the name is the tenant's"
    );
    Ok((args.config.load(Role::DatabaseOnly)?, PauseTarget::new(args.tenant.as_deref(), args.kind, &args.name)))
}

fn describe(target: &PauseTarget) -> String {
    let whose = target.tenant.as_deref().map(|tenant| format!(" for {tenant}")).unwrap_or_default();
    format!("The {} {}{whose}", target.kind, target.name)
}

fn view(target: &PauseTarget) -> Value {
    json!({"kind": target.kind, "name": target.name, "tenant": target.tenant})
}

fn row_json(pause: &Pause) -> Value {
    let mut told = view(&pause.target);
    told["since"] = json!(pause.since);
    told["paused_by"] = json!(pause.by);
    told
}

fn row(pause: &Pause) -> Vec<String> {
    let PauseTarget { tenant, kind, name } = &pause.target;
    let tenant = tenant.clone().unwrap_or_else(|| "everybody".to_owned());
    vec![kind.to_string(), name.clone(), tenant, terminal::format_time(pause.since), pause.by.clone()]
}
