//! Publishes batches: persistent, mandatory, confirmed.
//!
//! A batch is split by the queue its messages enter, so that a queue that does not answer fails nobody's messages but its own. Each
//! part has a channel to itself until its last confirm: `lapin` hands a returned message to whichever confirm completes next, so
//! returns can be told apart only when every message they may belong to is at hand, and then by `message_id`.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Semaphore;

use crate::PublishError;
use crate::topology::{DEAD_EXCHANGE, WORK_EXCHANGE, closest_delay, delay_name};
use model::message::{Message, OutboxMessage, Queue};
use model::retry_schedule::RetrySchedule;

use super::repair::QueueRepair;
use super::session::BrokerSession;
use super::supervised::SupervisedConnection;

/// Parts of batches under way at the same time to one queue, each on its own channel.
const AT_ONCE: usize = 8;
/// Messages of a part. RabbitMQ stops reading from a connection, whatever else is on it, when a channel has more than 400 messages
/// that their queue has not taken.
const PART: usize = 256;
/// How soon a batch under way notices that the broker blocks publishers.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Kept through a restart of the broker.
const PERSISTENT: u8 = 2;

/// Publishes on a line.
#[derive(Debug)]
pub(super) struct Publisher {
    supervised: Arc<SupervisedConnection>,
    repair: Arc<QueueRepair>,
    /// One semaphore a queue, so that none can take the others' places.
    permits: Mutex<HashMap<String, Arc<Semaphore>>>,
    delays: RetrySchedule,
    timeout: Duration,
}

type PublishResult = Result<(), PublishError>;

impl Publisher {
    pub(super) fn new(
        supervised: Arc<SupervisedConnection>,
        repair: Arc<QueueRepair>,
        config: &configuration::Broker,
    ) -> Self {
        let (delays, timeout) = (config.retry_delays.clone(), config.timeout);
        Self { supervised, repair, permits: Mutex::default(), delays, timeout }
    }

