//! `waitless doctor` and `waitless upgrade-check`: what is well, what is not, and what to do.

use std::process::ExitCode;

use configuration::{Config, ConfigError, Role};
use model::finding::{Finding, FindingLevel, Findings};
use serde_json::{Value, json};

use super::{CommandResult, check_mail_and_sources};
use crate::cli::{Doctor, UpgradeCheck};
use crate::doctor::{self, Examination};
use crate::terminal;

pub(crate) async fn doctor(args: Doctor) -> CommandResult {
    let strict = args.strict;
    let loaded = args.config.load_with(Role::AllInOne, check_mail_and_sources);
    tell(loaded, |config| doctor::examine(config, args.mail_to), args.output.json, strict).await
}

pub(crate) async fn upgrade_check(args: UpgradeCheck) -> CommandResult {
    let loaded = args.config.load_with(Role::AllInOne, check_mail_and_sources);
    tell(loaded, doctor::examine_upgrade, args.output.json, false).await
}

/// Prints what is found, part by part in a fixed order as soon as it is known, and says by the exit code how it stands.
async fn tell(
    loaded: Result<Config, ConfigError>,
    examine: impl FnOnce(Config) -> Vec<Examination>,
    json: bool,
    strict: bool,
) -> CommandResult {
    let examinations = match loaded {
        Ok(config) => examine(config),
        Err(errors) => vec![wrong_settings(&errors)],
    };
    let width = examinations.iter().map(|one| one.about.chars().count()).max().unwrap_or(0);
    let mut all: Vec<(String, Finding)> = Vec::new();
    for Examination { about, found } in examinations {
        for finding in found.await {
            if !json {
                print_line(&about, width, &finding)?;
            }
            all.push((about.clone(), finding));
        }
    }
    let count = |level| all.iter().filter(|(_, finding)| finding.level == level).count();
    let (ok, warn, fail) = (count(FindingLevel::Ok), count(FindingLevel::Warn), count(FindingLevel::Fail));
    if json {
        let findings: Vec<Value> = all.iter().map(|(about, finding)| to_json(about, finding)).collect();
        terminal::print_json(&json!({ "findings": findings, "ok": ok, "warn": warn, "fail": fail }))?;
    } else {
        terminal::print(format!("\n{ok} ok, {warn} to look at, {fail} to mend"))?;
    }
    Ok(if fail > 0 || strict && warn > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Settings that cannot be read, among them those that this version no longer has: nothing else can be looked at.
fn wrong_settings(errors: &ConfigError) -> Examination {
    let mut findings = Findings::default();
    for error in &errors.0 {
        findings.fail(format!("{} {}", error.key, error.message), "correct it; see CONFIGURATION.md");
    }
    Examination { about: "settings".to_owned(), found: Box::pin(std::future::ready(findings.into_vec())) }
}

fn print_line(about: &str, width: usize, finding: &Finding) -> anyhow::Result<()> {
    let level = console::style(format!("{:<4}", finding.level.as_str()));
    let level = match finding.level {
        FindingLevel::Ok => level.green(),
        FindingLevel::Warn => level.yellow(),
        FindingLevel::Fail => level.red(),
    };
    terminal::print(format!("{level}  {about:<width$}  {}", finding.what))?;
    match &finding.advice {
        Some(advice) => terminal::print(format!("{:<4}  {:<width$}  → {advice}", "", "")),
        None => Ok(()),
    }
}

fn to_json(about: &str, finding: &Finding) -> Value {
    json!({ "about": about, "level": finding.level, "what": finding.what, "do": finding.advice })
}
