//! Gathers what there is to tell: the job, its report as it was then, its artifacts or its failure.

use chrono::{DateTime, Utc};
use model::delivery::{Delivery, DeliveryEvent, Lateness};
use model::job::Job;
use model::problem::{Problem, ProblemKind};
use model::trace::TraceContext;
use report::{ReportDefinition, parse_definition};
use store::{Store, StoreError};

/// What there is to tell, as data.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The job, with its artifacts.
    pub job: Job,
    /// The very version of the report that ran; `None` where it cannot be read any more.
    pub report: Option<ReportDefinition>,
    /// What it is that is told.
    pub kind: NotificationKind,
    /// Trace of the request that began it all.
    pub trace_id: Option<String>,
}

impl Facts {
    /// Tells whether the report is there and has no rows at all.
    #[must_use]
    pub fn is_empty_report(&self) -> bool {
        self.kind == NotificationKind::Ready
            && self.job.refused.is_empty()
            && !self.job.artifacts.is_empty()
            && self.job.artifacts.iter().all(|artifact| artifact.rows == 0 && artifact.complete)
    }
}

/// What a notification tells: one for each event that a delivery can be about, with what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub enum NotificationKind {
    /// The files are there.
    Ready,
    /// It failed, and this is why.
    Failed(Problem),
    /// It takes longer than was told; how far it was at the given time.
    Late(Lateness, DateTime<Utc>),
}

/// Gathers the facts of a delivery.
///
/// The failure is read from the event that the delivery is about and not from the job: the job may have been replayed since.
///
/// # Errors
/// When the store does not answer.
pub async fn gather(store: &dyn Store, delivery: &Delivery, job: Job) -> Result<Facts, StoreError> {
    let kind = match (delivery.event, delivery.late) {
        (DeliveryEvent::Failed, _) => NotificationKind::Failed(failure(store, delivery, &job).await?),
        (DeliveryEvent::Late, Some(late)) => NotificationKind::Late(late, delivery.created_at),
        (DeliveryEvent::Late, None) | (DeliveryEvent::Done, _) => NotificationKind::Ready,
    };
    let report = match store.report_version(&job.report_version).await? {
        Some((name, text)) => parse_definition(&name, &text).inspect_err(|fault| {
            tracing::warn!(%fault, "a kept report definition cannot be read; the notification shows no parameters");
        }),
        None => return Ok(facts(job, None, kind)),
    };
    Ok(facts(job, report.ok(), kind))
}

async fn failure(store: &dyn Store, delivery: &Delivery, job: &Job) -> Result<Problem, StoreError> {
    let events = store.events_of_job(&job.caller, job.id, delivery.seq - 1, 1).await?;
    let told = events.into_iter().find(|event| event.seq == delivery.seq).and_then(|event| event.error);
    let problem = told.or_else(|| job.error.clone());
    Ok(problem.unwrap_or_else(|| Problem::new(ProblemKind::Internal, "No reason was kept.")))
}

fn facts(job: Job, report: Option<ReportDefinition>, kind: NotificationKind) -> Facts {
    let trace = job.traceparent.as_deref().and_then(|header| header.parse::<TraceContext>().ok());
    Facts { report, kind, trace_id: trace.map(|trace| trace.trace_id_hex()), job }
}
