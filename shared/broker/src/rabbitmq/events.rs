//! Events to every process: best effort, not persistent, not confirmed. Whoever misses one looks at the store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::BroadcastReceiver;
use crate::topology::{ALL_EVENTS, CANCELS, EVENTS_EXCHANGE};
use model::event::{Broadcast, EventKind};

use super::session::BrokerSession;
use super::supervised::SupervisedConnection;

/// Events that may wait for a slow broker; then the oldest are forgotten.
const OUTGOING: usize = 4_096;
/// Events a slow listener of this process may be behind.
const INCOMING: usize = 8_192;
/// Events sent together.
const AT_ONCE: usize = 256;
/// Pause before events are listened to again on a connection that still works.
const PAUSE: Duration = Duration::from_millis(200);

/// Both directions of one process.
#[derive(Debug)]
pub(super) struct Events {
    outgoing: broadcast::Sender<Arc<Broadcast>>,
    listeners: Listeners,
}

/// Which events are wanted, from fewer to more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventInterest {
    Nothing,
    Cancels,
    All,
}

/// Who listens in this process. Without anybody it has no queue and takes no events.
#[derive(Debug, Clone)]
struct Listeners {
    all: broadcast::Sender<Arc<Broadcast>>,
    cancels: broadcast::Sender<Arc<Broadcast>>,
    /// Changes with each new listener.
    asked: watch::Sender<()>,
    /// Grows each time the broker begins to send, because what was sent before is missed.
    gaps: watch::Sender<u64>,
}

impl Listeners {
    fn new() -> Self {
        let (all, cancels) = (broadcast::Sender::new(INCOMING), broadcast::Sender::new(INCOMING));
        Self { all, cancels, asked: watch::Sender::new(()), gaps: watch::Sender::new(0) }
    }

    fn wanted(&self) -> EventInterest {
        match (self.all.receiver_count(), self.cancels.receiver_count()) {
            (0, 0) => EventInterest::Nothing,
            (0, _) => EventInterest::Cancels,
            _ => EventInterest::All,
        }
    }

    fn tell(&self, message: Arc<Broadcast>) {
        // Errors only say that nobody listens.
        if matches!(message.as_ref(), Broadcast::Event(event) if event.kind == EventKind::Cancelled) {
            let _cancels = self.cancels.send(Arc::clone(&message));
        }
        let _all = self.all.send(message);
    }
}

/// What both directions need.
#[derive(Clone)]
struct EventRoute {
    supervised: Arc<SupervisedConnection>,
    timeout: Duration,
    /// Own events are given to own listeners directly, and passed over when they come back.
    sender: ShortString,
}

impl Events {
    pub(super) fn start(
        publishing: Arc<SupervisedConnection>,
        consuming: Arc<SupervisedConnection>,
        tasks: &TaskTracker,
        closed: &CancellationToken,
        timeout: Duration,
    ) -> Self {
        let (outgoing, to_send) = broadcast::channel(OUTGOING);
        let listeners = Listeners::new();
        let sender = ShortString::from(Uuid::new_v4().to_string());
        let out = EventRoute { supervised: publishing, timeout, sender: sender.clone() };
        let back = EventRoute { supervised: consuming, timeout, sender };
        tasks.spawn(until_closed(closed.clone(), send(out, to_send)));
        tasks.spawn(until_closed(closed.clone(), listen(back, listeners.clone())));
        Self { outgoing, listeners }
    }

    pub(super) fn broadcast(&self, message: Broadcast) {
        let message = Arc::new(message);
        self.listeners.tell(Arc::clone(&message));
        // An error only says that the process is about to close.
        let _sending = self.outgoing.send(message);
    }

    pub(super) fn subscribe(&self, wanted: EventInterest) -> BroadcastReceiver {
        let Listeners { all, cancels, asked, gaps } = &self.listeners;
        let from = if wanted == EventInterest::All { all } else { cancels };
        let listening = BroadcastReceiver::with_gaps(from.subscribe(), gaps.subscribe());
        asked.send_replace(());
        listening
    }
}

async fn until_closed(closed: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = closed.cancelled() => {}
        () = work => {}
    }
}

