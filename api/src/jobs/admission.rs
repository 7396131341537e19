//! The one way in for a job, whoever asks for it: made of what was checked, taken out of what its tenant may do, told when it will
//! be ready, put in line, and written.

use std::sync::Arc;

use model::attributes::{Attributes, SealedAttributes};
use model::job::{Caller, Idempotency, JobState, NewJob, Params};
use model::reuse::{LinkSeed, Reuse};
use model::seal::SealedJob;
use report::{ReportDefinition, attributes_read, fingerprint, limit_key, run_key};
use store::Submitted;
use uuid::Uuid;

use super::submit_request::{KeptParquet, SubmitRequest};
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::limits::{QuotaShare, RateLimitStatus};

/// Where a job comes from.
#[derive(Debug)]
pub(crate) struct JobOrigin {
    /// Whose it is.
    pub(crate) caller: Caller,
    /// The trace it belongs to.
    pub(crate) traceparent: String,
    /// What makes a second request for it the same one.
    pub(crate) idempotency: Option<Idempotency>,
}

/// A job that may be written.
#[derive(Debug)]
pub(crate) struct PreparedJob {
    job: NewJob,
    rate_limit: Option<RateLimitStatus>,
    /// Held until it is written.
    _quota: Vec<QuotaShare>,
}

impl PreparedJob {
    /// Sees to it that the store has the report's definition, takes the job out of what the tenant may do, makes it and seals it.
    ///
    /// # Errors
    /// `too-many-requests`, `quota-exhausted`, `quota-exceeded`; the store's.
    pub(crate) async fn prepare(
        gateway: &Gateway,
        request: SubmitRequest,
        origin: JobOrigin,
    ) -> Result<Self, ApiError> {
        gateway.report_versions.ensure_saved(&request.report).await?;
        let asked = (request.notify.len(), request.formats.len());
        let (rate_limit, quota) = gateway.limits.acquire(&origin.caller, asked).await?;
        Ok(Self { job: new_job(gateway, request, origin)?, rate_limit, _quota: quota })
    }

    /// Returns its id.
    pub(crate) fn id(&self) -> Uuid {
        self.job.id
    }

    /// Tells whether an identical job may be the answer.
    pub(crate) fn may_be_reused(&self) -> bool {
        self.job.reuse.is_some()
    }

    /// Returns how much of its rate the tenant has left.
    pub(crate) fn rate_limit(&self) -> Option<RateLimitStatus> {
        self.rate_limit
    }

    /// Foretells when it will be ready, puts it in line and hands it to whoever writes it together with something else.
    pub(crate) fn into_job(mut self, gateway: &Gateway) -> NewJob {
        self.job.forecast = gateway.forecaster.forecast(&self.job);
        gateway.forecaster.enter_queue(&self.job);
        self.job
    }

    /// Foretells when it will be ready, puts it in line and writes it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn submit(mut self, gateway: &Gateway) -> Result<Submitted, ApiError> {
        let id = self.job.id;
        self.job.forecast = gateway.forecaster.forecast(&self.job);
        gateway.forecaster.enter_queue(&self.job);
        let submitted = gateway.group_commit.submit(self.job).await;
        if !submitted.as_ref().is_ok_and(waits_for_its_turn) {
            gateway.forecaster.leave_queue(id);
        }
        Ok(submitted?)
    }
}

/// What another run answers takes no place in line.
fn waits_for_its_turn(submitted: &Submitted) -> bool {
    matches!(submitted, Submitted::Created(job) if job.state == JobState::Pending && job.sharing.leader.is_none())
}

fn new_job(gateway: &Gateway, request: SubmitRequest, origin: JobOrigin) -> Result<NewJob, ApiError> {
    let report = Arc::clone(&request.report);
    let reuse = request.max_age.map(|max_age| Reuse {
        fingerprint: fingerprint_of(gateway, &request, &origin.caller),
        max_age,
        links: request.formats.iter().map(|format| LinkSeed::new(gateway.link_secret.expose(), *format)).collect(),
        made_from: request.made_from.as_ref().map(|kept| kept.job_id),
    });
    let limit_key = limit_key_of(gateway, &request, &origin.caller);
    let id = Uuid::now_v7();
    let (params, attributes) = seal(
        gateway,
        &report,
        request.made_from,
        (request.params, &request.attributes),
        SealedJob::new(&origin.caller.tenant, id),
    )?;
    Ok(NewJob {
        id,
        params,
        attributes,
        caller: origin.caller,
        report: report.name.clone(),
        report_version: report.version.clone(),
        lane: report.lane,
        max_attempts: report.max_attempts,
        timeout_ms: i64::try_from(report.timeout.as_millis()).unwrap_or(i64::MAX),
        retention_ms: i64::try_from(report.retention.as_millis()).unwrap_or(i64::MAX),
        formats: request.formats,
        on_refusal: request.on_refusal,
        notify: request.notify,
        traceparent: Some(origin.traceparent),
        forecast: None,
        idempotency: origin.idempotency,
        limit_key,
        reuse,
        by: None,
    })
}

/// Says what makes the job identical to others. What a sensitive value or an attribute has a part in must not be found by trying them
/// all.
fn fingerprint_of(gateway: &Gateway, request: &SubmitRequest, caller: &Caller) -> [u8; 32] {
    let SubmitRequest { report, params, attributes, formats, on_refusal, made_from, .. } = request;
    let on_refusal = *on_refusal;
    let read = attributes_read(report, attributes);
    match made_from {
        // The file says which rows, and the values of its job are sealed.
        Some(kept) => fingerprint(report, caller, &Params::new(), formats, on_refusal, Some(&kept.object_key)),
        None if report.has_sensitive_params() || !read.is_empty() => {
            // No parameter's name is an attribute's.
            let values = params.clone().into_iter().chain(read).collect();
            gateway.seal_keys.hash(fingerprint(report, caller, &values, formats, on_refusal, None))
        }
        None => fingerprint(report, caller, params, formats, on_refusal, None),
    }
}

/// Says which jobs of the report wait for each other. Where a sensitive value has a part in it, as with fingerprints: nobody must find it
/// by trying them all. What is made from a kept file does not ask the source, and waits for nobody.
fn limit_key_of(gateway: &Gateway, request: &SubmitRequest, caller: &Caller) -> Option<String> {
    let SubmitRequest { report, params, made_from, .. } = request;
    let hash = run_key(report, caller, params).filter(|_| made_from.is_none())?;
    let is_sensitive = report.running.key.iter().any(|name| report.is_sensitive(name));
    let hash = if is_sensitive { gateway.seal_keys.hash(hash) } else { hash };
    Some(limit_key(report, hash))
}

/// Seals what is sensitive, and what is known of the owner; a job that is made from the file of another one is given that job's values.
fn seal(
    gateway: &Gateway,
    report: &ReportDefinition,
    made_from: Option<KeptParquet>,
    (params, attributes): (Params, &Attributes),
    to: SealedJob<'_>,
) -> Result<(Params, SealedAttributes), ApiError> {
    let (keys, is_sensitive) = (&gateway.seal_keys, |name: &str| report.is_sensitive(name));
    let sealed = match made_from {
        Some(kept) => {
            let from = to.of_same_tenant(kept.job_id);
            keys.pass_on(from, to, params, is_sensitive)
                .and_then(|params| Ok((params, kept.attributes.pass_on(keys, from, to)?)))
        }
        None => keys.seal(to, params, is_sensitive).and_then(|params| Ok((params, attributes.seal(keys, to)?))),
    };
    sealed.map_err(|error| ApiError::internal("seal the values of a job", &error))
}
