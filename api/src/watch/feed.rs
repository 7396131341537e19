//! `GET /v1/events`: all of the caller's jobs in one stream.
//!
//! The feed's order is the store's, not that of the broadcasts: a broadcast only says that it is worth looking. The store may
//! hold an event back for a moment, until no transaction that began earlier can still commit one before it.

use std::collections::VecDeque;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use configuration::Secrets;
use futures_util::{Stream, stream};
use model::access::{open_cursor, seal_cursor};
use model::event::{Broadcast, Event};
use model::job::Caller;
use model::problem::{ProblemKind, StoredProblem};
use model::progress::Progress;
use store::FeedCursor;
use uuid::Uuid;

use super::frame::{Frame, answer_stream, event_frame, progress_frame};
use super::visible_jobs::VisibleJobs;
use super::{HubMessage, Signal, Subscription, Topic};
use crate::auth::{AccessEnd, Identity};
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Events read at once.
const PAGE: u32 = 200;

/// Events that rang or were sent lately and are remembered.
const MAX_RECENT: usize = 64;

/// Looks for an event that rang but is not in the feed yet; each waits twice as long as the one before.
const MAX_TRIES: u32 = 9;

/// Streams what happens to the caller's jobs from now on, or from `Last-Event-ID` on.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last `id:` seen: every later event follows")),
    responses(
        (status = 200, description = "Server-sent events named as `kind`, with CloudEvents 1.0 as data, and `progress` without id",
            content_type = "text/event-stream", body = String),
        (status = 400, description = "invalid-event-id", body = StoredProblem),
        (status = 429, description = "too-many-requests", body = StoredProblem),
    )
)]
pub async fn watch(gateway: web::Data<Gateway>, identity: Identity, request: HttpRequest) -> ApiResult {
    let given = request.headers().get("last-event-id").map(|given| given.to_str().unwrap_or_default());
    Ok(answer_stream(Feed::open(gateway, &identity, given).await?.frames()))
}

fn not_ours() -> ApiError {
    ApiError::new(
        ProblemKind::InvalidEventId,
        "This Last-Event-ID is not one of your feed's. Connect without it, and ask GET /v1/jobs for what happened before.",
    )
}

fn read_cursor(secrets: &Secrets, purpose: &str, text: &str) -> Option<FeedCursor> {
    let bytes = open_cursor(secrets.all(), purpose, text)?;
    let (transaction, position) = bytes.split_first_chunk::<8>()?;
    let position = <[u8; 8]>::try_from(position).ok()?;
    Some(FeedCursor { transaction: i64::from_be_bytes(*transaction), position: i64::from_be_bytes(position) })
}

fn seal(gateway: &Gateway, purpose: &str, cursor: FeedCursor) -> String {
    let mut bytes = [0; 16];
    let parts = cursor.transaction.to_be_bytes().into_iter().chain(cursor.position.to_be_bytes());
    for (to, from) in bytes.iter_mut().zip(parts) {
        *to = from;
    }
    seal_cursor(gateway.link_secret.expose(), purpose, &bytes)
}

/// One open feed.
#[derive(Debug)]
pub struct Feed {
    gateway: web::Data<Gateway>,
    caller: Caller,
    visible: VisibleJobs,
    /// Whether the last word was said.
    over: bool,
    purpose: String,
    subscription: Subscription,
    cursor: FeedCursor,
    /// Whether the store is to be read now.
    poll: bool,
    /// Events that rang and were not read yet.
    rang: Vec<(Uuid, i64)>,
    tries: u32,
    /// Events sent lately, and whether they were final.
    sent: VecDeque<(Uuid, i64, bool)>,
    /// What goes out next.
    out: Vec<Frame>,
}

impl Feed {
    /// Opens a feed that begins now, or behind the event `given`.
    ///
    /// # Errors
    /// `invalid-event-id`, `too-many-requests`, and the store's.
    pub async fn open(gateway: web::Data<Gateway>, identity: &Identity, given: Option<&str>) -> Result<Self, ApiError> {
        let caller = Caller::clone(identity);
        let purpose = format!("feed\n{}\n{}", caller.tenant, caller.principal);
        let subscription = Subscription::open(&gateway, identity, Topic::Caller(caller.clone()))?;
        let mut out = Vec::new();
        let cursor = match given {
            Some(given) => read_cursor(&gateway.link_secret, &purpose, given).ok_or_else(not_ours)?,
            None => {
                let cursor = gateway.store.feed_end().await?;
                out.push(Frame::Position(seal(&gateway, &purpose, cursor)));
                cursor
            }
        };
        let (rang, sent) = (Vec::new(), VecDeque::new());
        let visible = VisibleJobs::new(identity.clone());
        Ok(Self {
            gateway,
            caller,
            visible,
            over: false,
            purpose,
            subscription,
            cursor,
            poll: true,
            rang,
            tries: 0,
            sent,
            out,
        })
    }

