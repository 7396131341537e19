//! Queue position and time of arrival as the API shows them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use model::forecast::Eta;
use model::job::Job;
use serde::Serialize;
use store::QueuedJob;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Standing;

/// Where a job stands in its lane's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = QueuePosition)]
pub struct QueueView {
    /// 1 is next.
    position: u32,
}

/// When a job will be ready, as a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Eta)]
pub struct EtaView {
    /// One in ten is ready earlier.
    p10: DateTime<Utc>,
    /// Half are ready earlier.
    p50: DateTime<Utc>,
    /// One in ten is ready later.
    p90: DateTime<Utc>,
    /// Finished runs of the report it was learned from; 0: from the speed of this one alone.
    runs: u32,
}

impl EtaView {
    fn of(eta: Eta, from: DateTime<Utc>) -> Self {
        let (p10, p50, p90) = eta.after(from);
        Self { p10, p50, p90, runs: eta.runs }
    }

    /// Returns the median in whole seconds of Unix time.
    #[must_use]
    pub fn second(&self) -> i64 {
        self.p50.timestamp()
    }
}

impl Standing {
    /// Returns what a job was told at its submit: the same for every repeat.
    #[must_use]
    pub fn at_submit(job: &Job) -> Self {
        let forecast = job.forecast;
        Self {
            position: forecast.map(|forecast| forecast.position),
            eta: forecast.and_then(|forecast| forecast.eta).map(|eta| (eta, job.created_at)),
        }
    }

    /// Shows the position.
    #[must_use]
    pub fn queue(&self) -> Option<QueueView> {
        self.position.map(|position| QueueView { position })
    }

    /// Shows the time of arrival.
    #[must_use]
    pub fn eta(&self) -> Option<EtaView> {
        self.eta.map(|(eta, from)| EtaView::of(eta, from))
    }
}

/// What watchers were told last of each job that waits.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<Uuid, (Option<u32>, Option<i64>)>);

impl Told {
    /// Returns those that stand elsewhere than was told last, and forgets those that are not among `standings`. A second more or
    /// less is not worth telling.
    pub(super) fn changed(
        &mut self,
        standings: impl Iterator<Item = (QueuedJob, Standing)>,
    ) -> Vec<(QueuedJob, Standing)> {
        let before = std::mem::take(&mut self.0);
        let mut changed = Vec::new();
        for (job, standing) in standings {
            let second = standing.eta().map(|eta| eta.second());
            let (position, last) = before.get(&job.id).copied().unwrap_or_default();
            let moved = match (second, last) {
                (Some(now), Some(then)) => (now - then).abs() > 1,
                (now, then) => now.is_some() != then.is_some(),
            };
            if moved || position != standing.position {
                self.0.insert(job.id, (standing.position, second));
                changed.push((job, standing));
            } else {
                self.0.insert(job.id, (position, last));
            }
        }
        changed
    }
}
