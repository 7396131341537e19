//! Queue position and time of arrival as the API shows them.

use chrono::{DateTime, Utc};
use model::forecast::Eta;
use model::job::Job;
use serde::Serialize;
use utoipa::ToSchema;

use super::JobOutlook;

/// Where a job stands in its lane's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = QueuePosition)]
pub struct QueuePositionView {
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

impl JobOutlook {
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
    pub fn queue(&self) -> Option<QueuePositionView> {
        self.position.map(|position| QueuePositionView { position })
    }

    /// Shows the time of arrival.
    #[must_use]
    pub fn eta(&self) -> Option<EtaView> {
        self.eta.map(|(eta, from)| EtaView::of(eta, from))
    }
}
