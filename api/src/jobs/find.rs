//! The one way to somebody's job: it is theirs, and within what they may see.

use model::job::Job;
use model::seal::SealedJob;
use report::Viewer;
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::ApiError;
use crate::gateway::Gateway;

/// Reads a job.
///
/// # Errors
/// `job-not-found`, also for a job that is somebody else's or of a report that they may not see; the store's.
pub(crate) async fn find_job(gateway: &Gateway, identity: &Identity, id: Uuid) -> Result<Job, ApiError> {
    let job = gateway.store.job(identity, id).await?.ok_or_else(ApiError::no_such_job)?;
    if is_visible(gateway, identity, &job).await? { Ok(job) } else { Err(ApiError::no_such_job()) }
}

/// Tells whether a job is within what somebody may see. Whose it is has been looked at before.
///
/// # Errors
/// The store's.
pub(crate) async fn is_visible(gateway: &Gateway, identity: &Identity, job: &Job) -> Result<bool, ApiError> {
    let viewers = viewers_of(gateway, job).await?;
    if !identity.may_see(&job.report, viewers.as_deref()) {
        return Ok(false);
    }
    if identity.bounds().is_none_or(|bounds| bounds.params.is_empty()) {
        return Ok(true);
    }
    // A fixed parameter may be sensitive. Where its key is gone, nobody can say what it was.
    let Ok(params) = gateway.seal_keys.open(SealedJob::from(job), &job.params) else { return Ok(false) };
    let definition = gateway.report_versions.find(&job.report_version).await?;
    Ok(definition.is_some_and(|definition| identity.has_fixed(&params, &definition)))
}

/// Finds who may see the jobs of a job's report: whoever the catalogue lets see it now. Of a report that has left the catalogue, whoever
/// might when the job was submitted. `None`: everybody. Where nobody can say, nobody.
///
/// # Errors
/// The store's.
pub(crate) async fn viewers_of(gateway: &Gateway, job: &Job) -> Result<Option<Vec<Viewer>>, ApiError> {
    match gateway.catalogue.report(&job.report) {
        Some(report) => Ok(report.visible_to.clone()),
        None => Ok(gateway.report_versions.viewers(&job.report_version).await?),
    }
}

/// Makes sure that a job is there before something is done to it.
///
/// # Errors
/// As [`find_job`].
pub(crate) async fn check_visible(gateway: &Gateway, identity: &Identity, id: Uuid) -> Result<(), ApiError> {
    find_job(gateway, identity, id).await.map(drop)
}
