//! Bounds of one report: the worker's, or the definition's where it asks for less. Going over one is loud, always.

use std::time::Duration;

use model::job::Job;
use model::problem::{Problem, ProblemKind};
use report::{OnLimit, ReportDefinition};

/// What one attempt may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportLimits {
    pub(crate) max_rows: u64,
    pub(crate) max_bytes: u64,
    pub(crate) on_limit: OnLimit,
}

impl ReportLimits {
    /// Takes the smaller of the worker's and the definition's bounds.
    pub(crate) fn of(worker: &configuration::Worker, definition: &ReportDefinition) -> Self {
        Self {
            max_rows: definition.max_rows.unwrap_or(u64::MAX).min(worker.max_rows),
            max_bytes: definition.max_bytes.unwrap_or(u64::MAX).min(worker.max_bytes.0),
            on_limit: definition.on_limit,
        }
    }

    /// Tells whether files end at a limit, and say so, where others would fail.
    pub(crate) fn truncates(&self) -> bool {
        self.on_limit == OnLimit::Truncate
    }

    /// Returns how many rows may still come when `taken` have.
    pub(crate) fn rows_left(&self, taken: u64) -> usize {
        usize::try_from(self.max_rows.saturating_sub(taken)).unwrap_or(usize::MAX)
    }

    /// Says so when `rows` are more than may be.
    pub(crate) fn check_rows(&self, rows: u64) -> Result<(), Problem> {
        if rows <= self.max_rows {
            return Ok(());
        }
        let limit = self.max_rows;
        Err(Problem::new(
            ProblemKind::TooManyRows,
            format!("the report has more than {limit} rows; narrow its parameters, or have its max_rows raised"),
        ))
    }

    /// Says so when a file of `bytes` is larger than may be.
    pub(crate) fn check_bytes(&self, bytes: u64) -> Result<(), Problem> {
        if bytes <= self.max_bytes {
            return Ok(());
        }
        let limit = self.max_bytes;
        Err(Problem::new(
            ProblemKind::TooManyBytes,
            format!("the file is larger than {limit} bytes; narrow its parameters, or have its max_bytes raised"),
        ))
    }
}

/// Returns how long an attempt of the job may take.
pub(crate) fn timeout(worker: &configuration::Worker, job: &Job) -> Duration {
    Duration::from_millis(job.timeout_ms.max(1).unsigned_abs()).min(worker.max_timeout)
}

#[cfg(test)]
mod tests {
    use super::{OnLimit, ReportLimits};

    #[test]
    fn a_limit_allows_exactly_what_it_says() {
        let limits = ReportLimits { max_rows: 10, max_bytes: 100, on_limit: OnLimit::Fail };
        assert!(limits.check_rows(10).is_ok());
        assert!(limits.check_rows(11).is_err());
        assert!(limits.check_bytes(100).is_ok());
        assert!(limits.check_bytes(101).is_err());
    }
}
