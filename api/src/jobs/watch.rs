//! `GET /v1/jobs/{id}/events`: what happens to one job reaches the waiting browser.
//!
//! Events that come in order go out at once. Any gap, and any broadcast that was missed, is made up for from the store, so that
//! a watcher sees every event once and in order whatever the broker loses.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::{Stream, stream};
use model::event::{Broadcast, Event, EventKind};
use model::job::{Caller, Job, JobState};
use model::problem::{ProblemKind, StoredProblem};
use model::progress::Progress;
use store::StoreError;
use uuid::Uuid;

use super::find::find_job;
use super::parse_id;
use crate::auth::{AccessEnd, Identity};
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::watch::frame::{Frame, answer_stream, event_frame, progress_frame};
use crate::watch::{HubMessage, Signal, Subscription, Topic, VisibleJobs};

/// Events read at once.
const PAGE: u32 = 100;

/// Streams the events of one job. Ends after its final event; a client that comes back then gets `204`, which tells
/// `EventSource` to stop.
#[utoipa::path(get, path = "/v1/jobs/{id}/events", tag = "events",
    params(
        ("id" = uuid::Uuid, Path, description = "The job's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last `id:` seen: every later event follows"),
    ),
    responses(
        (status = 200, description = "Server-sent events named as `kind`, with CloudEvents 1.0 as data, and `progress` without id",
            content_type = "text/event-stream", body = String),
        (status = 204, description = "The final event was seen; nothing more will come"),
        (status = 400, description = "invalid-event-id", body = StoredProblem),
        (status = 404, description = "job-not-found", body = StoredProblem),
        (status = 429, description = "too-many-requests", body = StoredProblem),
    )
)]
pub async fn watch(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
) -> ApiResult {
    let given = request.headers().get("last-event-id").map(|given| given.to_str().unwrap_or("-"));
    Ok(match JobWatch::open(gateway, &identity, parse_id(&id)?, given).await? {
        Some(watch) => answer_stream(watch.frames()),
        None => HttpResponse::NoContent().finish(),
    })
}

