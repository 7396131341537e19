//! `POST /v1/jobs`: parsed, checked, written with its idempotency key, and only then answered.

use actix_web::http::header::{ACCEPT_LANGUAGE, ContentType, HeaderName, LOCATION, RETRY_AFTER};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use model::access::hash_request;
use model::job::{Caller, Idempotency, Job, JobState, NewJob};
use model::problem::{ProblemKind, StoredProblem};
use model::reuse::{LinkSeed, Reuse, Served};
use report::fingerprint;
use serde_json::Value;
use store::{Scope, Submitted};
use uuid::Uuid;

use super::check::{SubmitBody, Wanted, check};
use super::view::{JobView, Viewer, retry_after};
use super::wait::{Preference, Waiting};
use crate::auth::Identity;
use crate::body::read_json;
use crate::gateway::Gateway;
use crate::limits::Standing;
use crate::problem::{Answer, Fault};
use crate::reports::Hidden;
use crate::trace::{AboutJob, Trace};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Accepts a job. `202` is sent after the job is committed, never before. `200`: it is done already, from the files of an identical
/// job, or it has ended within the time that the client said it would wait.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", request_body = SubmitBody,
    params(
        ("Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. The same key with the same body answers the same job, with another body 422."),
        ("Prefer" = Option<String>, Header,
            description = "`wait=N`: answer when the job has ended, after N seconds at the latest; `respond-async`: answer at once"),
    ),
    responses(
        (status = 200, description = "The job, which has ended: done, failed or cancelled", body = JobView, headers(
            ("Location" = String, description = "The job's address"),
            ("Cache-Status" = String, description = "`waitless; hit`: from the files of an identical job"),
            ("Preference-Applied" = String, description = "What was applied of `Prefer`"),
            ("Idempotent-Replayed" = bool, description = "Set when the key came before"),
        )),
        (status = 202, description = "The job", body = JobView, headers(
            ("Location" = String, description = "The job's address"),
            ("Retry-After" = u32, description = "Seconds until it is worth asking"),
            ("Cache-Status" = String,
                description = "Where an identical job might have been the answer: `waitless; fwd=miss`, and `collapsed` when it joined one"),
            ("Preference-Applied" = String, description = "What was applied of `Prefer`"),
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
    let mut asking = Asking::of(&gateway, &identity, &request)?;
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    asking.hash(&identity, &body);
    let admitted = admit(&gateway, &identity, body).await;
    let admitted = admitted.map(|(wanted, standing)| {
        Admitted::new(&gateway, &identity, &request, (wanted, standing, trace.0.to_string()))
    });
    carry_out(&gateway, &identity, &request, asking, admitted).await
}

/// What a request for a job says besides what is to be made.
#[derive(Debug)]
pub(super) struct Asking {
    key: Option<String>,
    idempotency: Option<Idempotency>,
    /// How a job ends, and its files, are for keys that may read.
    may_read: bool,
    prefer: Preference,
}

impl Asking {
    /// Reads the headers.
    ///
    /// # Errors
    /// `invalid-idempotency-key`.
    pub(super) fn of(gateway: &Gateway, identity: &Identity, request: &HttpRequest) -> Result<Self, Fault> {
        let key = idempotency_key(request)?;
        let may_read = identity.scopes().contains(&Scope::Read);
        let prefer = if may_read { Preference::of(request, gateway.http.max_wait) } else { Preference::default() };
        Ok(Self { key, idempotency: None, may_read, prefer })
    }

    /// Takes what makes two requests with the same key the same.
    pub(super) fn hash(&mut self, identity: &Identity, body: &Value) {
        let key = self.key.take();
        self.idempotency = key.map(|key| Idempotency { key, body_hash: hash_request(identity, body) });
    }
}

/// A job that may be written.
pub(super) struct Admitted {
    job: NewJob,
    standing: Option<Standing>,
    /// An identical job might be the answer.
    looked_for_another: bool,
}

impl Admitted {
    /// Makes the job of what is wanted.
    pub(super) fn new(
        gateway: &Gateway,
        identity: &Identity,
        request: &HttpRequest,
        (mut wanted, standing, traceparent): (Wanted, Option<Standing>, String),
    ) -> Self {
        wanted.prefer_language(request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()));
        let looked_for_another = wanted.max_age.is_some();
        let job = new_job(gateway, wanted, Caller::clone(identity), traceparent);
        Self { job, standing, looked_for_another }
    }
}

/// Writes the job, or finds what the same request was answered before, waits where the client would, and answers.
pub(super) async fn carry_out(
    gateway: &Gateway,
    identity: &Identity,
    request: &HttpRequest,
    asking: Asking,
    admitted: Result<Admitted, Fault>,
) -> Answer {
    let Asking { idempotency, may_read, prefer, .. } = asking;
    let mut said = Said::default();
    let mut waiting = None;
    let outcome = match admitted {
        Ok(Admitted { mut job, standing, looked_for_another }) => {
            (said.standing, said.looked_for_another) = (standing, looked_for_another);
            job.idempotency = idempotency;
            // First the ears, then the store: what happens in between is heard.
            waiting = prefer.listen(gateway, identity, job.id);
            submit_in_line(gateway, job).await?
        }
        Err(fault) => answer_before(gateway, identity, idempotency.as_ref()).await.ok_or(fault)?,
    };
    let mut job = accept(outcome, &mut said)?;
    if !may_read {
        job.artifacts.clear();
    }
    request.extensions_mut().insert(AboutJob(job.id));
    // Of the version the job has, which a replay may have from long ago.
    let hidden = gateway.versions.hidden(&job).await?;
    let ended = if job.state.is_final() {
        None
    } else {
        // A repeat is about another job than the one that was made for it.
        let waiting = waiting
            .filter(|waiting| waiting.id() == job.id)
            .or_else(|| prefer.listen(gateway, identity, job.id).map(Waiting::that_looks_first));
        said.waited = waiting.is_some();
        match waiting {
            Some(waiting) => waiting.for_the_end(gateway, identity).await,
            None => None,
        }
    };
    Ok(answer(&Viewer::new(gateway, request), &ended.unwrap_or(*job), &hidden, prefer, &said))
}

/// What the headers of an answer say besides the job.
#[derive(Default)]
struct Said {
    standing: Option<Standing>,
    /// An identical job might have been the answer.
    looked_for_another: bool,
    replayed: bool,
    waited: bool,
}

/// Takes the job out of what the store answered.
fn accept(outcome: Submitted, said: &mut Said) -> Result<Box<Job>, Fault> {
    let job = match outcome {
        Submitted::Created(job) => job,
        Submitted::Replayed(job) => {
            said.replayed = true;
            job
        }
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
    count(if said.replayed { "replayed" } else { "created" });
    if !said.replayed {
        metrics::counter!("waitless_served_total", "served" => job.sharing.served.as_str()).increment(1);
    }
    Ok(job)
}

/// Writes a job with what it is told about its arrival, which counts it among those in line.
async fn submit_in_line(gateway: &Gateway, mut job: NewJob) -> Result<Submitted, Fault> {
    let id = job.id;
    job.forecast = gateway.arrivals.expect(&job);
    let submitted = gateway.jobs.submit(job).await;
    // What another run answers takes no place in line.
    if !matches!(&submitted, Ok(Submitted::Created(job)) if job.state == JobState::Pending && job.sharing.leader.is_none())
    {
        gateway.arrivals.forget(id);
    }
    Ok(submitted?)
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

/// Answers `200` with a job that has ended, else `202`. A replay's body is the same to the byte, as long as nobody waited and the
/// request reached us under the same address.
fn answer(viewer: &Viewer<'_>, job: &Job, hidden: &Hidden, prefer: Preference, said: &Said) -> HttpResponse {
    let over = job.state.is_final();
    let mut answer = if over { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    answer.insert_header((LOCATION, viewer.job_url(job.id))).insert_header(ContentType::json());
    if !over {
        answer.insert_header((RETRY_AFTER, retry_after(job).unwrap_or(1)));
    }
    if let Some(applied) = prefer.applied(said.waited, !over) {
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    if let Some(status) = cache_status(job.sharing.served, said.looked_for_another) {
        answer.insert_header((CACHE_STATUS, status));
    }
    if let Some(standing) = &said.standing {
        standing.mark(&mut answer);
    }
    if said.replayed {
        answer.insert_header((IDEMPOTENT_REPLAYED, "true"));
    }
    answer.body(if over { viewer.write_with(job, hidden) } else { viewer.write_submitted(job, hidden) })
}

/// Says in the words of RFC 9211 how a submit was served, where an identical job might have been the answer.
fn cache_status(served: Served, looked_for_another: bool) -> Option<&'static str> {
    match served {
        Served::Warm => Some("waitless; hit"),
        Served::Joined => Some("waitless; fwd=miss; collapsed"),
        Served::Cold => looked_for_another.then_some("waitless; fwd=miss"),
    }
}

fn new_job(gateway: &Gateway, wanted: Wanted, caller: Caller, traceparent: String) -> NewJob {
    let report = &wanted.report;
    let kept = wanted.made_from.as_ref().map(|(_, key)| key.as_str());
    let reuse = wanted.max_age.map(|max_age| Reuse {
        fingerprint: fingerprint(report, &caller, &wanted.params, &wanted.formats, kept),
        max_age,
        links: wanted.formats.iter().map(|format| LinkSeed::new(gateway.link_secret.expose(), *format)).collect(),
        made_from: wanted.made_from.as_ref().map(|(id, _)| *id),
    });
    NewJob {
        id: Uuid::now_v7(),
        caller,
        report: report.name.clone(),
        report_version: report.version.clone(),
        lane: report.lane,
        max_attempts: report.max_attempts,
        timeout_ms: i64::try_from(report.timeout.as_millis()).unwrap_or(i64::MAX),
        retention_ms: i64::try_from(report.retention.as_millis()).unwrap_or(i64::MAX),
        params: wanted.params,
        formats: wanted.formats,
        notify: wanted.notify,
        traceparent: Some(traceparent),
        forecast: None,
        idempotency: None,
        reuse,
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
