//! A connection that is there whenever the broker is: built, watched and built anew, for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use model::backoff::Backoff;

use super::connect::Address;
use super::declare::{DeclareError, declare};
use super::session::BrokerSession;

/// Pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause: how late a process may notice that the broker is back. Asking a broker that is away costs next to nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Pause after a failure that people have to do something about.
const LASTING_PAUSE: Duration = Duration::from_secs(5);
/// A connection that held this long was a success, and the next pause is the first one again.
const HELD: Duration = Duration::from_secs(10);
/// Bound on closing a connection politely.
const LONGEST_GOODBYE: Duration = Duration::from_secs(2);
/// How often a connection is looked at that nobody uses: `lapin` reports no event when one dies.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A topology that was just made sure of is not looked at again.
const REDECLARE_AFTER: Duration = Duration::from_secs(1);

/// A supervised connection for one purpose.
#[derive(Debug)]
pub(super) struct SupervisedConnection {
    purpose: String,
    /// Whether the topology is made sure of at every new connection. Lines of consumers leave it to the others, which come first.
    declares: bool,
    pub(super) address: Address,
    session: watch::Sender<Option<BrokerSession>>,
    /// Why there is no session; `None` before the first try has ended.
    fault: watch::Sender<Option<String>>,
    redeclared: tokio::sync::Mutex<Option<Instant>>,
}

impl SupervisedConnection {
    /// Starts the supervisor of a line that makes sure of the topology.
    pub(super) fn start(
        purpose: &str,
        address: &Address,
        tasks: &TaskTracker,
        closed: &CancellationToken,
    ) -> Arc<Self> {
        let supervised = Arc::new(Self::new(purpose.to_owned(), true, address));
        tasks.spawn(supervise(Arc::clone(&supervised), closed.clone()));
        supervised
    }

    /// Starts the supervisor of a line that finds the topology made.
    pub(super) fn start_plain(
        purpose: String,
        address: &Address,
        tasks: &TaskTracker,
        closed: &CancellationToken,
    ) -> Arc<Self> {
        let supervised = Arc::new(Self::new(purpose, false, address));
        tasks.spawn(supervise(Arc::clone(&supervised), closed.clone()));
        supervised
    }

    fn new(purpose: String, declares: bool, address: &Address) -> Self {
        Self {
            purpose,
            declares,
            address: address.clone(),
            session: watch::Sender::new(None),
            fault: watch::Sender::new(None),
            redeclared: tokio::sync::Mutex::new(None),
        }
    }

    /// Returns the session, if there is one.
    pub(super) fn now(&self) -> Option<BrokerSession> {
        self.session.borrow().clone().filter(BrokerSession::is_alive)
    }

    /// Waits for a session.
    pub(super) async fn session(&self) -> BrokerSession {
        let mut changes = self.session.subscribe();
        loop {
            if let Some(session) = changes.borrow_and_update().clone().filter(BrokerSession::is_alive) {
                return session;
            }
            // A session that has failed is replaced soon, which is a change. The sender lives as long as `self`.
            let _lives = changes.changed().await;
        }
    }

    /// Waits until the first try has succeeded or failed.
    pub(super) async fn first_try(&self) {
        let (mut session, mut fault) = (self.session.subscribe(), self.fault.subscribe());
        tokio::select! {
            _ = session.wait_for(Option::is_some) => {}
            _ = fault.wait_for(Option::is_some) => {}
        }
    }

    /// Says in one line why there is no session.
    pub(super) fn fault(&self) -> String {
        let fault = self.fault.borrow().clone();
        fault.unwrap_or_else(|| format!("RabbitMQ at {} is not connected yet", self.address.shown))
    }

