//! `Prefer: wait=N` (RFC 7240): a submit is answered when the job has ended, or when the client has waited long enough.
//!
//! The request listens like a watcher, so that a thousand of them cost the database nothing but one read each, at the end. The job
//! is committed before anything is waited for: a client that goes away, or a gateway that stops, loses nothing.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use model::event::Broadcast;
use model::job::Job;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::auth::{AccessEnd, Identity};
use crate::gateway::Gateway;
use crate::watch::{HubMessage, Signal, Subscription, Topic};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a client prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preference {
    /// How long it waits; none when it does not.
    pub wait: Option<Duration>,
    /// It would rather be answered at once.
    pub respond_async: bool,
}

impl Preference {
    /// Reads the `Prefer` headers. What is unknown or malformed is no preference; of two the first counts.
    #[must_use]
    pub fn of(request: &HttpRequest, most: Duration) -> Self {
        let given = request.headers().get_all(PREFER).filter_map(|value| value.to_str().ok());
        Self::read(given, most)
    }

    fn read<'a>(given: impl Iterator<Item = &'a str>, most: Duration) -> Self {
        let mut wait = None;
        let mut respond_async = false;
        for preference in given.flat_map(|value| value.split(',')) {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => respond_async = true,
                "wait" if wait.is_none() && value.bytes().all(|digit| digit.is_ascii_digit()) => {
                    // So many digits that they are no number are a long time, too.
                    wait = (!value.is_empty()).then(|| value.parse().unwrap_or(u64::MAX));
                }
                _ => {}
            }
        }
        let wait = wait.map(|seconds| Duration::from_secs(seconds).min(most)).filter(|wait| !wait.is_zero());
        Self { wait, respond_async }
    }

    /// Listens for the end of a job that is about to be submitted, or was. `None` when the client does not wait, and where there is
    /// no room for another watcher.
    #[must_use]
    pub fn listen(self, gateway: &Gateway, identity: &Identity, id: Uuid) -> Option<EndWait> {
        let wait = self.wait?;
        match Subscription::open(gateway, identity, Topic::Job(id)) {
            Ok(subscription) => Some(EndWait { id, subscription, until: Instant::now() + wait, poll: false }),
            Err(_full) => {
                count("no-room");
                None
            }
        }
    }

    /// Writes what was applied of it.
    #[must_use]
    pub fn applied(self, waited: bool, answered_late: bool) -> Option<String> {
        let wait = self.wait.filter(|_| waited).map(|wait| format!("wait={}", wait.as_secs()));
        let asynchronous = (self.respond_async && answered_late).then(|| "respond-async".to_owned());
        let both: Vec<String> = asynchronous.into_iter().chain(wait).collect();
        (!both.is_empty()).then(|| both.join(", "))
    }
}

/// A request that waits for the end of a job.
#[derive(Debug)]
pub struct EndWait {
    id: Uuid,
    subscription: Subscription,
    until: Instant,
    poll: bool,
}

/// How a wait ended.
enum WaitEnd {
    /// The job is final.
    Final(Box<Job>),
    /// It took too long, or the gateway stops.
    Late,
    /// Whoever waits may not any more.
    AccessEnded(AccessEnd),
}

impl EndWait {
    /// Returns the job it listens for.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Polls the store first: the job may have ended before anybody listened.
    #[must_use]
    pub fn polling_first(self) -> Self {
        Self { poll: true, ..self }
    }

    /// Waits until the job is final and returns it as it is then; or as it is when that took too long, or the gateway stops. `None`
    /// when the store cannot say how it is.
    ///
    /// # Errors
    /// When whoever waits may not any more.
    pub async fn for_the_end(mut self, gateway: &Gateway, identity: &Identity) -> Result<Option<Job>, AccessEnd> {
        match self.listen_until_final(gateway, identity).await {
            WaitEnd::Final(job) => {
                count("ended");
                Ok(Some(*job))
            }
            WaitEnd::AccessEnded(end) => {
                count("access-ended");
                Err(end)
            }
            WaitEnd::Late => {
                count("late");
                match gateway.store.job(identity, self.id).await {
                    Ok(job) => Ok(job),
                    Err(error) => {
                        tracing::warn!(job = %self.id, %error, "a job that was waited for could not be read at the end");
                        Ok(None)
                    }
                }
            }
        }
    }

    async fn listen_until_final(&mut self, gateway: &Gateway, caller: &Identity) -> WaitEnd {
        loop {
            if std::mem::take(&mut self.poll) {
                match gateway.store.job(caller, self.id).await {
                    Ok(Some(job)) if job.state.is_final() => return WaitEnd::Final(Box::new(job)),
                    Ok(_) => self.subscription.postpone_poll(),
                    Err(error) => {
                        tracing::warn!(job = %self.id, %error, "a job that is waited for could not be read; trying again");
                        self.subscription.poll_within(Duration::from_secs(1));
                    }
                }
            }
            tokio::select! {
                biased;
                heard = self.subscription.next() => match heard {
                    Signal::Message(HubMessage::Broadcast(broadcast)) => {
                        self.poll = matches!(broadcast.as_ref(), Broadcast::Event(event) if event.kind.is_final());
                    }
                    Signal::Poll => self.poll = true,
                    Signal::Ping | Signal::Message(HubMessage::OutlookChanged { .. }) => {}
                    Signal::AccessEnded(end) => return WaitEnd::AccessEnded(end),
                    Signal::Stop => return WaitEnd::Late,
                },
                () = sleep_until(self.until) => return WaitEnd::Late,
            }
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("waitless_waits_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[&str]) -> Preference {
        Preference::read(given.iter().copied(), Duration::from_secs(60))
    }

    fn waits(seconds: u64) -> Preference {
        Preference { wait: Some(Duration::from_secs(seconds)), respond_async: false }
    }

    #[test]
    fn preferences_are_read_as_the_standard_says() {
        assert_eq!(read(&[]), Preference::default());
        assert_eq!(read(&["wait=10"]), waits(10));
        assert_eq!(read(&["WAIT = \"7\" ; foo=bar"]), waits(7));
        assert_eq!(read(&["return=minimal, wait=5, wait=9"]), waits(5));
        assert_eq!(read(&["respond-async", "wait=5"]), Preference { respond_async: true, ..waits(5) });
        assert_eq!(read(&["wait=100000"]), waits(60));
        assert_eq!(read(&["wait=99999999999999999999999"]), waits(60));
        for nothing in ["wait", "wait=", "wait=-1", "wait=1.5", "wait=soon", "wait=0", "waiting=3", ",;=,"] {
            assert_eq!(read(&[nothing]), Preference::default(), "{nothing}");
        }
    }

    #[test]
    fn what_was_applied_is_said() {
        let both = Preference { respond_async: true, ..waits(5) };
        assert_eq!(both.applied(true, true).as_deref(), Some("respond-async, wait=5"));
        assert_eq!(both.applied(true, false).as_deref(), Some("wait=5"));
        assert_eq!(both.applied(false, true).as_deref(), Some("respond-async"));
        assert_eq!(waits(5).applied(false, true), None);
        assert_eq!(Preference::default().applied(false, true), None);
    }
}
