//! Checks of what is written down: the settings and the catalogue.

use std::time::Duration;

use configuration::Config;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use model::finding::Findings;
use runtime::Catalogue;

use super::Subject;
use crate::{all_in_one, demo};

/// The configuration could be read, or nothing would be checked; what is left is what may not be meant.
pub(super) fn settings<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    async move {
        findings.ok("the configuration is valid");
        for warning in &subject.config.warnings {
            findings.warn(format!("{} {}", warning.key, warning.message), "change it, unless it is meant");
        }
    }
    .boxed()
}

pub(super) fn catalogue<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    let config = subject.config.clone();
    async move {
        let opening = tokio::task::spawn_blocking(move || {
            let mut findings = Findings::default();
            look_at_catalogue(&config, &mut findings);
            findings
        });
        match opening.await {
            Ok(found) => *findings = found,
            Err(crash) => findings.fail(format!("the look at it crashed: {crash}"), "report this"),
        }
    }
    .boxed()
}

fn look_at_catalogue(config: &Config, findings: &mut Findings) {
    let catalogue = match Catalogue::open(&config.catalogue) {
        Ok(catalogue) => catalogue.snapshot(),
        Err(error) => return findings.fail(format!("{error:#}"), "correct catalogue.folder, or make the folder"),
    };
    let faults = catalogue.faults.len();
    if faults > 0 {
        findings.warn(format!("{faults} faults in its files"), "run `waitless check` to see each with its line");
    }
    let mut homeless: Vec<&str> = Vec::new();
    for report in catalogue.reports.values().filter(|report| !config.sources.contains_key(&report.source)) {
        homeless.push(&report.name);
    }
    // The demo's own source comes with the first start.
    if config.catalogue.folder.is_some() && !homeless.is_empty() {
        findings.fail(
            format!("no source is configured for {}", homeless.join(", ")),
            "add [sources.<name>] with a url, or correct `source` in these reports",
        );
    }
    findings.ok(format!("{} reports are in service", catalogue.reports.len()));
}

/// Returns the longest time that a report's files are kept.
pub(super) fn kept_for(config: &Config) -> Duration {
    let reports = Catalogue::open(&config.catalogue).map(|catalogue| catalogue.snapshot());
    reports.map_or(Duration::ZERO, |all| all.reports.values().map(|report| report.retention).max().unwrap_or_default())
}

/// Adds the demo's source, where it was made: the first start makes it.
pub(super) fn add_demo_source(config: &mut Config) {
    if demo::path_in(&config.service.data_dir).exists() {
        all_in_one::add_demo_source(config);
    }
}
