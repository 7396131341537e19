//! `POST /v1/jobs`: parsed, checked, written with its idempotency key, and only then answered.

use actix_web::http::header::{ACCEPT_LANGUAGE, ContentType, HeaderName, LOCATION, RETRY_AFTER};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use serde_json::Value;
use shared::access::hash_request;
use shared::job::{Caller, Idempotency, Job, NewJob};
use shared::problem::{ProblemKind, StoredProblem};
use shared::store::Submitted;
use uuid::Uuid;

use super::check::{SubmitBody, Wanted, check};
use super::view::{JobView, Viewer, retry_after};
use crate::auth::Identity;
use crate::body::read_json;
use crate::gateway::Gateway;
use crate::limits::Standing;
use crate::problem::{Answer, Fault};
use crate::reports::Hidden;
use crate::trace::{AboutJob, Trace};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Accepts a job. `202` is sent after the job is committed, never before.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", request_body = SubmitBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. The same key with the same body answers the same job, with another body 422.")),
    responses(
        (status = 202, description = "The job", body = JobView, headers(
            ("Location" = String, description = "The job's address"),
            ("Retry-After" = u32, description = "Seconds until it is worth asking"),
            ("Idempotent-Replayed" = bool, description = "Set when the key came before"),
        )),
        (status = 400, description = "invalid-body, invalid-idempotency-key", body = StoredProblem),
        (status = 404, description = "report-not-found", body = StoredProblem),
        (status = 413, description = "body-too-large", body = StoredProblem),
        (status = 415, description = "unsupported-media-type", body = StoredProblem),
        (status = 422, description = "validation-failed, idempotency-key-reused", body = StoredProblem),
        (status = 429, description = "too-many-requests", body = StoredProblem),
    )
)]
pub async fn submit(
    gateway: web::Data<Gateway>,
    identity: Identity,
    trace: web::ReqData<Trace>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let key = idempotency_key(&request)?;
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let idempotency = key.map(|key| Idempotency { key, body_hash: hash_request(&identity, &body) });
    let (standing, outcome) = match admit(&gateway, &identity, body).await {
        Ok((mut wanted, standing)) => {
            wanted.prefer_language(request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()));
            let job = new_job(wanted, Caller::clone(&identity), &trace.0.to_string(), idempotency);
            (standing, gateway.jobs.submit(job).await?)
        }
        Err(fault) => (None, answer_before(&gateway, &identity, idempotency.as_ref()).await.ok_or(fault)?),
    };
    let (job, replayed) = match outcome {
        Submitted::Created(job) => (job, false),
        Submitted::Replayed(job) => (job, true),
        Submitted::KeyReused => {
            count("key-reused");
            return Err(Fault::new(
                ProblemKind::IdempotencyKeyReused,
                "This Idempotency-Key came with another body before. Send the same body, or a new key for a new job.",
            ));
        }
        Submitted::Refused(why) => {
            count("refused");
            return Err(Fault::internal("write a job", &why));
        }
    };
    count(if replayed { "replayed" } else { "created" });
    request.extensions_mut().insert(AboutJob(job.id));
    // Of the version the job has, which a replay may have from long ago.
    let hidden = gateway.versions.hidden(&job).await?;
    Ok(accepted(&Viewer::new(&gateway, &request), &job, &hidden, standing, replayed))
}

/// Checks a submit and lets it in.
async fn admit(gateway: &Gateway, identity: &Identity, body: Value) -> Result<(Wanted, Option<Standing>), Fault> {
    let wanted = check(gateway, body)?;
    gateway.versions.keep(&wanted.report).await?;
    let standing = gateway.limits.admit(&identity.tenant).await?;
    Ok((wanted, standing))
}

/// Looks for what the key was answered before. A repeat is answered the same although a new submit would be refused now: the
/// report may have changed or gone since, and the job itself may be what fills the limit.
async fn answer_before(gateway: &Gateway, identity: &Identity, idempotency: Option<&Idempotency>) -> Option<Submitted> {
    match gateway.store.find_submitted(identity, idempotency?).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "could not look whether a refused submit is a repeat");
            None
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("waitless_submits_total", "outcome" => outcome).increment(1);
}

/// Answers `202`. A replay's body is the same to the byte, as long as the request reached us under the same address.
fn accepted(
    viewer: &Viewer<'_>,
    job: &Job,
    hidden: &Hidden,
    standing: Option<Standing>,
    replayed: bool,
) -> HttpResponse {
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((LOCATION, viewer.job_url(job.id))).insert_header(ContentType::json());
    answer.insert_header((RETRY_AFTER, retry_after(job).unwrap_or(1)));
    if let Some(standing) = standing {
        standing.mark(&mut answer);
    }
    if replayed {
        answer.insert_header((IDEMPOTENT_REPLAYED, "true"));
    }
    answer.body(viewer.write_with(job, hidden))
}

fn new_job(wanted: Wanted, caller: Caller, traceparent: &str, idempotency: Option<Idempotency>) -> NewJob {
    let report = wanted.report;
    NewJob {
        id: Uuid::now_v7(),
        caller,
        report: report.name.clone(),
        report_version: report.version.clone(),
        lane: report.lane,
        params: wanted.params,
        formats: wanted.formats,
        notify: wanted.notify,
        max_attempts: report.max_attempts,
        timeout_ms: i64::try_from(report.timeout.as_millis()).unwrap_or(i64::MAX),
        retention_ms: i64::try_from(report.retention.as_millis()).unwrap_or(i64::MAX),
        traceparent: Some(traceparent.to_owned()),
        idempotency,
    }
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Fault> {
    let mut given = request.headers().get_all(&IDEMPOTENCY_KEY);
    let Some(value) = given.next() else { return Ok(None) };
    let visible = |value: &str| (1..=255).contains(&value.len()) && value.bytes().all(|b| (0x21..=0x7e).contains(&b));
    match value.to_str() {
        Ok(key) if visible(key) && given.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Fault::new(
            ProblemKind::InvalidIdempotencyKey,
            "Send one Idempotency-Key of 1 to 255 visible ASCII characters, for example a fresh UUID.",
        )),
    }
}
