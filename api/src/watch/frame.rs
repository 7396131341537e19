//! Frames of an event stream: CloudEvents 1.0 in the data of server-sent events.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::Stream;
use serde::Serialize;
use shared::event::{Event, EventKind};
use shared::job::JobState;
use shared::problem::Problem;
use shared::progress::Progress;
use uuid::Uuid;

use crate::jobs::view::ProgressView;

/// A comment: keeps the connection open and finds out whether the client is still there.
pub const PING: Bytes = Bytes::from_static(b": ping\n\n");

/// The first frame: a client that lost its connection comes back after this many milliseconds.
pub const HELLO: &[u8] = b"retry: 2000\n\n";

#[derive(Serialize)]
struct CloudEvent<'a, D> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: String,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    data: D,
}

#[derive(Serialize)]
struct EventData<'a> {
    job_id: Uuid,
    seq: i64,
    kind: EventKind,
    state: JobState,
    attempt: i32,
    error: Option<&'a Problem>,
    next_attempt_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct ProgressData {
    job_id: Uuid,
    attempt: i32,
    progress: ProgressView,
}

/// Appends the frame of an event. `id` is what the client sends back as `Last-Event-ID`.
pub fn write_event(out: &mut Vec<u8>, id: &str, event: &Event) {
    let data = EventData {
        job_id: event.job_id,
        seq: event.seq,
        kind: event.kind,
        state: event.state,
        attempt: event.attempt,
        error: event.error.as_ref(),
        next_attempt_at: event.next_attempt_at,
    };
    let own_id = format!("{}/{}", event.job_id, event.seq);
    out.extend_from_slice(format!("id: {id}\n").as_bytes());
    write(out, event.kind.as_str(), &own_id, event.job_id, event.at, data);
}

/// Appends the frame of a progress. It has no id, so that resuming goes by events.
pub fn write_progress(out: &mut Vec<u8>, job_id: Uuid, attempt: i32, progress: Progress) {
    let data = ProgressData { job_id, attempt, progress: progress.into() };
    write(out, "progress", &Uuid::now_v7().to_string(), job_id, Utc::now(), data);
}

/// Appends a frame that only tells the client where it is.
pub fn write_position(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(format!("id: {id}\n\n").as_bytes());
}

fn write<D: Serialize>(out: &mut Vec<u8>, name: &str, id: &str, job_id: Uuid, at: DateTime<Utc>, data: D) {
    let event = CloudEvent {
        specversion: "1.0",
        id,
        source: "/v1/jobs",
        r#type: format!("dev.waitless.job.{name}"),
        subject: job_id.to_string(),
        time: at.to_rfc3339_opts(SecondsFormat::Micros, true),
        datacontenttype: "application/json",
        data,
    };
    out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    // One line: JSON escapes line breaks. Made of strings, numbers and times, so that writing it cannot fail.
    out.extend_from_slice(&serde_json::to_vec(&event).unwrap_or_default());
    out.extend_from_slice(b"\n\n");
}

/// Answers with an event stream that no proxy on the way holds back.
pub fn answer_stream(frames: impl Stream<Item = Result<Bytes, std::convert::Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(frames)
}
