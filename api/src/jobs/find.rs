//! The one way to somebody's job: it is theirs, and within what they may see.

use model::job::Job;
use model::seal::SealedJob;
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::ApiError;
use crate::gateway::Gateway;

/// Reads a job.
///
/// # Errors
/// `job-not-found`, also for a job that is somebody else's or beyond what their token lets them see; the store's.
pub(crate) async fn find_job(gateway: &Gateway, identity: &Identity, id: Uuid) -> Result<Job, ApiError> {
    let job = gateway.store.job(identity, id).await?.ok_or_else(ApiError::no_such_job)?;
    if is_visible(gateway, identity, &job).await? { Ok(job) } else { Err(ApiError::no_such_job()) }
}

/// Tells whether a job is within what somebody may see. Whose it is has been looked at before.
///
/// # Errors
/// The store's.
pub(crate) async fn is_visible(gateway: &Gateway, identity: &Identity, job: &Job) -> Result<bool, ApiError> {
    if !identity.may_run(&job.report) {
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

/// Makes sure that a job is there before something is done to it, where not every job of the caller's is for them.
///
/// # Errors
/// As [`find_job`].
pub(crate) async fn check_visible(gateway: &Gateway, identity: &Identity, id: Uuid) -> Result<(), ApiError> {
    match identity.bounds() {
        Some(_) => find_job(gateway, identity, id).await.map(drop),
        None => Ok(()),
    }
}
