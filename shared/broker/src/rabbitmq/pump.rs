//! Carries deliveries of one channel to their consumer, and the consumer's answers back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicRejectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use tokio::sync::{mpsc, oneshot};

use crate::{Incoming, Settle};

use super::consume::ConsumerOptions;

/// How often an idle consumer looks whether it was forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a pump stopped.
#[derive(Debug)]
pub(super) enum PumpEnd {
    /// The receiver has gone, and everything it had taken is settled or given back.
    ReceiverGone,
    /// Channel or connection broke; the broker delivers again what was not acknowledged.
    Broken(String),
}

/// How a message was answered; `Err` when it was dropped.
type SettledDelivery = (u64, Result<Settle, oneshot::error::RecvError>);

/// One consumer on one channel.
pub(super) struct Pump {
    channel: Channel,
    deliveries: Consumer,
    wish: ConsumerOptions,
    /// Delivery tags without an answer of ours at the broker; true: acknowledged by the consumer, to be told with older ones.
    unsettled: BTreeMap<u64, bool>,
    answers: FuturesUnordered<BoxFuture<'static, SettledDelivery>>,
    /// Delivered, but not yet in the consumer's channel. Usually empty: the channel has room for a whole prefetch, and holds
    /// more only after a reconnect, when old messages in it are void.
    waiting: VecDeque<Incoming>,
    /// Whether anything was delivered since the last look, and whether messages were ready then.
    delivered: bool,
    were_ready: bool,
}

impl Pump {
    pub(super) fn new(channel: Channel, deliveries: Consumer, wish: ConsumerOptions) -> Self {
        Self {
            channel,
            deliveries,
            wish,
            unsettled: BTreeMap::new(),
            answers: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            delivered: false,
            were_ready: false,
        }
    }

