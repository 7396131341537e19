//! Histories of the reports that somebody asked for lately, one a tenant and report.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use model::forecast::{Conditions, FinishedRun, History, LoadLevel, Range, Slowdown};
use store::{QueuedJob, RunsQuery};

/// Runs read of one report at once.
pub(super) const RUNS: u32 = 120;

/// Reports asked for in one statement.
pub(super) const AT_ONCE: usize = 50;

/// A history that nobody asked for this long is not kept up to date, and is read again when somebody does.
const HISTORY_TTL: Duration = Duration::from_secs(60);

/// Histories kept at most; about 15 kB each.
const MAX_HISTORIES: usize = 2000;

/// What is known of runs before.
#[derive(Debug, Default)]
pub(super) struct RunHistories {
    by_report: HashMap<String, Vec<ReportHistory>>,
    count: usize,
    /// What company does to a tenant's runs.
    stretches: HashMap<String, Slowdown>,
    /// Whose runs were taken in since that was learned.
    unlearned: HashSet<String>,
}

/// The history of one report for one tenant.
#[derive(Debug)]
struct ReportHistory {
    tenant: String,
    history: History,
    /// How long a run takes, in the company that was asked about last.
    typical: Option<(LoadLevel, Option<Range>)>,
    wanted: Instant,
    read: bool,
}

impl RunHistories {
    /// Notes that a job's report is of interest. True: nothing was read of it yet.
    pub(super) fn want(&mut self, job: &QueuedJob) -> bool {
        if let Some(kept) = self.find_mut(&job.caller.tenant, &job.report) {
            kept.wanted = Instant::now();
            return !kept.read;
        }
        if self.count >= MAX_HISTORIES {
            self.evict();
        }
        let tenant = job.caller.tenant.clone();
        let kept =
            ReportHistory { tenant, history: History::default(), typical: None, wanted: Instant::now(), read: false };
        self.by_report.entry(job.report.clone()).or_default().push(kept);
        self.count += 1;
        true
    }

    /// Returns the history of a job's report.
    pub(super) fn of(&self, job: &QueuedJob) -> Option<&History> {
        self.find(job).map(|kept| &kept.history)
    }

    /// Returns what such company does to a job.
    pub(super) fn conditions(&self, job: &QueuedJob, load: LoadLevel) -> Conditions {
        let slowdown = self.stretches.get(&job.caller.tenant).copied().unwrap_or_default();
        Conditions { load, slowdown }
    }

    /// Returns how long runs of a job's report take in such company, and sees to it that this is known next time.
    pub(super) fn typical_of(&mut self, job: &QueuedJob, load: LoadLevel) -> Option<Range> {
        self.want(job);
        let conditions = self.conditions(job, load);
        let kept = self.find_mut(&job.caller.tenant, &job.report)?;
        if kept.typical.is_none_or(|(known, _)| known != load) {
            kept.typical = Some((load, kept.history.typical(&conditions)));
        }
        kept.typical?.1
    }

    /// Returns what is to be read: what was never read, and what somebody wants to know.
    pub(super) fn unread(&self) -> Vec<RunsQuery> {
        let mut asked = Vec::new();
        for (report, all) in &self.by_report {
            for kept in all {
                if kept.wanted.elapsed() < HISTORY_TTL || !kept.read {
                    let (tenant, after) = (kept.tenant.clone(), kept.history.newest());
                    asked.push(RunsQuery { tenant, report: report.clone(), after });
                }
            }
        }
        asked
    }

    /// Takes in what was read.
    pub(super) fn add(&mut self, of: &RunsQuery, runs: Vec<FinishedRun>) {
        if let Some(kept) = self.find_mut(&of.tenant, &of.report) {
            kept.read = true;
            if !runs.is_empty() {
                kept.history.add(runs);
                self.unlearned.insert(of.tenant.clone());
            }
        }
    }

    /// Learns what company does, from all reports of those tenants of whom runs were taken in.
    pub(super) fn compare(&mut self) {
        for tenant in std::mem::take(&mut self.unlearned) {
            let of_tenant = |kept: &&mut ReportHistory| kept.tenant == tenant;
            let mut all: Vec<&mut ReportHistory> = self.by_report.values_mut().flatten().filter(of_tenant).collect();
            let slowdown = Slowdown::learn(all.iter().flat_map(|kept| kept.history.compared()));
            for kept in &mut all {
                kept.typical = None;
            }
            self.stretches.insert(tenant, slowdown);
        }
    }

    fn find(&self, job: &QueuedJob) -> Option<&ReportHistory> {
        self.by_report.get(&job.report)?.iter().find(|kept| kept.tenant == job.caller.tenant)
    }

    fn find_mut(&mut self, tenant: &str, report: &str) -> Option<&mut ReportHistory> {
        self.by_report.get_mut(report)?.iter_mut().find(|kept| kept.tenant == tenant)
    }

    /// Drops what nobody asked for lately; where all of it is asked for, the tenth that was not for longest. It can be read again.
    fn evict(&mut self) {
        let mut wanted: Vec<Instant> = self.by_report.values().flatten().map(|kept| kept.wanted).collect();
        let tenth = wanted.len() / 10;
        let (_, oldest, _) = wanted.select_nth_unstable(tenth);
        let oldest = *oldest;
        self.by_report.retain(|_, all| {
            all.retain(|kept| kept.wanted.elapsed() < HISTORY_TTL && kept.wanted > oldest);
            !all.is_empty()
        });
        self.count = self.by_report.values().map(Vec::len).sum();
        let reports = &self.by_report;
        self.stretches.retain(|tenant, _| reports.values().flatten().any(|kept| kept.tenant == *tenant));
    }
}

#[cfg(test)]
mod tests {
    use model::forecast::RunKey;
    use model::job::{Caller, Lane};
    use uuid::Uuid;

    use super::*;

    fn job(report: usize) -> QueuedJob {
        QueuedJob {
            id: Uuid::now_v7(),
            caller: Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() },
            report: format!("report-{report}"),
            lane: Lane::Bulk,
            run_key: RunKey::default(),
            attempt: 0,
            started_at: None,
            made_from: None,
        }
    }

    #[test]
    fn of_too_many_histories_those_stay_that_are_asked_for() {
        let mut histories = RunHistories::default();
        for report in 0..MAX_HISTORIES + 500 {
            histories.want(&job(report));
            histories.want(&job(0));
        }
        assert!((MAX_HISTORIES / 2..=MAX_HISTORIES).contains(&histories.count), "{}", histories.count);
        assert_eq!(histories.by_report.values().map(Vec::len).sum::<usize>(), histories.count);
        let knows = |report| histories.of(&job(report)).is_some();
        assert!(knows(0) && knows(MAX_HISTORIES + 499) && !knows(1));
    }
}
