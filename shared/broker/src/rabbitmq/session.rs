//! One connection that works, and what stands on it.

use std::sync::Arc;
use std::time::Instant;

use lapin::{Channel, Connection};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// One connection that works, until it is given up.
#[derive(Debug, Clone)]
pub(super) struct BrokerSession {
    pub(super) connection: Arc<Connection>,
    /// Cancelled once somebody met an error: everything on this connection is over.
    pub(super) failed: CancellationToken,
    /// Cancelled once nothing new should be begun on this connection.
    pub(super) retired: CancellationToken,
    /// Channels in confirm mode that no batch is using.
    pub(super) idle: Arc<Mutex<Vec<Channel>>>,
    /// When the broker last confirmed something.
    heard: Arc<Mutex<Option<Instant>>>,
}

impl BrokerSession {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection: Arc::new(connection),
            failed: CancellationToken::new(),
            retired: CancellationToken::new(),
            idle: Arc::default(),
            heard: Arc::default(),
        }
    }

    /// Asks for another connection in place of this one, which is used until that is there and goes soon after. RabbitMQ ends
    /// a connection, whatever else is on it, when a queue is deleted that still owes one of its channels an answer.
    pub(super) fn retire(&self) {
        self.retired.cancel();
    }

    /// Notes that the broker confirmed something just now.
    pub(super) fn note_confirm(&self) {
        *self.heard.lock() = Some(Instant::now());
    }

    /// Tells whether the broker has confirmed anything since then.
    pub(super) fn has_confirmed_since(&self, then: Instant) -> bool {
        self.heard.lock().is_some_and(|heard| heard >= then)
    }

    /// Gives the connection up; the line builds another one.
    pub(super) fn fail(&self, why: &str) {
        if !self.failed.is_cancelled() {
            tracing::debug!(why, "giving up a connection to RabbitMQ");
            self.failed.cancel();
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.failed.is_cancelled() && self.connection.status().connected()
    }
}
