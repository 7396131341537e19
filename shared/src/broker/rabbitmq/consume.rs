//! Consumes a queue for ever: on every connection there will be.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::broker::Incoming;
use crate::message::Queue;

use super::line::{Line, Session};
use super::pump::{Ended, Pump};

/// Pause before a consumer is opened again on a connection that still works.
const PAUSE: Duration = Duration::from_millis(200);

/// What somebody wants to consume, and the bound on what is asked of the broker for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) queue: Queue,
    pub(super) prefetch: u16,
    pub(super) timeout: Duration,
}

/// Runs until the receiver has gone and all it had taken is settled, or until closed.
pub(super) async fn consume(line: Arc<Line>, wish: Wish, sender: mpsc::Sender<Incoming>, closed: CancellationToken) {
    loop {
        let session = tokio::select! {
            session = line.session() => session,
            () = sender.closed() => return,
            () = closed.cancelled() => return,
        };
        let ended = match tokio::time::timeout(wish.timeout, open(&session, wish)).await {
            Ok(Ok((channel, deliveries))) => {
                tracing::debug!(queue = wish.queue.name(), "consuming");
                let pump = Pump::new(channel, deliveries, wish);
                tokio::select! {
                    ended = pump.run(&sender) => ended,
                    () = session.failed.cancelled() => Ended::Broken("the connection was lost".to_owned()),
                    () = closed.cancelled() => return,
                }
            }
            Ok(Err(error)) => Ended::Broken(error.to_string()),
            Err(_) => {
                session.fail("a consumer could not be opened in time");
                continue;
            }
        };
        let Ended::Broken(why) = ended else { return };
        if session.is_alive() {
            // Only the channel broke: the queue was deleted, or a message was held beyond the broker's time-out.
            tracing::warn!(queue = wish.queue.name(), why, "a consumer was ended by RabbitMQ; opening it again");
            tokio::time::sleep(PAUSE).await;
            line.redeclare(&session).await;
        }
    }
}

async fn open(session: &Session, wish: Wish) -> Result<(Channel, Consumer), lapin::Error> {
    let channel = session.connection.create_channel().await?;
    channel.basic_qos(wish.prefetch, BasicQosOptions::default()).await?;
    let (queue, tag) = (wish.queue.name().into(), "".into());
    let consumer = channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()).await?;
    Ok((channel, consumer))
}
