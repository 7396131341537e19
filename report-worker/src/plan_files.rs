//! Which files an attempt makes.

use chrono::{DateTime, Utc};
use model::artifact::{Format, object_key};
use uuid::Uuid;

use crate::attempt::Attempt;
use crate::complete_upload::UploadCompletion;

/// One file of an attempt, from its plan to its place.
#[derive(Debug)]
pub(crate) struct PlannedFile {
    pub(crate) id: Uuid,
    pub(crate) format: Format,
    pub(crate) key: String,
    pub(crate) completion: UploadCompletion,
}

impl PlannedFile {
    /// Plans a file. Nothing is written under a key twice: it holds the attempt and a fresh id.
    pub(crate) fn plan(attempt: &Attempt, format: Format) -> Self {
        let id = Uuid::now_v7();
        let key = object_key(attempt.job_id, attempt.attempt, id, format);
        Self { id, format, key, completion: UploadCompletion::default() }
    }
}

/// What people save the files of an attempt as.
#[derive(Debug)]
pub(crate) struct FileNames {
    stem: String,
}

impl FileNames {
    /// Names files by their report, as far as that is safe in a file name everywhere, and the day of their data.
    pub(crate) fn new(report: &str, snapshot_at: DateTime<Utc>) -> Self {
        let safe: String =
            report.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect();
        let name = if safe.is_empty() { "report" } else { safe.as_str() };
        Self { stem: format!("{name}-{}", snapshot_at.format("%Y-%m-%d")) }
    }

    /// Names the file of a format, compressed as `suffix` says.
    pub(crate) fn of(&self, format: Format, suffix: &str) -> String {
        format!("{}.{format}{suffix}", self.stem)
    }
}
