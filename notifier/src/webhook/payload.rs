//! What an endpoint is told: a CloudEvent, as streams have them, with what a program needs to fetch the files.

use chrono::{DateTime, Utc};
use model::artifact::Format;
use model::cloud_event::CloudEvent;
use model::delivery::{DeliveryEvent, Lateness};
use model::job::Params;
use model::problem::Problem;
use model::refusal::Refusal;
use serde::Serialize;
use uuid::Uuid;

use crate::channel::{DeliveryAttempt, NoticeAttempt};
use crate::compose::facts::{Facts, NotificationKind};

/// The body of a request, the same at every try.
#[derive(Debug)]
pub(super) struct WebhookPayload {
    pub(super) body: String,
    /// Who has one has the file: they are not to be kept anywhere.
    pub(super) link_tokens: Vec<String>,
}

/// What is told of a job.
#[derive(Serialize)]
struct JobData<'a> {
    job_id: Uuid,
    tenant: &'a str,
    /// `done`, `failed` or `late`.
    kind: DeliveryEvent,
    report: ReportData<'a>,
    /// Without those that are sensitive.
    params: Params,
    /// Where the job is shown, to whoever may see it.
    job_url: &'a str,
    created_at: DateTime<Utc>,
    /// Why there are no files, for `failed`.
    error: Option<&'a Problem>,
    /// Formats that could not hold the rows, for `done`.
    refused: &'a [Refusal],
    files: Vec<FileData<'a>>,
    /// How far it was, for `late`.
    late: Option<&'a Lateness>,
}

#[derive(Serialize)]
struct ReportData<'a> {
    name: &'a str,
    title: &'a str,
    version: &'a str,
}

/// A file that may be fetched.
#[derive(Serialize)]
struct FileData<'a> {
    format: Format,
    filename: &'a str,
    media_type: &'static str,
    bytes: u64,
    rows: u64,
    sha256: &'a str,
    complete: bool,
    expires_at: DateTime<Utc>,
    link: &'a str,
}

/// What is told of a schedule.
#[derive(Serialize)]
struct ScheduleData<'a> {
    schedule_id: Uuid,
    tenant: &'a str,
    kind: &'static str,
    title: &'a str,
    from: Option<&'a str>,
    until: Option<&'a str>,
    count: u32,
    why: Option<&'a str>,
}

/// Writes what is told of a job. The event's id is that of the job's event in streams.
pub(super) fn of_delivery(attempt: &DeliveryAttempt<'_>) -> WebhookPayload {
    let (delivery, facts, content) = (attempt.delivery, attempt.facts, attempt.content);
    let (job, kind) = (&facts.job, delivery.event.as_str());
    let is_ready = facts.kind == NotificationKind::Ready;
    let files: Vec<FileData<'_>> = if is_ready { files(attempt) } else { Vec::new() };
    let tokens = files.iter().filter_map(|file| Some(file.link.rsplit_once('/')?.1.to_owned()));
    let link_tokens = tokens.collect();
    let (error, late) = match &facts.kind {
        NotificationKind::Ready => (None, None),
        NotificationKind::Failed(problem) => (Some(problem), None),
        NotificationKind::Late(late, _) => (None, Some(late)),
    };
    let data = JobData {
        job_id: job.id,
        tenant: &delivery.tenant,
        kind: delivery.event,
        report: ReportData { name: &job.report, title: &content.title, version: &job.report_version },
        params: shown_params(facts),
        job_url: &content.job_url,
        created_at: job.created_at,
        error,
        refused: if is_ready { &job.refused } else { &[] },
        files,
        late,
    };
    let id = match delivery.event {
        DeliveryEvent::Done | DeliveryEvent::Failed => format!("{}/{}", job.id, delivery.seq),
        DeliveryEvent::Late => format!("{}/late", job.id),
    };
    let event = CloudEvent::new("/v1/jobs", &id, &format!("job.{kind}"), delivery.created_at, data).about(job.id);
    WebhookPayload { body: event.to_json(), link_tokens }
}

fn files<'a>(attempt: &DeliveryAttempt<'a>) -> Vec<FileData<'a>> {
    let links = attempt.content.files.iter().map(|file| file.link.as_str());
    let artifacts = attempt.facts.job.artifacts.iter().zip(links);
    artifacts
        .map(|(artifact, link)| FileData {
            format: artifact.format,
            filename: &artifact.filename,
            media_type: artifact.media_type(),
            bytes: artifact.bytes,
            rows: artifact.rows,
            sha256: &artifact.sha256,
            complete: artifact.complete,
            expires_at: artifact.expires_at,
            link,
        })
        .collect()
}

/// Leaves out what is sensitive; everything, where nobody knows any more what is.
fn shown_params(facts: &Facts) -> Params {
    let Some(report) = &facts.report else { return Params::new() };
    let known = report.params.iter().filter(|spec| !spec.sensitive);
    known.filter_map(|spec| Some((spec.name.clone(), facts.job.params.get(&spec.name)?.clone()))).collect()
}

/// Writes what is told of a schedule.
pub(super) fn of_notice(attempt: &NoticeAttempt<'_>) -> WebhookPayload {
    let (notice, id) = (attempt.notice, attempt.notice.id.to_string());
    let (kind, text) = (notice.kind.as_str(), &notice.text);
    let data = ScheduleData {
        schedule_id: notice.schedule_id,
        tenant: &notice.tenant,
        kind,
        title: &text.title,
        from: text.from.as_deref(),
        until: text.until.as_deref(),
        count: text.count,
        why: text.why.as_deref(),
    };
    let event = CloudEvent::new("/v1/schedules", &id, &format!("schedule.{kind}"), notice.created_at, data);
    WebhookPayload { body: event.about(notice.schedule_id).to_json(), link_tokens: Vec::new() }
}
