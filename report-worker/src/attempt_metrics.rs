//! Metrics of attempts.

use std::time::Duration;

use model::job::{Job, Lane};
use model::progress::Progress;

/// Counts an attempt as running until it is dropped.
#[derive(Debug)]
pub(crate) struct RunningGauge(Lane);

impl RunningGauge {
    /// Counts one more.
    pub(crate) fn start(lane: Lane) -> Self {
        metrics::gauge!("waitless_worker_running", "lane" => lane.as_str()).increment(1.0);
        Self(lane)
    }
}

impl Drop for RunningGauge {
    fn drop(&mut self) {
        metrics::gauge!("waitless_worker_running", "lane" => self.0.as_str()).decrement(1.0);
    }
}

/// Records how long a job waited for its first attempt, by the database's clock alone. Whoever replays a job makes it wait anew, so that
/// only first attempts count.
pub(crate) fn record_start(job: &Job) {
    let waited = job.started_at.and_then(|started| (started - job.created_at).to_std().ok());
    if let (1, Some(waited)) = (job.attempt, waited) {
        metrics::histogram!("waitless_job_start_seconds", "lane" => job.lane.as_str()).record(waited.as_secs_f64());
    }
}

/// Makes what alerts rest on be there from the start: a counter that is first seen at one was, to Prometheus, never raised.
pub(crate) fn declare_metrics(lanes: &[Lane]) {
    metrics::counter!("waitless_worker_fenced_total").increment(0);
    for lane in lanes {
        for outcome in ["done", "failed"] {
            metrics::counter!("waitless_worker_attempts_total", "lane" => lane.as_str(), "outcome" => outcome)
                .increment(0);
        }
    }
}

/// Counts an attempt that has ended.
pub(crate) fn record_attempt(lane: Lane, outcome: &'static str, took: Duration, progress: &Progress) {
    metrics::counter!("waitless_worker_attempts_total", "lane" => lane.as_str(), "outcome" => outcome).increment(1);
    metrics::histogram!("waitless_worker_attempt_seconds", "lane" => lane.as_str()).record(took.as_secs_f64());
    metrics::counter!("waitless_worker_rows_total").increment(progress.rows);
    metrics::counter!("waitless_worker_bytes_total").increment(progress.bytes);
}

/// Counts where the end of a job fell in the range its submit was told. From the claim on it is measured here; what went before is
/// the database's time alone.
pub(crate) fn record_forecast(job: &Job, took: Duration) {
    let told = job.forecast.and_then(|forecast| forecast.eta);
    let waited = job.started_at.and_then(|started| (started - job.created_at).to_std().ok());
    if let (Some(eta), Some(waited)) = (told, waited) {
        let ms = u64::try_from((waited + took).as_millis()).unwrap_or(u64::MAX);
        let (report, fell) = (job.report.clone(), eta.judge(ms).as_str());
        metrics::counter!("waitless_forecasts_total", "report" => report, "fell" => fell).increment(1);
    }
}
