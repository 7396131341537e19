//! What the checker found.

use serde::Serialize;

/// Clean when nothing was lost, doubled or wrong.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// Jobs that were promised.
    pub jobs: usize,
    /// Their attempts.
    pub attempts: i32,
    /// Attempts whose worker was lost.
    pub crashes: i32,
    /// Attempts that were handed back.
    pub interruptions: i32,
    /// Attempts that ended in an error.
    pub errors: i32,
    /// Jobs that ended by the limit of crashes.
    pub killed_too_often: usize,
    /// Jobs that were cancelled.
    pub cancelled: usize,
    /// Files, each of them read back.
    pub files: usize,
    /// Files whose hash was computed once more from the rows of their source.
    pub recomputed: usize,
    /// Mails that were owed and came.
    pub mails: usize,
    /// Mails that came twice with one `Message-ID`, in the documented unknown window.
    pub repeated: usize,
    /// Firings of schedules.
    pub firings: usize,
    /// Requests that the endpoint of webhooks took.
    pub requests: usize,
    /// Files that no row referred to, which the sweeper takes a day later.
    pub orphans: usize,
    /// What was promised and is not there.
    pub lost: Vec<String>,
    /// What is there twice, or was asked for by nobody.
    pub doubled: Vec<String>,
    /// What is not as it should be.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Tells whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.wrong.is_empty()
    }

    pub(super) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} jobs, {} attempts, {} crashes ({} too often), {} handed back, {} errors, {} files ({} computed again), {} mails ({} \
             repeated in the unknown window), {} firings, {} requests, {} orphans removed: lost {}, doubled {}, wrong {}",
            self.jobs,
            self.attempts,
            self.crashes,
            self.killed_too_often,
            self.interruptions,
            self.errors,
            self.files,
            self.recomputed,
            self.mails,
            self.repeated,
            self.firings,
            self.requests,
            self.orphans,
            self.lost.len(),
            self.doubled.len(),
            self.wrong.len()
        )?;
        if f.alternate() {
            for (kind, found) in [("lost", &self.lost), ("doubled", &self.doubled), ("wrong", &self.wrong)] {
                found.iter().try_for_each(|what| write!(f, "\n  {kind}: {what}"))?;
            }
        }
        Ok(())
    }
}