    /// Returns what happens, as it happens, until the gateway stops or whoever watches may not any more.
    pub fn frames(self) -> impl Stream<Item = Vec<Frame>> + 'static {
        stream::unfold(self, |mut feed| async move { feed.next().await.map(|frames| (frames, feed)) })
    }

    async fn next(&mut self) -> Option<Vec<Frame>> {
        if self.over {
            return None;
        }
        loop {
            if let Some(end) = self.subscription.access_end() {
                return Some(self.close(end));
            }
            if self.poll {
                self.read().await;
            }
            if !self.out.is_empty() {
                return Some(std::mem::take(&mut self.out));
            }
            if self.poll {
                continue;
            }
            match self.subscription.next().await {
                Signal::Message(message) => {
                    self.receive(&message).await;
                    while let Some(message) = self.subscription.try_next() {
                        self.receive(&message).await;
                    }
                }
                Signal::Poll => self.poll = true,
                Signal::Ping => return Some(vec![Frame::Ping]),
                Signal::AccessEnded(end) => return Some(self.close(end)),
                Signal::Stop => return None,
            }
        }
    }

    /// Ends the feed: what was read and not sent stays here.
    fn close(&mut self, end: AccessEnd) -> Vec<Frame> {
        self.over = true;
        vec![Frame::Closed(end)]
    }

    async fn read(&mut self) {
        let events = match self.gateway.store.events_of_caller(&self.caller, self.cursor, PAGE).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, "a feed could not be read; trying again");
                self.poll = false;
                self.subscription.poll_within(Duration::from_secs(1));
                return;
            }
        };
        self.poll = events.len() == PAGE as usize;
        for (cursor, event) in events {
            self.cursor = cursor;
            let id = seal(&self.gateway, &self.purpose, cursor);
            if self.visible.has(&self.gateway, event.job_id).await {
                self.out.push(event_frame(id, &event));
            }
            self.remember(&event);
        }
        if self.poll {
            return;
        }
        self.subscription.postpone_poll();
        if self.rang.is_empty() || self.tries >= MAX_TRIES {
            self.rang.clear();
            self.tries = 0;
        } else {
            self.subscription.poll_within(Duration::from_millis(10) * 2_u32.pow(self.tries));
            self.tries += 1;
        }
    }

    fn remember(&mut self, event: &Event) {
        self.rang.retain(|rang| *rang != (event.job_id, event.seq));
        if self.sent.len() == MAX_RECENT {
            self.sent.pop_front();
        }
        self.sent.push_back((event.job_id, event.seq, event.kind.is_final()));
    }

    async fn receive(&mut self, message: &HubMessage) {
        if !self.visible.has_subject_of(&self.gateway, message).await {
            return;
        }
        match message {
            HubMessage::Broadcast(broadcast) => self.receive_broadcast(broadcast),
            HubMessage::OutlookChanged { job_id, attempt, outlook } => {
                self.out.push(progress_frame(*job_id, *attempt, Progress::default(), *outlook));
            }
        }
    }

    fn receive_broadcast(&mut self, broadcast: &Broadcast) {
        match broadcast {
            Broadcast::Event(event) => {
                if self.sent.iter().any(|(job, seq, _)| (*job, *seq) == (event.job_id, event.seq)) {
                    return;
                }
                if self.rang.len() < MAX_RECENT {
                    self.rang.push((event.job_id, event.seq));
                }
                self.tries = 0;
                self.poll = true;
            }
            Broadcast::Progress { job_id, attempt, progress, .. } => {
                let newest = self.sent.iter().rev().find(|(job, ..)| job == job_id);
                if newest.is_none_or(|(.., ended)| !ended) {
                    let outlook = self.gateway.forecaster.outlook_of_running(*job_id, *attempt, *progress);
                    self.out.push(progress_frame(*job_id, *attempt, *progress, outlook));
                }
            }
        }
    }
}
