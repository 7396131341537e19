//! Asks a queue whether it answers, and deletes and declares anew one that never will.
//!
//! Everything here happens on connections of its own, thrown away afterwards: RabbitMQ ends the connection of a consumer that a
//! queue has not answered for half a minute, and channels with a question under way can be neither used nor closed.

use std::time::Duration;

use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection};
use uuid::Uuid;

use super::connect::Address;
use super::declare::{ACCESS_REFUSED, INTERNAL_ERROR, NOT_FOUND, RESOURCE_LOCKED, code, declare};

/// A queue that needs longer is not well.
const ANSWER: Duration = Duration::from_secs(2);
/// The broker asks the queue's members itself for five seconds before it deletes them by force.
const DELETION: Duration = Duration::from_secs(30);
/// A probe that is left over, because its process was killed, goes by itself.
const PROBE_EXPIRES: Duration = Duration::from_secs(60);

/// What came of asking.
#[derive(Debug)]
pub(super) enum ProbeOutcome {
    /// It answers, or there is no such queue, which others notice and mend.
    Given,
    /// It does not, although the broker let us ask.
    None,
    /// The broker's own process for it is not there: whoever asks is cut off at once.
    Broken(String),
    /// The broker cannot be reached, or this user may not ask.
    Unknown(String),
}

/// What came of remaking.
#[derive(Debug)]
pub(super) enum RecreateOutcome {
    Yes,
    NotNow(&'static str),
}

/// Asks a queue whether it answers: by opening a consumer and ending it. Nothing else that leaves the messages alone needs the
/// queue's leader.
///
/// The consumer is given no credit, so no message: a queue that wakes up late would give it to a consumer whose connection has hung
/// up long ago, and not always find that out. Versions that know no credit (4.0 and later) give at most one, and only when nobody
/// else would take it.
pub(super) async fn ask(address: &Address, queue: &str) -> ProbeOutcome {
    let connection = match address.connect("ask").await {
        Ok(connection) => connection,
        Err(why) => return ProbeOutcome::Unknown(why),
    };
    let answer = ask_on(&connection, address.timeout, queue).await;
    hang_up(connection);
    answer
}

async fn ask_on(connection: &Connection, timeout: Duration, queue: &str) -> ProbeOutcome {
    let channel = match tokio::time::timeout(timeout, connection.create_channel()).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return ProbeOutcome::Unknown(error.to_string()),
        Err(_) => return ProbeOutcome::Unknown("the broker does not answer".to_owned()),
    };
    let asked = async {
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        let (mut arguments, mut credit) = (FieldTable::default(), FieldTable::default());
        credit.insert("credit".into(), AMQPValue::LongLongInt(0));
        credit.insert("drain".into(), AMQPValue::Boolean(false));
        arguments.insert("x-credit".into(), AMQPValue::FieldTable(credit));
        arguments.insert("x-priority".into(), AMQPValue::LongInt(-100));
        let consumer =
            channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), arguments).await?;
        channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(())) => ProbeOutcome::Given,
        Ok(Err(error)) if code(&error) == Some(NOT_FOUND) => ProbeOutcome::Given,
        Ok(Err(error)) if code(&error) == Some(INTERNAL_ERROR) => ProbeOutcome::Broken(error.to_string()),
        Ok(Err(error)) => ProbeOutcome::Unknown(error.to_string()),
        Err(_) => ProbeOutcome::None,
    }
}

/// Deletes and declares anew a queue that has not answered for long.
///
/// # Errors
/// Says what hinders it, and what to do.
pub(super) async fn recreate(address: &Address, queue: &str) -> Result<RecreateOutcome, String> {
    let connection = address.connect("recreate").await?;
    let remade = remake_on(&connection, address, queue).await;
    // The lock goes with the connection.
    hang_up(connection);
    remade
}

async fn remake_on(connection: &Connection, address: &Address, queue: &str) -> Result<RecreateOutcome, String> {
    let broken = |error: lapin::Error| format!("remaking it failed: {error}");
    if !take_lock(connection, address.timeout, queue).await? {
        return Ok(RecreateOutcome::NotNow("another process is at it"));
    }
    match tokio::time::timeout(ANSWER, probe(connection)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if code(&error) == Some(ACCESS_REFUSED) => return Err(not_allowed(queue)),
        Ok(Err(error)) => return Err(broken(error)),
        Err(_) => return Ok(RecreateOutcome::NotNow("a new queue does not answer in time either")),
    }
    if !matches!(ask(address, queue).await, ProbeOutcome::None | ProbeOutcome::Broken(_)) {
        return Ok(RecreateOutcome::NotNow("it answers after all"));
    }
    let deleted = async {
        let channel = connection.create_channel().await?;
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await
    };
    match tokio::time::timeout(DELETION, deleted).await {
        Ok(Ok(_messages)) => {}
        Ok(Err(error)) if code(&error) == Some(NOT_FOUND) => {}
        Ok(Err(error)) if code(&error) == Some(ACCESS_REFUSED) => return Err(not_allowed(queue)),
        Ok(Err(error)) => return Err(broken(error)),
        Err(_) => return Err("it cannot be deleted in time; it is tried again".to_owned()),
    }
    match tokio::time::timeout(address.timeout, declare(connection, &address.topology)).await {
        Ok(Ok(())) => Ok(RecreateOutcome::Yes),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it was deleted, but cannot be declared anew in time; it is tried again".to_owned()),
    }
}

fn not_allowed(queue: &str) -> String {
    format!("this user may not delete it: delete {queue} and declare it anew, or grant `configure` on waitless.*")
}

/// Takes the one lock there is for remaking a queue: an exclusive queue, which goes with the connection that declared it, also
/// when the process is killed. False when somebody else has it.
async fn take_lock(connection: &Connection, timeout: Duration, queue: &str) -> Result<bool, String> {
    let declared = async {
        let name = format!("waitless.remaking.{queue}");
        let channel = connection.create_channel().await?;
        channel.queue_declare(name.into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await
    };
    match tokio::time::timeout(timeout, declared).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) => match code(&error) {
            Some(RESOURCE_LOCKED) => Ok(false),
            Some(ACCESS_REFUSED) => Err(not_allowed(queue)),
            _ => Err(format!("remaking it failed: {error}")),
        },
        Err(_) => Err("the broker does not answer; it is tried again".to_owned()),
    }
}

/// Makes sure that the broker elects leaders and writes to its disk: a new quorum queue has to confirm a message.
pub(super) async fn probe(connection: &Connection) -> Result<(), lapin::Error> {
    let name = format!("waitless.probe.{}", Uuid::new_v4().simple());
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let expires = i64::try_from(PROBE_EXPIRES.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(expires));
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let properties = BasicProperties::default().with_delivery_mode(2);
    channel.basic_publish("".into(), name.as_str().into(), options, b"probe", properties).await?.await?;
    channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.map(drop)
}

/// Closes a connection without waiting for it: with a question under way the broker takes seconds to answer.
fn hang_up(connection: Connection) {
    tokio::spawn(async move {
        let _dropped = tokio::time::timeout(ANSWER, connection.close(200, "done".into())).await;
    });
}
