//! Consumes a queue for ever: on every connection there will be.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Incoming;
use model::message::Queue;

use super::declare::{INTERNAL_ERROR, code};
use super::pump::{Pump, PumpEnd};
use super::repair::QueueRepair;
use super::session::BrokerSession;
use super::supervised::SupervisedConnection;

/// Pause before a consumer is opened again on a connection that still works.
const PAUSE: Duration = Duration::from_millis(200);

/// What somebody wants to consume, and the bound on what is asked of the broker for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConsumerOptions {
    pub(super) queue: Queue,
    pub(super) prefetch: u16,
    pub(super) timeout: Duration,
}

/// What a consumer stands on.
#[derive(Debug)]
pub(super) struct ConsumerConnections {
    /// A connection of its own: RabbitMQ ends the connection of a consumer whose queue does not answer, and nobody else's work
    /// should go with it.
    pub(super) own: Arc<SupervisedConnection>,
    /// The line that makes sure of the topology.
    pub(super) declaring: Arc<SupervisedConnection>,
    pub(super) repair: Arc<QueueRepair>,
}

impl ConsumerConnections {
    async fn session(&self) -> BrokerSession {
        // Only what is there as planned is consumed.
        self.declaring.session().await;
        self.own.session().await
    }
}

/// Runs until the receiver has gone and all it had taken is settled, or until closed.
pub(super) async fn consume(
    footing: ConsumerConnections,
    wish: ConsumerOptions,
    sender: mpsc::Sender<Incoming>,
    closed: CancellationToken,
) {
    // The line ends with its consumer.
    let _end = closed.clone().drop_guard();
    loop {
        let session = tokio::select! {
            session = footing.session() => session,
            () = sender.closed() => return,
            () = closed.cancelled() => return,
        };
        let ended = match open_or_doubt(&footing, &session, wish).await {
            Ok((channel, deliveries)) => {
                tracing::debug!(queue = wish.queue.name(), "consuming");
                let pump = Pump::new(channel, deliveries, wish);
                tokio::select! {
                    ended = pump.run(&sender) => ended,
                    () = session.failed.cancelled() => PumpEnd::Broken("the connection was lost".to_owned()),
                    () = closed.cancelled() => return,
                }
            }
            Err(why) => PumpEnd::Broken(why),
        };
        let PumpEnd::Broken(why) = ended else { return };
        if session.is_alive() {
            // Only the channel broke: the queue was deleted, or a message was held beyond the broker's time-out.
            tracing::warn!(queue = wish.queue.name(), why, "a consumer was ended by RabbitMQ; opening it again");
            tokio::time::sleep(PAUSE).await;
            footing.own.redeclare(&session).await;
        }
    }
}

/// Opens the consumer. A queue that does not answer is reported, and waited for until it is mended; then the connection is given
/// up, because an answer to the old question would end it at any time.
async fn open_or_doubt(
    footing: &ConsumerConnections,
    session: &BrokerSession,
    wish: ConsumerOptions,
) -> Result<(Channel, Consumer), String> {
    let queue = wish.queue.name();
    footing.repair.until_trusted(&queue).await;
    tokio::select! {
        opened = tokio::time::timeout(wish.timeout, open(session, wish)) => match opened {
            Ok(Ok(opened)) => {
                footing.repair.note_answer(&queue);
                Ok(opened)
            }
            Ok(Err(error)) => {
                // The queue is out of order. If it is not there, that is mended elsewhere.
                if code(&error) == Some(INTERNAL_ERROR) {
                    footing.repair.report_refusal(&queue);
                }
                Err(error.to_string())
            }
            Err(_) => {
                session.fail("a consumer could not be opened in time");
                Err("it could not be opened in time".to_owned())
            }
        },
        () = footing.repair.watch_over(&queue) => {
            session.fail("the queue does not answer");
            footing.repair.until_trusted(&queue).await;
            Err("the queue does not answer".to_owned())
        }
    }
}

async fn open(session: &BrokerSession, wish: ConsumerOptions) -> Result<(Channel, Consumer), lapin::Error> {
    let channel = session.connection.create_channel().await?;
    channel.basic_qos(wish.prefetch, BasicQosOptions::default()).await?;
    let (queue, tag) = (wish.queue.name().into(), "".into());
    let consumer = channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()).await?;
    Ok((channel, consumer))
}