    /// Says what is wrong, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(session) = self.now() else { return Err(self.fault()) };
        if session.connection.status().blocked() {
            return Err(format!(
                "RabbitMQ at {} blocks publishers: it is short of memory or disk space (see its alarms)",
                self.address.shown
            ));
        }
        Ok(())
    }

    /// Makes sure of the topology again, because a queue or binding turned out to be missing. At most once a second.
    pub(super) async fn redeclare(&self, session: &BrokerSession) {
        let mut redeclared = self.redeclared.lock().await;
        if redeclared.is_some_and(|before| before.elapsed() < REDECLARE_AFTER) {
            return;
        }
        tracing::warn!(broker = %self.address.shown, "a queue or binding is missing; declaring the topology again");
        match tokio::time::timeout(self.address.timeout, declare(&session.connection, &self.address.topology)).await {
            Ok(Ok(())) => {}
            // The line finds the same when it connects anew, and says it.
            Ok(Err(error)) => session.fail(&error.to_string()),
            Err(_) => session.fail("the topology could not be declared in time"),
        }
        *redeclared = Some(Instant::now());
    }

    fn set_fault(&self, fault: String) {
        self.fault.send_if_modified(|current| {
            let new = current.as_deref() != Some(fault.as_str());
            if new {
                // Once, not at every try.
                tracing::warn!(purpose = %self.purpose, "{fault}");
                *current = Some(fault);
            }
            new
        });
    }
}

async fn supervise(supervised: Arc<SupervisedConnection>, closed: CancellationToken) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut retired: Option<BrokerSession> = None;
    loop {
        let opened = tokio::select! {
            () = closed.cancelled() => return,
            opened = open(&supervised) => opened,
        };
        let pause = match opened {
            Ok(session) => {
                let since = Instant::now();
                tracing::info!(purpose = %supervised.purpose, broker = %supervised.address.shown, "connected to RabbitMQ");
                supervised.fault.send_replace(None);
                supervised.session.send_replace(Some(session.clone()));
                if let Some(former) = retired.take() {
                    tokio::spawn(let_go(former, supervised.address.timeout));
                }
                watch_over(&session, &closed).await;
                if session.retired.is_cancelled() && session.is_alive() && !closed.is_cancelled() {
                    retired = Some(session);
                    continue;
                }
                supervised.session.send_replace(None);
                session.failed.cancel();
                if closed.is_cancelled() {
                    hang_up(&session, supervised.address.timeout).await;
                    return;
                }
                supervised.set_fault(format!("the connection to RabbitMQ at {} was lost", supervised.address.shown));
                if since.elapsed() > HELD {
                    backoff.reset();
                }
                backoff.pause()
            }
            Err(OpenError { message, lasting }) => {
                if let Some(former) = retired.take() {
                    supervised.session.send_replace(None);
                    former.failed.cancel();
                }
                supervised.set_fault(message);
                // People have to change something first: no hurry.
                if lasting { LASTING_PAUSE } else { backoff.pause() }
            }
        };
        tokio::select! {
            () = closed.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Closes a connection that another one has taken the place of, once what was begun on it has had its time.
async fn let_go(session: BrokerSession, timeout: Duration) {
    tokio::time::sleep(timeout).await;
    session.failed.cancel();
    hang_up(&session, timeout).await;
}

struct OpenError {
    message: String,
    /// Trying again soon does not help.
    lasting: bool,
}

async fn open(supervised: &SupervisedConnection) -> Result<BrokerSession, OpenError> {
    let address = &supervised.address;
    let connection =
        address.connect(&supervised.purpose).await.map_err(|message| OpenError { message, lasting: false })?;
    let session = BrokerSession::new(connection);
    if !supervised.declares {
        return Ok(session);
    }
    match tokio::time::timeout(address.timeout, declare(&session.connection, &address.topology)).await {
        Ok(Ok(())) => Ok(session),
        Ok(Err(error)) => {
            let lasting = !matches!(error, DeclareError::Broken(_));
            hang_up(&session, address.timeout).await;
            Err(OpenError { message: format!("RabbitMQ at {}: {error}", address.shown), lasting })
        }
        Err(_) => {
            let message = format!("RabbitMQ at {} does not answer", address.shown);
            Err(OpenError { message, lasting: false })
        }
    }
}

async fn watch_over(session: &BrokerSession, closed: &CancellationToken) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            () = session.failed.cancelled() => return,
            () = session.retired.cancelled() => return,
            _ = looks.tick() => if !session.connection.status().connected() {
                return;
            },
        }
    }
}

/// Closes politely, so that the broker's log does not speak of a client that vanished.
async fn hang_up(session: &BrokerSession, timeout: Duration) {
    session.idle.lock().clear();
    let closing = session.connection.close(200, "bye".into());
    // Not answered, or gone already: dropping the connection ends it just as well. A broker with a question of ours under way takes
    // seconds to answer, and nobody should wait for that.
    let _dropped = tokio::time::timeout(timeout.min(LONGEST_GOODBYE), closing).await;
}
