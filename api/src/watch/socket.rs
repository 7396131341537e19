//! `GET /v1/ws`: the same events over a WebSocket, for clients that prefer one to a stream.
//!
//! What is sent are the frames of [`super::feed`] and [`crate::jobs::watch`], one message each. A client that does not read fills
//! a short queue and then holds up its own watch, whose broadcasts go by: it reads the store later, as a stream does.

use std::time::Duration;

use actix_web::{HttpRequest, rt, web};
use actix_ws::{CloseCode, CloseReason, Closed, Message, MessageStream, ProtocolError, Session};
use futures_util::stream::{LocalBoxStream, SelectAll, StreamExt as _};
use model::problem::{ProblemKind, StoredProblem};
use store::Scope;
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use super::feed::Feed;
use super::frame::Frame;
use super::ticket::PROTOCOL;
use crate::auth::{AccessEnd, Grant, Identity, Lifeline};
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::watch::JobWatch;

/// Jobs that one connection watches at most.
const MAX_JOBS: usize = 50;

/// Nothing is expected from the client but control frames.
const MAX_FRAME: usize = 1024;

/// A client that answers nothing and takes no message for as long as two pings, and at least for this long, is gone.
const MIN_SILENCE: Duration = Duration::from_secs(2);

/// What is to be sent, from every watch of one connection.
type Frames = SelectAll<LocalBoxStream<'static, Vec<Frame>>>;

/// Opens a WebSocket over all of the caller's jobs, or over those that `job` names.
#[utoipa::path(get, path = "/v1/ws", tag = "events",
    params(
        ("job" = Option<Vec<String>>, Query, description = "Watch this job, from its submit on; or, given the `id` of an event's CloudEvent (`<job>/<seq>`), from behind that event on. May be repeated up to 50 times"),
        ("last_event_id" = Option<String>, Query, description = "Without `job`: the last `id` seen; every later event follows. The header field Last-Event-ID does the same"),
        ("Sec-WebSocket-Protocol" = Option<String>, Header, description = "`waitless.v1`, and where no other credentials can be sent `waitless.ticket.…` from POST /v1/ws/ticket"),
    ),
    responses(
        (status = 101, description = "One JSON message an event: `{\"id\", \"event\", \"data\"}`, as the fields of a server-sent event; see /asyncapi.json"),
        (status = 400, description = "invalid-query, invalid-event-id", body = StoredProblem),
        (status = 404, description = "job-not-found", body = StoredProblem),
        (status = 426, description = "upgrade-required: this is no WebSocket handshake", body = StoredProblem),
        (status = 429, description = "too-many-requests", body = StoredProblem),
    )
)]
pub async fn open(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let query = SocketQuery::read(&request)?;
    let (answer, session, incoming) =
        actix_ws::handle_with_protocols(&request, payload, &[PROTOCOL]).map_err(|why| no_handshake(&why))?;
    let mut frames = Frames::new();
    if query.jobs.is_empty() {
        let feed = Feed::open(gateway.clone(), &identity, query.last_event_id.as_deref()).await?;
        frames.push(feed.frames().boxed_local());
    }
    for (id, after) in query.jobs {
        if let Some(watch) = JobWatch::open(gateway.clone(), &identity, id, after.as_deref()).await? {
            frames.push(watch.frames().map(move |frames| of_job(id, frames)).boxed_local());
        }
    }
    let lifeline = gateway.lifelines.hold(Grant::of(&identity, Scope::Read));
    let connection = SocketConnection { ping_every: gateway.http.ping_every, gateway, lifeline, session };
    rt::spawn(connection.run(frames, incoming.max_frame_size(MAX_FRAME)));
    Ok(answer)
}

/// Where several jobs share a connection an event's number says too little to resume from.
fn of_job(job: Uuid, mut frames: Vec<Frame>) -> Vec<Frame> {
    for frame in &mut frames {
        if let Frame::Event { id: Some(id), .. } = frame {
            *id = format!("{job}/{id}");
        }
    }
    frames
}

fn no_handshake(why: &actix_web::Error) -> ApiError {
    let detail =
        format!("This address speaks WebSocket (RFC 6455, version 13): {why}. GET /v1/events is the same as a stream.");
    ApiError::new(ProblemKind::UpgradeRequired, detail)
}

/// What the query string asks for.
#[derive(Debug, Default)]
struct SocketQuery {
    /// Each with the number of the last event seen.
    jobs: Vec<(Uuid, Option<String>)>,
    last_event_id: Option<String>,
}

impl SocketQuery {
    fn read(request: &HttpRequest) -> Result<Self, ApiError> {
        let wrong = |detail: &str| ApiError::new(ProblemKind::InvalidQuery, detail);
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
            match name.as_ref() {
                "job" => {
                    let (id, after) = value.split_once('/').map_or((&*value, None), |(id, seq)| (id, Some(seq)));
                    query.jobs.push((crate::jobs::parse_id(id)?, after.map(str::to_owned)));
                }
                "last_event_id" if query.last_event_id.is_none() => query.last_event_id = Some(value.into_owned()),
                _ => return Err(wrong("There are the parameters `job`, which may be repeated, and `last_event_id`.")),
            }
        }
        if let Some(given) = request.headers().get("last-event-id") {
            query.last_event_id.get_or_insert_with(|| given.to_str().unwrap_or_default().to_owned());
        }
        if query.jobs.len() > MAX_JOBS {
            return Err(wrong("One connection watches 50 jobs at most. Leave `job` out to watch all of yours."));
        }
        if !query.jobs.is_empty() && query.last_event_id.is_some() {
            return Err(wrong("Resume a job with `job=<job>/<seq>`; `last_event_id` is of the feed over all jobs."));
        }
        Ok(query)
    }
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloseCause {
    /// Every job that was watched has ended.
    Over,
    /// The gateway stops.
    Stop,
    /// The client closed, or is gone.
    Left,
    /// The client sent a message.
    Spoke,
    /// The client sent a frame that is too large.
    TooLarge,
    /// The client does not keep to the protocol.
    Broken,
    /// Whoever opened it may not any more.
    AccessEnded(AccessEnd),
    /// Two pings were not answered, or no message was taken for as long.
    Silent,
}

