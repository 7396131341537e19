//! What watchers are told: CloudEvents 1.0, and how they are written for server-sent events and for a WebSocket.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt as _, stream};
use model::cloud_event::CloudEvent;
use model::event::{Event, EventKind};
use model::job::JobState;
use model::problem::{Problem, StoredProblem};
use model::progress::Progress;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::AccessEnd;
use crate::forecast::JobOutlook;
use crate::forecast::view::{EtaView, QueuePositionView};
use crate::jobs::view::{ProgressView, RefusalView, refusals};

/// The first frame of a stream: a client that lost its connection comes back after this many milliseconds.
const HELLO: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// Where streams say that events come from.
const SOURCE: &str = "/v1/jobs";

/// One thing a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Where the watcher is, and no more.
    Position(String),
    /// An event, with what the watcher resumes from; or progress, which has no id, so that resuming goes by events.
    Event {
        /// What to resume from.
        id: Option<String>,
        /// The event's kind, or `progress`.
        name: &'static str,
        /// A CloudEvent in one line: JSON escapes line breaks.
        data: String,
    },
    /// The last one: whoever watches may not any more.
    Closed(AccessEnd),
    /// Keeps the connection open and finds out whether the client is still there.
    Ping,
}

impl Frame {
    fn write_sse(&self, out: &mut Vec<u8>) {
        let text = match self {
            Self::Position(id) => format!("id: {id}\n\n"),
            Self::Event { id: Some(id), name, data } => format!("id: {id}\nevent: {name}\ndata: {data}\n\n"),
            Self::Event { id: None, name, data } => format!("event: {name}\ndata: {data}\n\n"),
            Self::Closed(end) => format!("event: closed\ndata: {}\n\n", closing(*end)),
            Self::Ping => ": ping\n\n".to_owned(),
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// Writes the message of a WebSocket: what an event stream says in the fields `id`, `event` and `data`. `None` for a ping
    /// and for the end, which have frames of their own there. Ids are digits, UUIDs or base64url, which JSON does not escape.
    #[must_use]
    pub fn to_message(&self) -> Option<String> {
        match self {
            Self::Position(id) => Some(format!(r#"{{"id":"{id}","event":"position","data":null}}"#)),
            Self::Event { id: Some(id), name, data } => {
                Some(format!(r#"{{"id":"{id}","event":"{name}","data":{data}}}"#))
            }
            Self::Event { id: None, name, data } => Some(format!(r#"{{"id":null,"event":"{name}","data":{data}}}"#)),
            Self::Closed(_) | Self::Ping => None,
        }
    }
}

/// What an event says.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventData<'a> {
    /// The job.
    job_id: Uuid,
    /// 1 for `submitted`, then one more each, without gap.
    seq: i64,
    /// What happened.
    #[schema(value_type = String)]
    kind: EventKind,
    /// The job's state after it.
    #[schema(value_type = String)]
    state: JobState,
    /// Number of the running or last attempt.
    attempt: i32,
    /// Why, for `retrying`, `failed` and `worker_lost`.
    #[schema(value_type = Option<StoredProblem>)]
    error: Option<&'a Problem>,
    /// For `done`: formats that could not hold the rows; they have no file.
    refused: Vec<RefusalView<'a>>,
    /// For `retrying`.
    next_attempt_at: Option<DateTime<Utc>>,
}

/// What a progress says.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressData {
    /// The job.
    job_id: Uuid,
    /// The attempt that made it.
    attempt: i32,
    /// How far it is.
    progress: ProgressView,
    /// Where the job stands while it waits.
    queue: Option<QueuePositionView>,
    /// When it will be ready, where that can be told.
    eta: Option<EtaView>,
}

/// Makes the frame of an event. `id` is what the client sends back to resume.
#[must_use]
pub fn event_frame(id: String, event: &Event) -> Frame {
    let data = EventData {
        job_id: event.job_id,
        seq: event.seq,
        kind: event.kind,
        state: event.state,
        attempt: event.attempt,
        error: event.error.as_ref(),
        refused: refusals(&event.refused),
        next_attempt_at: event.next_attempt_at,
    };
    let own_id = format!("{}/{}", event.job_id, event.seq);
    let name = event.kind.as_str();
    Frame::Event { id: Some(id), name, data: cloud_event(name, &own_id, event.job_id, event.at, data) }
}

/// Makes the frame of a progress, and of where the job stands; one that waits makes the latter only.
#[must_use]
pub fn progress_frame(job_id: Uuid, attempt: i32, progress: Progress, outlook: JobOutlook) -> Frame {
    let (queue, eta) = (outlook.queue(), outlook.eta());
    let data = ProgressData { job_id, attempt, progress: progress.into(), queue, eta };
    let data = cloud_event("progress", &Uuid::now_v7().to_string(), job_id, Utc::now(), data);
    Frame::Event { id: None, name: "progress", data }
}

/// Says why a stream ends, as a CloudEvent with a problem in it.
fn closing(end: AccessEnd) -> String {
    let id = Uuid::now_v7().to_string();
    CloudEvent::new(SOURCE, &id, "stream.closed", Utc::now(), StoredProblem::from(end.problem())).to_json()
}

fn cloud_event<D: Serialize>(name: &str, id: &str, job_id: Uuid, at: DateTime<Utc>, data: D) -> String {
    CloudEvent::new(SOURCE, id, &format!("job.{name}"), at, data).about(job_id).to_json()
}

/// Answers with an event stream that no proxy on the way holds back.
pub fn answer_stream(frames: impl Stream<Item = Vec<Frame>> + 'static) -> HttpResponse {
    let chunks = frames.map(|frames| {
        let mut out = Vec::new();
        for frame in &frames {
            frame.write_sse(&mut out);
        }
        Ok::<_, std::convert::Infallible>(Bytes::from(out))
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(stream::once(std::future::ready(Ok(HELLO))).chain(chunks))
}