/// Plain digits only: that is what was sent.
fn parse_event_id(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// One open watch over one job.
#[derive(Debug)]
pub struct JobWatch {
    gateway: web::Data<Gateway>,
    caller: Caller,
    job_id: Uuid,
    visible: VisibleJobs,
    subscription: Subscription,
    /// Number of the last event sent; none before the history was read.
    last: Option<i64>,
    state: JobState,
    attempt: i32,
    /// The attempt that ran when the stream was opened and its progress, until it is sent.
    snapshot: Option<(i32, Progress)>,
    /// Whether the store is to be read now.
    poll: bool,
    /// Whether the last word was said: the final event, or why there will be none.
    over: bool,
    /// What goes out next.
    out: Vec<Frame>,
}

impl JobWatch {
    /// Opens a watch over a job of the caller's, from its start or behind the event numbered `given`. `None`: that was the final
    /// event, and nothing more will come.
    ///
    /// # Errors
    /// `job-not-found`, `invalid-event-id`, `too-many-requests`, and the store's.
    pub async fn open(
        gateway: web::Data<Gateway>,
        identity: &Identity,
        id: Uuid,
        given: Option<&str>,
    ) -> Result<Option<Self>, ApiError> {
        // First the subscription, then the store: what happens in between is heard.
        let subscription = Subscription::open(&gateway, identity, Topic::Job(id))?;
        let job = find_job(&gateway, identity, id).await?;
        gateway.hub.note(&job);
        let last = match given.map(parse_event_id) {
            None => None,
            Some(Some(last)) if (0..=job.seq).contains(&last) => Some(last),
            Some(_) => {
                let detail =
                    "This Last-Event-ID is not one of this job's. Connect without it to see the job from its start.";
                return Err(ApiError::new(ProblemKind::InvalidEventId, detail));
            }
        };
        let over = last == Some(job.seq) && job.state.is_final();
        Ok((!over).then(|| Self::new(gateway, identity, &job, last, subscription)))
    }

    /// Returns what happens, as it happens, until the final event, until the gateway stops, or until whoever watches may not any more.
    pub fn frames(self) -> impl Stream<Item = Vec<Frame>> + 'static {
        stream::unfold(self, |mut watch| async move { watch.next().await.map(|frames| (frames, watch)) })
    }

    fn new(
        gateway: web::Data<Gateway>,
        identity: &Identity,
        job: &Job,
        last: Option<i64>,
        subscription: Subscription,
    ) -> Self {
        Self {
            gateway,
            caller: Caller::clone(identity),
            job_id: job.id,
            visible: VisibleJobs::new(identity.clone()),
            subscription,
            last,
            state: job.state,
            attempt: job.attempt,
            snapshot: (job.state == JobState::Processing).then_some((job.attempt, job.progress)),
            poll: true,
            over: false,
            out: Vec::new(),
        }
    }

    async fn next(&mut self) -> Option<Vec<Frame>> {
        loop {
            if !self.over
                && let Some(end) = self.subscription.access_end()
            {
                return Some(self.close(end));
            }
            if !self.over && self.visible.has_lost(&self.gateway, self.job_id).await {
                return Some(self.close(AccessEnd::ReportHidden));
            }
            if self.poll && !self.over {
                self.read().await;
            }
            if !self.out.is_empty() {
                return Some(std::mem::take(&mut self.out));
            }
            if self.over {
                return None;
            }
            if self.poll {
                continue;
            }
            match self.subscription.next().await {
                Signal::Message(message) => self.receive(&message),
                Signal::Poll => self.poll = true,
                Signal::Ping => return Some(vec![Frame::Ping]),
                Signal::AccessEnded(end) => return Some(self.close(end)),
                Signal::Stop => return None,
            }
        }
    }

    /// Ends the watch: what was read and not sent stays here.
    fn close(&mut self, end: AccessEnd) -> Vec<Frame> {
        self.over = true;
        self.out.clear();
        vec![Frame::Closed(end)]
    }

    async fn read(&mut self) {
        let read = match self.last {
            Some(last) => self.gateway.store.events_of_job(&self.caller, self.job_id, last, PAGE).await,
            None => self.read_history().await,
        };
        let events = match read {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(job = %self.job_id, %error, "a job's events could not be read; trying again");
                self.poll = false;
                self.subscription.poll_within(Duration::from_secs(1));
                return;
            }
        };
        self.poll = self.last.is_some() && events.len() == PAGE as usize;
        self.subscription.postpone_poll();
        for event in &events {
            self.send(event);
        }
        // A final event that a replay followed is history; the last one there is ends the stream.
        self.over = !self.poll && events.last().is_some_and(|event| event.kind.is_final());
        if let Some((attempt, progress)) = self.snapshot.take_if(|_| !self.poll)
            && (self.state, self.attempt) == (JobState::Processing, attempt)
        {
            self.progress(attempt, progress);
        }
    }

    /// Reads the job's events from its submit, or from its last replay, on: what was before that has an end of its own.
    async fn read_history(&self) -> Result<Vec<Event>, StoreError> {
        let mut history: Vec<Event> = Vec::new();
        let mut last = 0;
        loop {
            let page = self.gateway.store.events_of_job(&self.caller, self.job_id, last, PAGE).await?;
            let more = page.len() == PAGE as usize;
            for event in page {
                last = event.seq;
                if event.kind == EventKind::Replayed {
                    history.clear();
                }
                history.push(event);
            }
            if !more {
                return Ok(history);
            }
        }
    }

    fn send(&mut self, event: &Event) {
        self.out.push(event_frame(event.seq.to_string(), event));
        self.last = Some(event.seq);
        (self.state, self.attempt) = (event.state, event.attempt);
    }

    fn receive(&mut self, message: &HubMessage) {
        match message {
            HubMessage::Broadcast(broadcast) => self.receive_broadcast(broadcast),
            HubMessage::OutlookChanged { attempt, outlook, .. } => {
                if *attempt == self.attempt && self.state == JobState::Pending {
                    self.out.push(progress_frame(self.job_id, *attempt, Progress::default(), *outlook));
                }
            }
        }
    }

    fn progress(&mut self, attempt: i32, progress: Progress) {
        let outlook = self.gateway.forecaster.outlook_of_running(self.job_id, attempt, progress);
        self.out.push(progress_frame(self.job_id, attempt, progress, outlook));
    }

    fn receive_broadcast(&mut self, broadcast: &Broadcast) {
        let last = self.last.unwrap_or_default();
        match broadcast {
            Broadcast::Event(event) if event.seq == last + 1 => {
                self.send(event);
                self.over = event.kind.is_final();
            }
            Broadcast::Event(event) => self.poll |= event.seq > last,
            Broadcast::Progress { attempt, progress, .. } => {
                if *attempt == self.attempt && self.state == JobState::Processing {
                    self.progress(*attempt, *progress);
                } else {
                    self.poll |= *attempt > self.attempt;
                }
            }
        }
    }
}
