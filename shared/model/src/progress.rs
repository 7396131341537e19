//! How far a running job is.

use serde::{Deserialize, Serialize};

/// What the worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No worker has it.
    #[default]
    Waiting,
    /// Connecting to the source and starting the query.
    Starting,
    /// Rows are flowing.
    Reading,
    /// Every row is read; the last bytes go to storage.
    Storing,
    /// Nothing more to do.
    Finished,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Starting, Self::Reading, Self::Storing, Self::Finished];

    /// Returns the name used in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Reading => "reading",
            Self::Storing => "storing",
            Self::Finished => "finished",
        }
    }
}

impl std::str::FromStr for Phase {
    type Err = crate::job::UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|p| p.as_str() == name).ok_or_else(|| crate::job::UnknownName::new("phase", name))
    }
}

/// Progress of one attempt. `total_rows` is `None` when unknown, never invented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// What the worker is doing.
    pub phase: Phase,
    /// Rows read so far.
    pub rows: u64,
    /// Rows to be read, where known.
    pub total_rows: Option<u64>,
    /// Whether `total_rows` is the planner's estimate and not a count.
    pub total_is_estimate: bool,
    /// Bytes written so far, over all formats.
    pub bytes: u64,
}

impl Progress {
    /// Returns rows read of rows to be read, in percent with one decimal.
    ///
    /// `None` when the total is unknown. An estimate never claims more than 99 % before the job has finished.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    pub fn percent(&self) -> Option<f64> {
        if self.phase == Phase::Finished {
            return Some(100.0);
        }
        let total = self.total_rows.filter(|total| *total > 0)?;
        let percent = (self.rows as f64 / total as f64 * 1000.0).round() / 10.0;
        Some(if self.total_is_estimate { percent.min(99.0) } else { percent.min(100.0) })
    }
}
