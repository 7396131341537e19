//! Messages: doorbells that carry ids. The database holds the truth.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::delivery::Channel;
use crate::job::Lane;
use crate::problem::Problem;

/// The body of a message, tagged and versioned. Readers ignore fields they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Message {
    /// Somebody should look at this job.
    #[serde(rename = "run-job.v1")]
    RunJob {
        /// The job.
        job_id: Uuid,
    },
    /// Somebody should send this delivery.
    #[serde(rename = "send-delivery.v1")]
    SendDelivery {
        /// The delivery.
        delivery_id: Uuid,
    },
    /// A job ended `failed`. For people and tools that watch the dead-letter queue; nothing depends on it.
    #[serde(rename = "dead-job.v1")]
    DeadJob {
        /// The job.
        job_id: Uuid,
        /// Its tenant.
        tenant: String,
        /// Its report.
        report: String,
        /// Why.
        error: Problem,
    },
}

/// A queue somebody consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Jobs of one lane.
    Work(Lane),
    /// Deliveries of one channel.
    Notify(Channel),
    /// Dead letters.
    Dead,
}

impl Queue {
    /// Every queue that is consumed or inspected.
    pub const ALL: [Self; Lane::ALL.len() + Channel::ALL.len() + 1] = {
        let mut all = [Self::Dead; Lane::ALL.len() + Channel::ALL.len() + 1];
        let mut at = 0;
        while at < Lane::ALL.len() {
            all[at] = Self::Work(Lane::ALL[at]);
            at += 1;
        }
        while at < Lane::ALL.len() + Channel::ALL.len() {
            all[at] = Self::Notify(Channel::ALL[at - Lane::ALL.len()]);
            at += 1;
        }
        all
    };

    /// Returns the queue's name on the broker.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Work(lane) => format!("waitless.work.{lane}.v1"),
            Self::Notify(channel) => format!("waitless.notify.{}.v1", channel.as_str()),
            Self::Dead => "waitless.dead.v1".to_owned(),
        }
    }

    /// Returns the routing key under which messages reach the queue, also after a delay.
    #[must_use]
    pub fn routing_key(self) -> String {
        match self {
            Self::Work(lane) => lane.as_str().to_owned(),
            Self::Notify(channel) => format!("notify.{}", channel.as_str()),
            Self::Dead => "dead".to_owned(),
        }
    }

    /// Reads back what [`Queue::routing_key`] wrote.
    #[must_use]
    pub fn from_routing_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.routing_key() == key)
    }
}

/// Where a message goes: a queue, at once or after one of the configured delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// The queue it reaches in the end.
    pub queue: Queue,
    /// One of the configured retry delays, or none.
    pub delay: Option<Duration>,
}

impl Route {
    /// A route without delay.
    #[must_use]
    pub const fn now(queue: Queue) -> Self {
        Self { queue, delay: None }
    }
}

/// A message on its way out: a row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxMessage {
    /// Identity of the row and `message_id` of the message.
    pub id: Uuid,
    /// Where it goes.
    pub route: Route,
    /// What it says.
    pub message: Message,
    /// W3C trace context, as message header.
    pub traceparent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_and_channel_has_a_queue_of_its_own_and_its_key_leads_back_to_it() {
        let names: std::collections::BTreeSet<String> = Queue::ALL.map(Queue::name).into();
        assert_eq!(names.len(), Queue::ALL.len());
        for queue in Lane::ALL.map(Queue::Work).into_iter().chain(Channel::ALL.map(Queue::Notify)).chain([Queue::Dead])
        {
            assert!(Queue::ALL.contains(&queue), "{queue:?}");
            assert_eq!(Queue::from_routing_key(&queue.routing_key()), Some(queue));
        }
    }
}