impl CloseCause {
    fn reason(self) -> (CloseCode, &'static str) {
        match self {
            Self::Over => (CloseCode::Normal, "every job has ended"),
            Self::Left => (CloseCode::Normal, "goodbye"),
            Self::Stop => (CloseCode::Away, "the gateway stops: connect again"),
            Self::Spoke => (CloseCode::Policy, "nothing is expected from the client"),
            Self::TooLarge => (CloseCode::Size, "the frame is too large"),
            Self::Broken => (CloseCode::Protocol, "this is not RFC 6455"),
            Self::AccessEnded(end) => (CloseCode::Other(4401), say(end)),
            Self::Silent => (CloseCode::Other(4408), "no sign of life: connect again"),
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Stop => "stop",
            Self::Left => "left",
            Self::Spoke => "spoke",
            Self::TooLarge => "too-large",
            Self::Broken => "broken",
            Self::AccessEnded(end) => end.label(),
            Self::Silent => "silent",
        }
    }
}

/// One connection.
struct SocketConnection {
    gateway: web::Data<Gateway>,
    /// Of its own, besides those of its watches: what they read before must not go out after the end.
    lifeline: Lifeline,
    session: Session,
    ping_every: Duration,
}

impl SocketConnection {
    async fn run(mut self, frames: Frames, incoming: MessageStream) {
        let cause = self.pump(frames, incoming).await;
        metrics::counter!("waitless_ws_closed_total", "why" => cause.label()).increment(1);
        let (code, description) = cause.reason();
        let reason = CloseReason { code, description: Some(description.to_owned()) };
        // To a client that does not read this never gets through; the connection goes with the session.
        let max_silence = self.max_silence();
        drop(timeout(max_silence, self.session.close(Some(reason))).await);
    }

    async fn pump(&mut self, mut frames: Frames, mut incoming: MessageStream) -> CloseCause {
        let mut ping_at = Instant::now() + self.ping_every;
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                biased;
                end = self.lifeline.ended() => return CloseCause::AccessEnded(end),
                message = incoming.recv() => {
                    heard = Instant::now();
                    if let Some(cause) = self.receive(message).await {
                        return cause;
                    }
                }
                () = sleep_until(ping_at) => {
                    ping_at = Instant::now() + self.ping_every;
                    if heard.elapsed() > self.max_silence() {
                        return CloseCause::Silent;
                    }
                    if let Some(cause) = self.send_in_time(|mut session| async move { session.ping(b"").await }).await {
                        return cause;
                    }
                }
                some = frames.next() => {
                    let Some(some) = some else {
                        return if self.gateway.draining.is_cancelled() { CloseCause::Stop } else { CloseCause::Over };
                    };
                    for frame in &some {
                        if let Frame::Closed(end) = frame {
                            return CloseCause::AccessEnded(*end);
                        }
                        let Some(message) = frame.to_message() else { continue };
                        if let Some(cause) = self.send_in_time(|mut session| async move { session.text(message).await }).await {
                            return cause;
                        }
                    }
                }
            }
        }
    }

    async fn receive(&self, message: Option<Result<Message, ProtocolError>>) -> Option<CloseCause> {
        match message {
            Some(Ok(Message::Pong(_) | Message::Nop)) => None,
            Some(Ok(Message::Ping(bytes))) => {
                self.send_in_time(|mut session| async move { session.pong(&bytes).await }).await
            }
            Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Continuation(_))) => Some(CloseCause::Spoke),
            Some(Ok(Message::Close(_)) | Err(ProtocolError::Io(_))) | None => Some(CloseCause::Left),
            Some(Err(ProtocolError::Overflow)) => Some(CloseCause::TooLarge),
            Some(Err(_)) => Some(CloseCause::Broken),
        }
    }

    /// Sends, and says when the connection has ended by that.
    async fn send_in_time<Sending>(&self, send: impl FnOnce(Session) -> Sending) -> Option<CloseCause>
    where
        Sending: Future<Output = Result<(), Closed>>,
    {
        tokio::select! {
            biased;
            end = self.lifeline.ended() => Some(CloseCause::AccessEnded(end)),
            sent = timeout(self.max_silence(), send(self.session.clone())) => match sent {
                Ok(Ok(())) => None,
                Ok(Err(Closed)) => Some(CloseCause::Left),
                Err(_) => Some(CloseCause::Silent),
            },
        }
    }

    fn max_silence(&self) -> Duration {
        MIN_SILENCE.max(self.ping_every * 2)
    }
}

/// Says why access has ended in as few words as a close frame has room for.
const fn say(end: AccessEnd) -> &'static str {
    match end {
        AccessEnd::KeyRevoked => "the API key was revoked",
        AccessEnd::KeyExpired => "the API key has expired",
        AccessEnd::KeyChanged => "what the API key may do has changed",
        AccessEnd::TokenRevoked => "the token was revoked",
        AccessEnd::TokenExpired => "the token has expired",
        AccessEnd::TokenEarly => "the token is from the future",
        AccessEnd::SignedOut => "the browser was signed out",
        AccessEnd::SessionOver => "the session is over",
        AccessEnd::LinkRevoked => "the link was revoked",
        AccessEnd::ReportHidden => "a job that was watched is there no more",
    }
}