async fn send(route: EventRoute, mut outgoing: broadcast::Receiver<Arc<Broadcast>>) {
    let mut channel: Option<Channel> = None;
    let mut batch = Vec::new();
    loop {
        match outgoing.recv().await {
            Ok(event) => batch.push(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => forget(missed),
            Err(broadcast::error::RecvError::Closed) => return,
        }
        while batch.len() < AT_ONCE
            && let Ok(event) = outgoing.try_recv()
        {
            batch.push(event);
        }
        // What is sent to a blocked connection piles up in memory.
        let session = route.supervised.now().filter(|session| !session.connection.status().blocked());
        let Some(session) = session else {
            forget(batch.len() as u64);
            batch.clear();
            channel = None;
            continue;
        };
        let sending = send_batch(&session, channel.take(), &batch, &route.sender);
        match tokio::time::timeout(route.timeout, sending).await {
            Ok(Ok(used)) => channel = Some(used),
            Ok(Err(error)) => {
                tracing::debug!(%error, "events were not sent");
                forget(batch.len() as u64);
            }
            Err(_) => {
                session.fail("events could not be sent in time");
                forget(batch.len() as u64);
            }
        }
        batch.clear();
    }
}

fn forget(events: u64) {
    metrics::counter!("waitless_events_forgotten_total").increment(events);
}

async fn send_batch(
    session: &BrokerSession,
    channel: Option<Channel>,
    batch: &[Arc<Broadcast>],
    sender: &ShortString,
) -> Result<Channel, lapin::Error> {
    let channel = match channel.filter(|channel| channel.status().connected()) {
        Some(channel) => channel,
        None => session.connection.create_channel().await?,
    };
    let target = &channel;
    let sent = batch.iter().map(|event| async move {
        let Ok(body) = serde_json::to_vec(event.as_ref()) else { return Ok(()) };
        let properties = BasicProperties::default().with_app_id(sender.clone());
        let options = BasicPublishOptions::default();
        target.basic_publish(EVENTS_EXCHANGE.into(), routing_key(event), options, &body, properties).await?;
        Ok(())
    });
    join_all(sent).await.into_iter().collect::<Result<Vec<()>, lapin::Error>>()?;
    Ok(channel)
}

/// Returns `job.<tenant>.<job>.<event>`. A dot would add a level and the whole has room for 255 bytes, so the tenant is cut and
/// cleaned; readers go by the body.
fn routing_key(event: &Broadcast) -> ShortString {
    let tenant: String = event.caller().tenant.chars().take(100).map(plain).collect();
    let kind = match event {
        Broadcast::Event(event) => event.kind.as_str(),
        Broadcast::Progress { .. } => "progress",
    };
    format!("job.{tenant}.{}.{kind}", event.job_id()).into()
}

fn plain(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' }
}

/// Keeps a queue for exactly what is wanted in this process.
async fn listen(route: EventRoute, listeners: Listeners) {
    let mut asked = listeners.asked.subscribe();
    loop {
        asked.mark_unchanged();
        let wanted = listeners.wanted();
        if wanted == EventInterest::Nothing {
            // An error only says that the process is about to close.
            if asked.changed().await.is_err() {
                return;
            }
            continue;
        }
        let session = route.supervised.session().await;
        match tokio::time::timeout(route.timeout, open(&session, wanted)).await {
            Ok(Ok((channel, deliveries))) => {
                listeners.gaps.send_modify(|gaps| *gaps += 1);
                let changed = tokio::select! {
                    changed = pass_on(deliveries, &listeners, wanted, &mut asked, &route.sender) => changed,
                    () = session.failed.cancelled() => false,
                };
                // A queue goes with its consumer; the next takes its place.
                let _closed = tokio::time::timeout(route.timeout, channel.close(200, "over".into())).await;
                if changed {
                    continue;
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "events cannot be listened to"),
            Err(_) => session.fail("events could not be listened to in time"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The queue is this connection's own and goes with it, so every session makes a new one; its name is the broker's choice.
async fn open(session: &BrokerSession, wanted: EventInterest) -> Result<(Channel, Consumer), lapin::Error> {
    let channel = session.connection.create_channel().await?;
    let options = QueueDeclareOptions::exclusive().auto_delete();
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?.name().clone();
    let key = if wanted == EventInterest::All { ALL_EVENTS } else { CANCELS };
    let (exchange, key) = (EVENTS_EXCHANGE.into(), key.into());
    channel.queue_bind(queue.clone(), exchange, key, QueueBindOptions::default(), FieldTable::default()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

/// Hands events on until the broker ends them (`false`) or something else is wanted (`true`).
async fn pass_on(
    mut deliveries: Consumer,
    listeners: &Listeners,
    wanted: EventInterest,
    asked: &mut watch::Receiver<()>,
    own: &ShortString,
) -> bool {
    loop {
        let delivered = tokio::select! {
            delivered = deliveries.next() => Some(delivered),
            // Looked at below; one more listener may want what comes already.
            Ok(()) = asked.changed() => None,
        };
        if listeners.wanted() != wanted {
            return true;
        }
        let delivery = match delivered {
            Some(Some(Ok(delivery))) => delivery,
            Some(_) => return false,
            None => continue,
        };
        if delivery.properties.app_id().as_ref() == Some(own) {
            continue;
        }
        match serde_json::from_slice(&delivery.data) {
            Ok(message) => listeners.tell(Arc::new(message)),
            Err(error) => tracing::debug!(%error, "an event of another version was passed over"),
        }
    }
}
