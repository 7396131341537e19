//! `waitless schedules`.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::reports::read_report;
use super::run::typed;
use super::show::key_values;
use super::{CommandResult, connect};
use crate::cli::{CreateSchedule, GatewayArgs, OutputOptions, ScheduleArgs, Schedules, SchedulesCommand};
use crate::client::recipients;
use crate::terminal;

pub(crate) async fn schedules(args: Schedules) -> CommandResult {
    match args.command {
        None => list(false, &args.output, &args.server).await,
        Some(SchedulesCommand::List { all, output, server }) => list(all, &output, &server).await,
        Some(SchedulesCommand::Show(args)) => {
            let schedule = connect(&args.server)?.get(&path(&args)).await?;
            print(&schedule, &args.output)
        }
        Some(SchedulesCommand::Create(args)) => create(*args).await,
        Some(SchedulesCommand::Pause(args)) => change(&args, json!({ "paused": true })).await,
        Some(SchedulesCommand::Resume(args)) => change(&args, json!({ "paused": false })).await,
        Some(SchedulesCommand::Run { schedule, data_version, idempotency_key }) => {
            fire(&schedule, data_version, idempotency_key).await
        }
        Some(SchedulesCommand::Delete(args)) => delete(&args).await,
    }
}

fn path(args: &ScheduleArgs) -> String {
    format!("v1/schedules/{}", args.id)
}

