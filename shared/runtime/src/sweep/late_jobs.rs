//! Jobs that take longer than the range their submitter was told: recipients hear of it once, with what can be said now.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::Backends;
use configuration::Config;
use model::delivery::Lateness;
use model::forecast::{Conditions, Eta, History, RunKey, RunProgress, Slowdown};
use model::job::{Job, JobState};
use store::{RunsQuery, StoreError};

/// Jobs told of in one go.
const AT_ONCE: u32 = 50;
/// Runs that a new range is learned from, as gateways do.
const RUNS: u32 = 120;
/// Nobody notices a few seconds where minutes have passed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks for jobs that are late.
#[derive(Debug)]
pub(super) struct LateJobs {
    /// Beyond the range by this much; `None`: nobody wants to know.
    after: Option<Duration>,
    every: Duration,
    looked: Option<Instant>,
}

impl LateJobs {
    pub(super) fn new(config: &Config) -> Self {
        let after = config.mail.late_after;
        Self { after, every: after.map_or(LOOK_EVERY, |after| LOOK_EVERY.min(after / 4)), looked: None }
    }

    /// Tells recipients of jobs that are late, if it is time to look again.
    pub(super) async fn tell(&mut self, backends: &Backends) -> Result<(), StoreError> {
        let Some(after) = self.after.filter(|_| self.looked.is_none_or(|looked| looked.elapsed() >= self.every)) else {
            return Ok(());
        };
        self.looked = Some(Instant::now());
        let ids = backends.store.late_jobs(after, AT_ONCE).await?;
        if ids.is_empty() {
            return Ok(());
        }
        if ids.len() >= AT_ONCE as usize {
            // There may be more.
            self.looked = None;
        }
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            jobs.extend(backends.store.job_by_id(id).await?);
        }
        let histories = read_histories(backends, &jobs).await?;
        let now = backends.store.now().await?;
        let late: Vec<_> = jobs.iter().map(|job| (job.id, describe(job, &histories, now))).collect();
        for (job, (_, lateness)) in jobs.iter().zip(&late) {
            let range = if lateness.eta.is_some() { "told" } else { "unknown" };
            tracing::info!(job = %job.id, tenant = %job.caller.tenant, range, "a job takes longer than was told");
            metrics::counter!("waitless_late_jobs_total", "range" => range).increment(1);
        }
        backends.store.tell_late(late).await?;
        Ok(())
    }
}

type Histories = HashMap<(String, String), History>;

/// Reads what is known of the reports that are running late. Of jobs that wait nothing is asked: how long a line takes, only a
/// gateway knows.
async fn read_histories(backends: &Backends, jobs: &[Job]) -> Result<Histories, StoreError> {
    let mut of: Vec<RunsQuery> = Vec::new();
    for job in jobs.iter().filter(|job| job.state == JobState::Processing) {
        let wanted = RunsQuery { tenant: job.caller.tenant.clone(), report: job.report.clone(), after: None };
        if !of.contains(&wanted) {
            of.push(wanted);
        }
    }
    if of.is_empty() {
        return Ok(Histories::new());
    }
    let runs = backends.store.finished_runs(of.clone(), RUNS).await?;
    let histories = of.into_iter().zip(runs).map(|(of, runs)| {
        let mut history = History::default();
        history.add(runs);
        ((of.tenant, of.report), history)
    });
    Ok(histories.collect())
}

fn describe(job: &Job, histories: &Histories, now: DateTime<Utc>) -> Lateness {
    Lateness { state: job.state, progress: job.progress, eta: remaining(job, histories, now) }
}

fn remaining(job: &Job, histories: &Histories, now: DateTime<Utc>) -> Option<Eta> {
    let started_at = job.started_at.filter(|_| job.state == JobState::Processing)?;
    let history = histories.get(&(job.caller.tenant.clone(), job.report.clone()))?;
    let going = RunProgress {
        elapsed_ms: (now - started_at).num_milliseconds().max(0) as f64,
        rows: job.progress.rows,
        total_rows: job.progress.total_rows,
        total_is_estimate: job.progress.total_is_estimate,
    };
    let run_key = RunKey::of_job(&job.report_version, &job.params, &job.formats);
    let load = job.forecast.map(|forecast| forecast.load).unwrap_or_default();
    let conditions = Conditions { load, slowdown: Slowdown::learn(history.compared()) };
    history.remaining(run_key, &going, &conditions).map(|estimate| Eta::of(&estimate))
}
