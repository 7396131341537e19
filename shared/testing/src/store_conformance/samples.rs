//! Usual values of what stores keep: callers, jobs, artifacts, the end of an attempt.

use std::time::Duration;

use chrono::DateTime;
use model::access::hash_token;
use model::artifact::{Format, NewArtifact, object_key};
use model::attributes::SealedAttributes;
use model::delivery::Notify;
use model::job::{Caller, Idempotency, Job, Lane, NewJob};
use model::problem::{Problem, ProblemKind};
use model::progress::{Phase, Progress};
use model::refusal::OnRefusal;
use model::retry_schedule::RetryDelay;
use store::{Ending, Settlement, WorkerInfo};
use uuid::Uuid;

/// The version every test job names; [`StoreFixture::open`](super::StoreFixture::open) saves it.
pub const VERSION: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

/// The usual caller.
pub fn ana() -> Caller {
    caller("acme", "ana")
}

/// Somebody.
pub fn caller(tenant: &str, principal: &str) -> Caller {
    Caller { tenant: tenant.to_owned(), principal: principal.to_owned() }
}

/// A usual job.
pub fn new_job(caller: &Caller) -> NewJob {
    let params = serde_json::json!({"shipped_before": "1998-09-02", "minimum": 3, "märkt": ["a", null, "ü'\"\\"]});
    NewJob {
        id: Uuid::now_v7(),
        caller: caller.clone(),
        report: "pricing-summary".to_owned(),
        report_version: VERSION.to_owned(),
        lane: Lane::Interactive,
        params: params.as_object().unwrap().clone(),
        attributes: SealedAttributes::default(),
        formats: vec![Format::Csv],
        on_refusal: OnRefusal::Fail,
        notify: vec![Notify::by_email("ana@example.com")],
        max_attempts: 3,
        timeout_ms: 60_000,
        retention_ms: 86_400_000,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        forecast: None,
        idempotency: None,
        limit_key: None,
        reuse: None,
        by: None,
    }
}

/// A usual job under an idempotency key; `body` stands for the request's body.
pub fn keyed_job(caller: &Caller, key: &str, body: &str) -> NewJob {
    let idempotency = Some(Idempotency::new(key.to_owned(), hash_token(body)));
    NewJob { idempotency, ..new_job(caller) }
}

/// A worker about to be registered.
pub fn worker_info() -> WorkerInfo {
    WorkerInfo {
        id: Uuid::new_v4(),
        host: "test-host".to_owned(),
        pid: std::process::id(),
        lanes: Lane::ALL.to_vec(),
        concurrency: 4,
    }
}

/// The end of the attempt a claimed job is in.
pub fn settlement(job: &Job, ending: Ending) -> Settlement {
    let worker_id = job.worker_id.expect("the job is claimed");
    Settlement { job_id: job.id, worker_id, attempt: job.attempt, progress: progress(10), ending }
}

/// Some progress.
pub fn progress(rows: u64) -> Progress {
    Progress { phase: Phase::Reading, rows, total_rows: Some(100), total_is_estimate: true, bytes: rows * 10 }
}

/// A fault that may pass.
pub fn problem() -> Problem {
    Problem::new(ProblemKind::SourceUnavailable, "The source does not answer.")
}

/// An error that is tried again after `due_after`.
pub fn retry_after(due_after: Duration) -> Ending {
    Ending::RetryLater(problem(), RetryDelay { queue: Duration::from_secs(5), due_after })
}

/// What the attempt of a claimed job stored.
pub fn artifact(job: &Job) -> NewArtifact {
    let id = Uuid::now_v7();
    let link_id = Uuid::new_v4();
    NewArtifact {
        id,
        format: Format::Csv,
        object_key: object_key(job.id, job.attempt, id, Format::Csv),
        filename: "pricing-summary.csv".to_owned(),
        bytes: 1234,
        rows: 56,
        sha256: "ab".repeat(32),
        complete: true,
        snapshot_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
        link_id,
        link_hash: link_hash(link_id),
    }
}

/// The hash the link of an artifact is kept under.
pub fn link_hash(link_id: Uuid) -> [u8; 32] {
    hash_token(&model::access::link_token("a secret of the tests", link_id))
}