    /// Publishes a batch and waits for all of its confirms, in bounded time.
    pub(super) async fn publish(&self, batch: &[OutboxMessage]) -> Vec<PublishResult> {
        if batch.is_empty() {
            return Vec::new();
        }
        let Some(session) = self.supervised.now() else { return unavailable(batch.len(), &self.supervised.fault()) };
        if let Err(fault) = self.supervised.check() {
            return unavailable(batch.len(), &fault);
        }
        let mut entries: BTreeMap<String, Vec<(usize, &OutboxMessage)>> = BTreeMap::new();
        for (at, message) in batch.iter().enumerate() {
            entries.entry(self.entry(message)).or_default().push((at, message));
        }
        let parts = entries.iter().flat_map(|(queue, messages)| messages.chunks(PART).map(move |part| (queue, part)));
        let published = parts.map(|(queue, part)| {
            let session = &session;
            async move {
                let messages: Vec<&OutboxMessage> = part.iter().map(|(_, message)| *message).collect();
                let outcomes = self.publish_part(session, queue, &messages).await;
                part.iter().map(|(at, _)| *at).zip(outcomes).collect::<Vec<_>>()
            }
        });
        let mut outcomes: Vec<_> = join_all(published).await.into_iter().flatten().collect();
        outcomes.sort_unstable_by_key(|(at, _)| *at);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Publishes messages that all enter the same queue.
    async fn publish_part(&self, session: &BrokerSession, queue: &str, part: &[&OutboxMessage]) -> Vec<PublishResult> {
        if self.repair.is_silent(queue) {
            return silent(part.len(), queue);
        }
        let since = Instant::now();
        let confirmed = async {
            let permits = self.permits_of(queue);
            let _permit = permits.acquire().await.map_err(|closed| closed.to_string())?;
            let channel = take_channel(session).await.map_err(|error| error.to_string())?;
            let taken = self.publish_on(&channel, part).await.map_err(|error| error.to_string())?;
            session.note_confirm();
            session.idle.lock().push(channel);
            Ok::<_, String>(taken)
        };
        tokio::select! {
            outcome = tokio::time::timeout(self.timeout, confirmed) => match outcome {
                Ok(Ok(taken)) => {
                    self.see_to(session, queue, &taken).await;
                    taken.into_iter().zip(part).map(|(taken, message)| taken.answer(message)).collect()
                }
                Ok(Err(error)) => {
                    session.fail(&error);
                    unavailable(part.len(), &error)
                }
                // Others were confirmed meanwhile. The channel is not used again: what the broker still does with it can no
                // longer be told apart from what comes next.
                Err(_) if session.has_confirmed_since(since + self.timeout / 2) => silent(part.len(), queue),
                Err(_) => {
                    session.fail("confirms did not come in time");
                    unavailable(part.len(), "confirms did not come in time")
                }
            },
            () = self.repair.watch_over(queue) => {
                // Also because channels that published to the queue before count their messages, and one made anew waits for the first.
                session.retire();
                silent(part.len(), queue)
            }
            () = session.failed.cancelled() => unavailable(part.len(), "the connection was lost"),
            // The channel is not used again, but the connection stays: it is the one that hears when publishing is free again.
            () = until_blocked(session) => unavailable(part.len(), &self.supervised.check().err().unwrap_or_default()),
        }
    }

    fn permits_of(&self, queue: &str) -> Arc<Semaphore> {
        let mut permits = self.permits.lock();
        Arc::clone(permits.entry(queue.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
    }

    /// Does something about what hindered the messages of a part.
    async fn see_to(&self, session: &BrokerSession, queue: &str, taken: &[MessageFate]) {
        if taken.contains(&MessageFate::Returned) {
            self.supervised.redeclare(session).await;
        }
        if taken.contains(&MessageFate::NotTaken) {
            self.repair.report_refusal(queue);
        } else if taken.contains(&MessageFate::Taken) {
            self.repair.note_answer(queue);
        }
    }

    async fn publish_on(&self, channel: &Channel, part: &[&OutboxMessage]) -> Result<Vec<MessageFate>, lapin::Error> {
        let sent = part.iter().map(|message| async move {
            let Ok(body) = serde_json::to_vec(&message.message) else { return Ok(None) };
            let (exchange, key) = self.address(message);
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let properties = properties(message);
            // All of the part is on its way before the first confirm is waited for: each future sends when first polled.
            let confirm = channel.basic_publish(exchange, key, options, &body, properties).await?;
            confirm.await.map(Some)
        });
        let confirmations: Result<Vec<_>, lapin::Error> = join_all(sent).await.into_iter().collect();
        Ok(attribute(part, confirmations?))
    }

    /// Returns the queue that a message enters first: the one that has to confirm it.
    fn entry(&self, message: &OutboxMessage) -> String {
        match message.route.delay {
            Some(delay) => delay_name(closest_delay(&self.delays, delay)),
            None => message.route.queue.name(),
        }
    }

    fn address(&self, message: &OutboxMessage) -> (ShortString, ShortString) {
        let exchange = match (message.route.queue, message.route.delay) {
            (_, Some(delay)) => delay_name(closest_delay(&self.delays, delay)),
            (Queue::Dead, None) => DEAD_EXCHANGE.to_owned(),
            (_, None) => WORK_EXCHANGE.to_owned(),
        };
        (exchange.into(), message.route.queue.routing_key().into())
    }
}

/// Returns when the broker has told that it takes nothing more; which it does only after it was sent something.
async fn until_blocked(session: &BrokerSession) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while !session.connection.status().blocked() {
        looks.tick().await;
    }
}

async fn take_channel(session: &BrokerSession) -> Result<Channel, lapin::Error> {
    let idle = session.idle.lock().pop();
    if let Some(channel) = idle.filter(|channel| channel.status().connected()) {
        return Ok(channel);
    }
    let channel = session.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// What the broker did with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageFate {
    Taken,
    /// It could not be written and was not sent.
    Unwritable,
    /// No queue is bound for it.
    Returned,
    /// A full queue does so, and one without a leader.
    NotTaken,
}

impl MessageFate {
    fn answer(self, message: &OutboxMessage) -> PublishResult {
        let refused = match self {
            Self::Taken => return Ok(()),
            Self::Unwritable => "it cannot be written as JSON".to_owned(),
            Self::Returned => format!("no queue takes `{}`", message.route.queue.routing_key()),
            Self::NotTaken => {
                format!("queue {} does not take it: it is full, or out of order", message.route.queue.name())
            }
        };
        Err(PublishError::Refused(refused))
    }
}

/// Gives each message of the part its fate. `None`: it could not be written.
fn attribute(part: &[&OutboxMessage], confirmations: Vec<Option<Confirmation>>) -> Vec<MessageFate> {
    let mut accepted = Vec::with_capacity(part.len());
    let mut returned = HashSet::new();
    for confirmation in confirmations {
        accepted.push(confirmation.as_ref().map(Confirmation::is_ack));
        returned.extend(confirmation.and_then(Confirmation::take_message).map(|message| id_of(&message)));
    }
    let fate = |(message, accepted): (&&OutboxMessage, Option<bool>)| match accepted {
        None => MessageFate::Unwritable,
        Some(_) if returned.contains(&Some(message.id.to_string())) => MessageFate::Returned,
        Some(true) => MessageFate::Taken,
        Some(false) => MessageFate::NotTaken,
    };
    part.iter().zip(accepted).map(fate).collect()
}

fn id_of(message: &BasicReturnMessage) -> Option<String> {
    message.delivery.properties.message_id().as_ref().map(ToString::to_string)
}

fn properties(message: &OutboxMessage) -> BasicProperties {
    let mut headers = FieldTable::default();
    let mut header = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    if let Some(traceparent) = &message.traceparent {
        header("traceparent", traceparent);
    }
    if let Message::DeadJob { tenant, report, error, .. } = &message.message {
        // For people and tools that sort dead letters without reading bodies.
        header("waitless-tenant", tenant);
        header("waitless-report", report);
        header("waitless-reason", error.kind.describe().0);
    }
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(message.id.to_string().into())
        .with_headers(headers)
}

fn unavailable(count: usize, why: &str) -> Vec<PublishResult> {
    vec![Err(PublishError::Unavailable(why.to_owned())); count]
}

fn silent(count: usize, queue: &str) -> Vec<PublishResult> {
    vec![Err(PublishError::Silent(queue.to_owned())); count]
}
