//! What watchers were told last of each job that waits.

use std::collections::HashMap;

use store::QueuedJob;
use uuid::Uuid;

use super::JobOutlook;

/// What watchers were told last.
#[derive(Debug, Default)]
pub(super) struct AnnouncedOutlooks(HashMap<Uuid, Announced>);

/// What watchers of one job were told last.
#[derive(Debug, Clone, Copy, Default)]
struct Announced {
    position: Option<u32>,
    /// The median of its time of arrival, in whole seconds of Unix time.
    second: Option<i64>,
}

impl AnnouncedOutlooks {
    /// Returns those that have changed since they were told, and forgets jobs that are not among `outlooks`. A second more or less
    /// is not worth telling.
    pub(super) fn changed(
        &mut self,
        outlooks: impl Iterator<Item = (QueuedJob, JobOutlook)>,
    ) -> Vec<(QueuedJob, JobOutlook)> {
        let before = std::mem::take(&mut self.0);
        let mut changed = Vec::new();
        for (job, outlook) in outlooks {
            let second = outlook.eta().map(|eta| eta.second());
            let last = before.get(&job.id).copied().unwrap_or_default();
            let moved = match (second, last.second) {
                (Some(now), Some(then)) => (now - then).abs() > 1,
                (now, then) => now.is_some() != then.is_some(),
            };
            if moved || last.position != outlook.position {
                self.0.insert(job.id, Announced { position: outlook.position, second });
                changed.push((job, outlook));
            } else {
                self.0.insert(job.id, last);
            }
        }
        changed
    }
}
