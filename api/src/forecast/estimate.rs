//! Estimates when a job will be ready, from the queue snapshot and from histories.

use chrono::{DateTime, Utc};
use model::forecast::{Estimate, Eta, Forecast, History, Range, RunProgress};
use model::progress::Progress;
use store::QueuedJob;

use super::JobOutlook;
use super::queue_snapshot::{QueuePlace, QueueSnapshot};
use super::run_histories::RunHistories;
use super::snapshot_job::SnapshotJob;

/// What estimates are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimator<'a> {
    pub(super) snapshot: &'a QueueSnapshot,
    pub(super) histories: &'a RunHistories,
    /// Database time.
    pub(super) now: DateTime<Utc>,
}

impl<'a> Estimator<'a> {
    /// What a job can be told that would enter its lane's queue now.
    pub(super) fn at_submit(self, job: &QueuedJob) -> Forecast {
        let place = self.snapshot.end_of(job.lane, &job.caller, |entry| self.remaining(entry));
        let eta = self.after_wait(job, &place).map(|estimate| Eta::of(&estimate));
        Forecast { position: place.position(), eta, load: self.snapshot.company_of(job.id) }
    }

    /// The outlook of a job that waits. Of one that is not known by name, about what can be told from when it was rung.
    pub(super) fn while_waiting(self, job: &QueuedJob, rung_at: Option<DateTime<Utc>>) -> JobOutlook {
        let place = self.snapshot.place_of(job.id, |entry| self.remaining(entry));
        let Some(place) = place.or_else(|| self.snapshot.place_behind(job.lane, &job.caller, rung_at?)) else {
            return JobOutlook::default();
        };
        let eta = self.after_wait(job, &place).map(|estimate| (Eta::of(&estimate), self.now));
        JobOutlook { position: Some(place.position()), eta }
    }

    /// The outlook of a job that is due again at `due`, in no queue until then.
    pub(super) fn while_retrying(self, job: &QueuedJob, due: DateTime<Utc>) -> JobOutlook {
        JobOutlook { position: None, eta: self.run(job).map(|run| (Eta::of(&run), due.max(self.now))) }
    }

    /// The outlook of a job that runs.
    pub(super) fn while_running(self, job: &QueuedJob, progress: Progress) -> JobOutlook {
        let conditions = self.histories.conditions(job, self.snapshot.company_of(job.id));
        let estimate = self
            .going(job, progress)
            .and_then(|going| self.history_of(job)?.remaining(job.run_key, &going, &conditions));
        JobOutlook { position: None, eta: estimate.map(|estimate| (Eta::of(&estimate), self.now)) }
    }

    fn after_wait(self, job: &QueuedJob, place: &QueuePlace) -> Option<Estimate> {
        let run = self.run(job)?;
        Some(Estimate { range: place.line.wait()?.then(run.range), ..run })
    }

    /// A job's own run, with the company it has, once it is its turn.
    fn run(self, job: &QueuedJob) -> Option<Estimate> {
        let conditions = self.histories.conditions(job, self.snapshot.company_of(job.id));
        self.history_of(job)?.from_submit(job.run_key, &conditions)
    }

    /// How much longer a job of the snapshot runs.
    fn remaining(self, entry: &SnapshotJob) -> Option<Range> {
        let (job, going) = (&entry.job, self.going(&entry.job, Progress::default())?);
        let conditions = self.histories.conditions(job, self.snapshot.company_of(job.id));
        self.histories.of(job)?.remaining(job.run_key, &going, &conditions).map(|estimate| estimate.range)
    }

    /// What is made from a kept file takes as long as no run of its report did.
    fn history_of(self, job: &QueuedJob) -> Option<&'a History> {
        self.histories.of(job).filter(|_| job.made_from.is_none())
    }

    fn going(self, job: &QueuedJob, progress: Progress) -> Option<RunProgress> {
        Some(RunProgress {
            elapsed_ms: (self.now - job.started_at?).num_milliseconds().max(0) as f64,
            rows: progress.rows,
            total_rows: progress.total_rows,
            total_is_estimate: progress.total_is_estimate,
        })
    }
}
