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
    if !sees_report(gateway, identity, job).await? {
        return Ok(false);
    }
    let is_fixed = identity.bounds().is_some_and(|bounds| !bounds.params.is_empty());
    let is_known = identity.is_confined() && !(job.attributes.is_empty() && identity.attributes().is_empty());
    if !is_fixed && !is_known {
        return Ok(true);
    }
    let Some(definition) = gateway.report_versions.find(&job.report_version).await? else { return Ok(false) };
    // What is sealed may be what was fixed. Where its key is gone, nobody can say what it was.
    let sealed = SealedJob::from(job);
    let has_fixed = || gateway.seal_keys.open(sealed, &job.params).is_ok_and(|it| identity.has_fixed(&it, &definition));
    let reads_alike = || {
        let attributes = job.attributes.open(&gateway.seal_keys, sealed);
        attributes.is_ok_and(|attributes| identity.would_read_as(&definition, &attributes))
    };
    Ok((!is_fixed || has_fixed()) && (!is_known || !definition.reads_attributes() || reads_alike()))
}

/// Tells whether somebody may know of the report of a job. Operators see every job of those, whatever it was made for.
///
/// # Errors
/// The store's.
pub(crate) async fn sees_report(gateway: &Gateway, identity: &Identity, job: &Job) -> Result<bool, ApiError> {
    let viewers = viewers_of(gateway, job).await?;
    Ok(identity.may_see(&job.report, viewers.as_deref()))
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