async fn list(all: bool, output: &OutputOptions, server: &GatewayArgs) -> CommandResult {
    let gateway = connect(server)?;
    let mut schedules: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("of", if all { "tenant" } else { "own" });
        if let Some(cursor) = &cursor {
            query.append_pair("cursor", cursor);
        }
        let page: Value = gateway.get(&format!("v1/schedules?{}", query.finish())).await?;
        schedules.extend(page["schedules"].as_array().cloned().unwrap_or_default());
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if output.json {
        terminal::print_json(&json!({ "schedules": schedules }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |schedule: &Value| {
        let title = schedule["title"].as_str().or(schedule["report"].as_str());
        let next = schedule["next"]["at"].as_str().unwrap_or(if is_by_event(schedule) { BY_EVENT } else { "-" });
        vec![
            text(&schedule["id"]),
            state(schedule),
            next.to_owned(),
            when(schedule),
            title.unwrap_or_default().to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = schedules.iter().map(row).collect();
    terminal::print(terminal::table(&["ID", "STATE", "NEXT", "WHEN", "REPORT"], &[false; 5], &rows))?;
    Ok(ExitCode::SUCCESS)
}

async fn create(args: CreateSchedule) -> CommandResult {
    let gateway = connect(&args.server)?;
    let report = read_report(&gateway, &args.report).await?;
    let mut body = json!({ "report": args.report, "params": typed(&report.params, &args.params) });
    let texts = [
        ("when", args.when),
        ("latest", args.latest),
        ("zone", args.zone),
        ("calendar", args.calendar),
        ("on_holiday", args.on_holiday),
        ("title", args.title),
        ("on_empty", args.on_empty),
        ("overlap", args.overlap),
        ("catch_up", args.catch_up),
        ("within", args.within),
        ("alarm_after", args.alarm_after),
    ];
    for (name, value) in texts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        body[name] = Value::from(value);
    }
    if !args.formats.is_empty() {
        body["formats"] = json!(args.formats);
    }
    if !args.emails.is_empty() || !args.webhooks.is_empty() {
        body["notify"] = recipients(&args.emails, &args.webhooks);
    }
    if !args.alerts.is_empty() {
        body["alert"] = recipients(&args.alerts, &[]);
    }
    let made: Value = gateway.answer(gateway.call(Method::POST, "v1/schedules").json(&body)).await?;
    print(&made, &args.output)
}

async fn change(args: &ScheduleArgs, body: Value) -> CommandResult {
    let gateway = connect(&args.server)?;
    let changed: Value = gateway.answer(gateway.call(Method::PATCH, &path(args)).json(&body)).await?;
    print(&changed, &args.output)
}

async fn fire(args: &ScheduleArgs, data_version: Option<String>, key: Option<String>) -> CommandResult {
    let gateway = connect(&args.server)?;
    let body = data_version.map_or_else(|| json!({}), |version| json!({ "data_version": version }));
    let mut call = gateway.call(Method::POST, &format!("{}/fire", path(args))).json(&body);
    if let Some(key) = key {
        call = call.header("Idempotency-Key", key);
    }
    let firing: Value = gateway.answer(call).await?;
    if args.output.json {
        terminal::print_json(&firing)?;
    } else if firing["replayed"] == true {
        let told = "This was said before, and nothing fired now. It was the job";
        terminal::print(format!("{told} {}", text(&firing["job"])))?;
    } else {
        terminal::print(text(&firing["job"]))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn delete(args: &ScheduleArgs) -> CommandResult {
    let gateway = connect(&args.server)?;
    gateway.send(gateway.call(Method::DELETE, &path(args))).await?;
    if args.output.json {
        terminal::print_json(&json!({ "deleted": args.id }))?;
    } else {
        terminal::print(format!("{} is gone", args.id))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(schedule: &Value, output: &OutputOptions) -> CommandResult {
    if output.json {
        terminal::print_json(schedule)?;
    } else {
        terminal::print(describe(schedule))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(schedule: &Value) -> String {
    let mut lines = vec![("Schedule", text(&schedule["id"])), ("Report", text(&schedule["report"]))];
    if let Some(title) = schedule["title"].as_str() {
        lines.push(("Title", title.to_owned()));
    }
    lines.extend([
        ("Owner", text(&schedule["owner"])),
        ("State", state(schedule)),
        ("When", when(schedule)),
        ("Zone", text(&schedule["zone"])),
    ]);
    if is_by_event(schedule) {
        lines.push(("Next", BY_EVENT.to_owned()));
    }
    if let Some(until) = schedule["awaited_until"]["nominal"].as_str() {
        lines.push(("Awaited until", until.to_owned()));
    }
    if let Some(sent) = schedule["last_sent_at"].as_str() {
        lines.push(("Last sent", sent.to_owned()));
    }
    let mut shown = key_values(&lines);
    let rows = |name: &str, row: fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
        schedule[name].as_array().into_iter().flatten().map(row).collect()
    };
    let upcoming = rows("upcoming", |one| vec![text(&one["nominal"]), text(&one["at"])]);
    if !upcoming.is_empty() {
        shown.push_str("\n\n");
        shown.push_str(&terminal::table(&["NEXT TIMES", "AT"], &[false; 2], &upcoming));
    }
    let firings = rows("firings", |one| {
        let end = one["ended"].as_str().or(one["detail"].as_str()).unwrap_or_default();
        let nominal = one["nominal"].as_str().unwrap_or("on request");
        vec![nominal.to_owned(), text(&one["outcome"]), text(&one["job"]), end.to_owned()]
    });
    if !firings.is_empty() {
        shown.push_str("\n\n");
        shown.push_str(&terminal::table(&["FIRING", "OUTCOME", "JOB", "END"], &[false; 4], &firings));
    }
    shown
}

/// Instead of a time where nobody knows it.
const BY_EVENT: &str = "when its event comes";

fn is_by_event(schedule: &Value) -> bool {
    schedule["when"] == "on event" && schedule["state"] == "active"
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn state(schedule: &Value) -> String {
    match schedule["paused_why"].as_str() {
        Some(why) => format!("paused ({why})"),
        None if schedule["silent"] == true => "active (silent)".to_owned(),
        None => text(&schedule["state"]),
    }
}

fn when(schedule: &Value) -> String {
    schedule["sentence"].as_str().unwrap_or("on request").to_owned()
}
