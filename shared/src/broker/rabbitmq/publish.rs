//! Publishes batches: persistent, mandatory, confirmed.
//!
//! A batch has a channel to itself until its last confirm: `lapin` hands a returned message to whichever confirm completes next, so
//! returns can be told apart only when every message they may belong to is at hand, and then by `message_id`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Semaphore;

use crate::backoff::Backoff;
use crate::broker::PublishError;
use crate::broker::topology::{DEAD_EXCHANGE, WORK_EXCHANGE, closest_delay, delay_name};
use crate::config;
use crate::message::{Message, OutboxMessage, Queue};

use super::line::{Line, Session};

/// Batches under way at the same time, each on its own channel.
const AT_ONCE: usize = 8;
/// How soon a batch under way notices that the broker blocks publishers.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Kept through a restart of the broker.
const PERSISTENT: u8 = 2;

/// Publishes on a line.
#[derive(Debug)]
pub(super) struct Publisher {
    line: Arc<Line>,
    permits: Semaphore,
    delays: Backoff,
    timeout: Duration,
}

impl Publisher {
    pub(super) fn new(line: Arc<Line>, config: &config::Broker) -> Self {
        let (delays, timeout) = (config.retry_delays.clone(), config.timeout);
        Self { line, permits: Semaphore::new(AT_ONCE), delays, timeout }
    }

    /// Publishes a batch and waits for all of its confirms, in bounded time.
    pub(super) async fn publish(&self, batch: &[OutboxMessage]) -> Vec<Result<(), PublishError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let Some(session) = self.line.now() else { return unavailable(batch, &self.line.fault()) };
        if let Err(fault) = self.line.check() {
            return unavailable(batch, &fault);
        }
        let confirmed = async {
            let _permit = self.permits.acquire().await.map_err(|closed| closed.to_string())?;
            let channel = take_channel(&session).await.map_err(|error| error.to_string())?;
            let outcomes = self.publish_on(&channel, batch).await.map_err(|error| error.to_string())?;
            session.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
            Ok::<_, String>(outcomes)
        };
        tokio::select! {
            outcome = tokio::time::timeout(self.timeout, confirmed) => match outcome {
                Ok(Ok(outcomes)) => {
                    if outcomes.iter().any(Result::is_err) {
                        self.line.redeclare(&session).await;
                    }
                    outcomes
                }
                Ok(Err(error)) => {
                    session.fail(&error);
                    unavailable(batch, &error)
                }
                Err(_) => {
                    // What the broker still does with this channel can no longer be told apart from what comes next.
                    session.fail("confirms did not come in time");
                    unavailable(batch, "confirms did not come in time")
                }
            },
            () = session.failed.cancelled() => unavailable(batch, "the connection was lost"),
            // The channel is not used again, but the connection stays: it is the one that hears when publishing is free again.
            () = until_blocked(&session) => unavailable(batch, &self.line.check().err().unwrap_or_default()),
        }
    }

    async fn publish_on(
        &self,
        channel: &Channel,
        batch: &[OutboxMessage],
    ) -> Result<Vec<Result<(), PublishError>>, lapin::Error> {
        let sent = batch.iter().map(|message| async move {
            let Ok(body) = serde_json::to_vec(&message.message) else { return Ok(None) };
            let (exchange, key) = self.address(message);
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let properties = properties(message);
            // All of the batch is on its way before the first confirm is waited for: each future sends when first polled.
            let confirm = channel.basic_publish(exchange, key, options, &body, properties).await?;
            confirm.await.map(Some)
        });
        let confirmations: Result<Vec<_>, lapin::Error> = join_all(sent).await.into_iter().collect();
        Ok(attribute(batch, confirmations?))
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
async fn until_blocked(session: &Session) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while !session.connection.status().blocked() {
        looks.tick().await;
    }
}

async fn take_channel(session: &Session) -> Result<Channel, lapin::Error> {
    let idle = session.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    if let Some(channel) = idle.filter(|channel| channel.status().connected()) {
        return Ok(channel);
    }
    let channel = session.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Gives each message of the batch its outcome. `None`: it could not be written and was not sent.
fn attribute(batch: &[OutboxMessage], confirmations: Vec<Option<Confirmation>>) -> Vec<Result<(), PublishError>> {
    let mut accepted = Vec::with_capacity(batch.len());
    let mut returned = HashMap::new();
    for confirmation in confirmations {
        accepted.push(confirmation.as_ref().map(Confirmation::is_ack));
        if let Some(message) = confirmation.and_then(Confirmation::take_message) {
            returned.insert(id_of(&message), message.reply_text.to_string());
        }
    }
    let outcome = |(message, accepted): (&OutboxMessage, Option<bool>)| match accepted {
        None => Err(PublishError::Refused("it cannot be written as JSON".to_owned())),
        Some(_) if returned.contains_key(&Some(message.id.to_string())) => {
            Err(PublishError::Refused(format!("no queue takes `{}`", message.route.queue.routing_key())))
        }
        Some(true) => Ok(()),
        Some(false) => Err(PublishError::Refused(format!("queue {} is full", message.route.queue.name()))),
    };
    batch.iter().zip(accepted).map(outcome).collect()
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

fn unavailable(batch: &[OutboxMessage], why: &str) -> Vec<Result<(), PublishError>> {
    batch.iter().map(|_| Err(PublishError::Unavailable(why.to_owned()))).collect()
}