    pub(super) async fn run(mut self, sender: &mpsc::Sender<Incoming>) -> PumpEnd {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                delivery = self.deliveries.next() => match delivery {
                    Some(Ok(delivery)) => self.take(delivery),
                    Some(Err(error)) => return PumpEnd::Broken(error.to_string()),
                    None => return PumpEnd::Broken("the broker ended the consumer".to_owned()),
                },
                Some(answer) = self.answers.next() => if let Err(why) = self.settle(answer).await {
                    return PumpEnd::Broken(why);
                },
                permit = sender.reserve(), if !self.waiting.is_empty() => {
                    // An error says that the receiver has gone, which the last branch sees as well.
                    if let (Ok(permit), Some(incoming)) = (permit, self.waiting.pop_front()) {
                        permit.send(incoming);
                    }
                }
                _ = looks.tick() => if let Err(why) = self.look().await {
                    return PumpEnd::Broken(why);
                },
                () = sender.closed() => break,
            }
        }
        self.wind_up().await
    }

    fn take(&mut self, delivery: Delivery) {
        self.delivered = true;
        let tag = delivery.delivery_tag;
        let (settle, settled) = oneshot::channel();
        self.unsettled.insert(tag, false);
        self.answers.push(Box::pin(settled.map(move |how| (tag, how))));
        self.waiting.push_back(incoming(delivery, settle));
    }

    /// A quorum queue that is deleted and made anew at once does not end its consumers (3.10): they stay attached, but what the new
    /// queue delivers is taken for old messages and thrown away, until their credit is used up. So: while there is room for
    /// messages, and messages are ready at two looks, something must have come in between.
    async fn look(&mut self) -> Result<(), String> {
        let idle = !std::mem::take(&mut self.delivered) && self.unsettled.len() < usize::from(self.wish.prefetch);
        if !idle {
            self.were_ready = false;
            return Ok(());
        }
        let (name, options) = (self.wish.queue.name().into(), QueueDeclareOptions::durable().passive());
        let looked = self.channel.queue_declare(name, options, FieldTable::default());
        let queue = match tokio::time::timeout(self.wish.timeout, looked).await {
            Ok(looked) => looked.map_err(|error| error.to_string())?,
            Err(_) => return Err("the broker does not answer".to_owned()),
        };
        let ready = queue.message_count() > 0;
        if ready && self.were_ready {
            return Err("messages wait, but none is delivered".to_owned());
        }
        self.were_ready = ready;
        Ok(())
    }

    /// The receiver has gone: no new messages, but what it had taken may still be worked on and is settled as usual.
    async fn wind_up(mut self) -> PumpEnd {
        self.waiting.clear();
        let cancel = self.channel.basic_cancel(self.deliveries.tag(), BasicCancelOptions::default());
        match tokio::time::timeout(self.wish.timeout, cancel).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return PumpEnd::Broken(error.to_string()),
            Err(_) => return PumpEnd::Broken("the broker did not end the consumer in time".to_owned()),
        }
        // What was under way is nobody's: dropping it gives it back.
        while let Some(Some(Ok(delivery))) = self.deliveries.next().now_or_never() {
            self.take(delivery);
            self.waiting.clear();
        }
        while let Some(answer) = self.answers.next().await {
            if let Err(why) = self.settle(answer).await {
                return PumpEnd::Broken(why);
            }
        }
        // Nothing depends on the answer.
        let _closed = tokio::time::timeout(self.wish.timeout, self.channel.close(200, "done".into())).await;
        PumpEnd::ReceiverGone
    }

    /// Tells the broker of this answer and of all others that are there.
    async fn settle(&mut self, first: SettledDelivery) -> Result<(), String> {
        let mut next = Some(first);
        let mut rejects = Vec::new();
        while let Some((tag, how)) = next {
            match how {
                Ok(Settle::Ack) => {
                    self.unsettled.insert(tag, true);
                }
                Ok(Settle::DeadLetter) => rejects.push((tag, false)),
                Err(_dropped) => rejects.push((tag, true)),
            }
            next = self.answers.next().now_or_never().flatten();
        }
        for (tag, _) in &rejects {
            self.unsettled.remove(tag);
        }
        let acks = self.take_acks();
        let channel = &self.channel;
        // Rejections stand first: an acknowledgement of "all up to here" would cover them.
        let rejections = rejects.into_iter().map(|(tag, requeue)| {
            let options = BasicRejectOptions { requeue };
            async move { channel.basic_reject(tag, options).await }.boxed()
        });
        let acks = acks.into_iter().map(|(tag, multiple)| {
            let options = BasicAckOptions { multiple };
            async move { channel.basic_ack(tag, options).await }.boxed()
        });
        let sent = tokio::time::timeout(self.wish.timeout, join_all(rejections.chain(acks))).await;
        match sent.map(|sent| sent.into_iter().collect::<Result<Vec<()>, _>>()) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("acknowledgements could not be sent in time".to_owned()),
        }
    }

    /// Takes what is to be acknowledged: one for everything up to the oldest message that is still being worked on, and one for each
    /// beyond it.
    fn take_acks(&mut self) -> Vec<(u64, bool)> {
        let oldest_held = self.unsettled.iter().find(|(_, acked)| !**acked).map(|(tag, _)| *tag);
        let mut acks = Vec::new();
        let mut up_to = None;
        self.unsettled.retain(|tag, acked| {
            if *acked {
                if oldest_held.is_none_or(|oldest| *tag < oldest) {
                    up_to = Some(*tag);
                } else {
                    acks.push((*tag, false));
                }
            }
            !*acked
        });
        acks.extend(up_to.map(|tag| (tag, true)));
        acks
    }
}

fn incoming(delivery: Delivery, settle: oneshot::Sender<Settle>) -> Incoming {
    let headers = delivery.properties.headers().as_ref();
    let traceparent = headers.and_then(|headers| headers.inner().get("traceparent")).and_then(|value| match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    });
    Incoming {
        message_id: delivery.properties.message_id().as_ref().map(ToString::to_string),
        body: delivery.data,
        redelivered: delivery.redelivered,
        traceparent,
        settle: Some(settle),
    }
}
