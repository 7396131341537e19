//! What one watcher waits for: messages of the hub, the next ping, the next poll of the store, the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use store::Scope;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::hub_message::HubMessage;
use super::registration::Registration;
use super::subscribers::Topic;
use crate::auth::{AccessEnd, Grant, Identity, Lifeline};
use crate::error::ApiError;
use crate::gateway::Gateway;

/// Something that happened to a watcher.
#[derive(Debug)]
pub enum Signal {
    /// Something that may be worth telling.
    Message(HubMessage),
    /// Time to read the store: something may have been missed.
    Poll,
    /// Nothing was said for a while: the client must get a sign of life.
    Ping,
    /// The gateway stops; the client comes back elsewhere.
    Stop,
    /// Whoever watches may not any more.
    AccessEnded(AccessEnd),
}

/// One watcher's subscription to a topic.
#[derive(Debug)]
pub struct Subscription {
    registration: Registration,
    lifeline: Lifeline,
    draining: CancellationToken,
    ping_every: Duration,
    ping_at: Instant,
    poll_at: Instant,
}

impl Subscription {
    /// Listens from now on.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub fn open(gateway: &Gateway, identity: &Identity, topic: Topic) -> Result<Self, ApiError> {
        let registration = gateway.hub.register(identity, topic)?;
        let now = Instant::now();
        Ok(Self {
            poll_at: now + registration.hub().poll_interval(),
            registration,
            lifeline: gateway.lifelines.hold(Grant::of(identity, Scope::Read)),
            draining: gateway.draining.clone(),
            ping_every: gateway.http.ping_every,
            ping_at: now + gateway.http.ping_every,
        })
    }

    /// Says why whoever watches may not any more, where that is so: nothing that is read from now on is for them.
    #[must_use]
    pub fn access_end(&self) -> Option<AccessEnd> {
        self.lifeline.end()
    }

    /// Asks for a poll of the store after `wait`.
    pub fn poll_within(&mut self, wait: Duration) {
        self.poll_at = self.poll_at.min(Instant::now() + wait);
    }

    /// Puts the next poll off by the usual time, because the store was just read.
    pub fn postpone_poll(&mut self) {
        self.poll_at = Instant::now() + self.registration.hub().poll_interval();
    }

    /// Waits for the next thing to happen.
    pub async fn next(&mut self) -> Signal {
        if let Some(end) = self.lifeline.end() {
            return Signal::AccessEnded(end);
        }
        if self.registration.missed.swap(false, Ordering::AcqRel) {
            return Signal::Poll;
        }
        loop {
            tokio::select! {
                biased;
                end = self.lifeline.ended() => return Signal::AccessEnded(end),
                () = self.draining.cancelled() => return Signal::Stop,
                message = self.registration.messages.recv() => return message.map_or(Signal::Stop, Signal::Message),
                changed = self.registration.losses.changed() => {
                    if changed.is_err() {
                        return Signal::Stop;
                    }
                    let wait = self.registration.hub().catch_up_delay();
                    self.poll_within(wait);
                }
                () = sleep_until(self.poll_at) => {
                    self.postpone_poll();
                    return Signal::Poll;
                }
                () = sleep_until(self.ping_at) => {
                    self.ping_at = Instant::now() + self.ping_every;
                    return Signal::Ping;
                }
            }
        }
    }

    /// Returns a message that has arrived already.
    pub fn try_next(&mut self) -> Option<HubMessage> {
        self.registration.messages.try_recv().ok()
    }
}
