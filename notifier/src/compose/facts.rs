//! Gathers what a mail tells: the job, its report as it was then, its artifacts or its failure.

use shared::delivery::Delivery;
use shared::event::EventKind;
use shared::job::Job;
use shared::problem::{Problem, ProblemKind};
use shared::report::{ReportDefinition, parse_definition};
use shared::store::{Store, StoreError};
use shared::trace::TraceContext;

/// What a mail tells.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The job, with its artifacts.
    pub job: Job,
    /// The very version of the report that ran; `None` where it cannot be read any more.
    pub report: Option<ReportDefinition>,
    /// How the job ended.
    pub ending: Ending,
    /// Trace of the request that began it all.
    pub trace_id: Option<String>,
}

/// How the job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The files are there.
    Ready,
    /// It failed, and this is why.
    Failed(Problem),
}

/// Gathers the facts of a delivery.
///
/// The failure is read from the event that the delivery is about and not from the job: the job may have been replayed since.
///
/// # Errors
/// When the store does not answer.
pub async fn gather(store: &dyn Store, delivery: &Delivery, job: Job) -> Result<Facts, StoreError> {
    let ending = if delivery.event == EventKind::Failed {
        let events = store.events_of_job(&job.caller, job.id, delivery.seq - 1, 1).await?;
        let told = events.into_iter().find(|event| event.seq == delivery.seq).and_then(|event| event.error);
        let problem = told.or_else(|| job.error.clone());
        Ending::Failed(problem.unwrap_or_else(|| Problem::new(ProblemKind::Internal, "No reason was kept.")))
    } else {
        Ending::Ready
    };
    let report = match store.report_version(&job.report_version).await? {
        Some((name, text)) => parse_definition(&name, &text).inspect_err(|fault| {
            tracing::warn!(%fault, "a kept report definition cannot be read; the mail shows no parameters");
        }),
        None => return Ok(facts(job, None, ending)),
    };
    Ok(facts(job, report.ok(), ending))
}

fn facts(job: Job, report: Option<ReportDefinition>, ending: Ending) -> Facts {
    let trace = job.traceparent.as_deref().and_then(|header| header.parse::<TraceContext>().ok());
    Facts { report, ending, trace_id: trace.map(|trace| trace.trace_id_hex()), job }
}
