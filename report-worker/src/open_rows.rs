//! Where a job's rows come from: the report's source, or the Parquet file that a finished job of the same report kept.

use std::sync::Arc;
use std::time::Duration;

use model::artifact::{Artifact, Format};
use model::job::{Job, Params};
use model::problem::{Problem, ProblemKind};
use model::seal::{SealError, SealedJob};
use report::ReportDefinition;
use sources::{BatchStream, ReadRequest, read_kept};
use store::StoreError;
use uuid::Uuid;

use crate::attempt::Attempt;
use crate::worker::{OUTAGE_BACKOFF, Worker};

/// Starts to read the rows of a job.
pub(crate) async fn open_rows(
    worker: &Worker,
    job: &Job,
    report: &Arc<ReportDefinition>,
    attempt: &Attempt,
    timeout: Duration,
) -> Result<BatchStream, Problem> {
    if let Some(made_from) = job.sharing.made_from {
        let kept = find_kept(worker, job, made_from).await?;
        return read_kept(&worker.backends.storage, &kept, &attempt.stop).await;
    }
    let request = ReadRequest {
        report: Arc::clone(report),
        params: open_params(worker, job)?,
        caller: job.caller.clone(),
        attributes: job.attributes.open(&worker.seal_keys, SealedJob::from(job)).map_err(|error| unopened(&error))?,
        timeout,
        cancel: attempt.stop.clone(),
    };
    worker.sources.read(request).await
}

/// Opens the sensitive values of a job, which are sealed from the submit until here.
fn open_params(worker: &Worker, job: &Job) -> Result<Params, Problem> {
    worker.seal_keys.open(SealedJob::from(job), &job.params).map_err(|error| unopened(&error))
}

fn unopened(error: &SealError) -> Problem {
    let advice = match error {
        SealError::KeyMissing { .. } => "give it back and replay the job, or submit the report anew",
        SealError::Altered { .. } => "submit the report anew",
    };
    Problem::new(ProblemKind::SealedValue, format!("{error}; {advice}"))
}

/// Finds the file a job is made from, however long the database is away: that is not the file's fault.
async fn find_kept(worker: &Worker, job: &Job, made_from: Uuid) -> Result<Artifact, Problem> {
    let mut backoff = OUTAGE_BACKOFF;
    loop {
        match find_artifact(worker, job, made_from).await {
            Ok(found) => return found,
            Err(error) => {
                tracing::warn!(%error, "the job that this one is made from could not be read yet");
                tokio::time::sleep(backoff.pause()).await;
            }
        }
    }
}

async fn find_artifact(worker: &Worker, job: &Job, made_from: Uuid) -> Result<Result<Artifact, Problem>, StoreError> {
    let store = &worker.backends.store;
    let from = store.job_by_id(made_from).await?.filter(|from| {
        // The gateway saw to that; rows of another tenant must not get here whatever a row says.
        (&from.caller.tenant, &from.report_version) == (&job.caller.tenant, &job.report_version)
    });
    let kept = from.into_iter().flat_map(|from| from.artifacts).find(|kept| kept.format == Format::Parquet);
    let Some(kept) = kept.filter(|kept| kept.complete) else {
        let detail = format!("the job {made_from} keeps no complete Parquet file; run the report again");
        return Ok(Err(Problem::new(ProblemKind::ParquetMissing, detail)));
    };
    if store.now().await? >= kept.expires_at {
        let detail = format!("the Parquet file of the job {made_from} is no longer kept; run the report again");
        return Ok(Err(Problem::new(ProblemKind::ArtifactExpired, detail)));
    }
    Ok(Ok(kept))
}
