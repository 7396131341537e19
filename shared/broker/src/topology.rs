//! Exchanges, queues and bindings, as data. Names are versioned: what is declared once cannot be changed, so a change of an
//! argument is a new name. Arguments are the smallest set that RabbitMQ takes from 3.10 to 4.x.

use std::time::Duration;

use model::message::Queue;
use model::retry_schedule::RetrySchedule;

/// Work and notify queues are bound to it by routing key. It has no alternate exchange, so that a message without a queue is
/// returned to its publisher and does not vanish.
pub(super) const WORK_EXCHANGE: &str = "waitless.work.v1";
/// Dead letters, whatever their routing key.
pub(super) const DEAD_EXCHANGE: &str = "waitless.dead.v1";
/// Events and progress for whoever watches; keys are `job.<tenant>.<job>.<event>`.
pub(super) const EVENTS_EXCHANGE: &str = "waitless.events.v1";
/// What a watching process binds its own queue with.
pub(super) const ALL_EVENTS: &str = "job.#";
/// Binding key of cancels alone.
pub(super) const CANCELS: &str = "job.*.*.cancelled";

/// The newest dead letters are kept; the store has every failed job.
const MAX_DEAD_LETTERS: i64 = 100_000;
/// As good as never: 4.x would otherwise drop a dead letter that somebody looked at twenty times.
const DEAD_DELIVERY_LIMIT: i64 = 1_000_000;

/// How an exchange spreads what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExchangeType {
    Direct,
    Fanout,
    Topic,
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExchangePlan {
    pub(super) name: String,
    pub(super) exchange_type: ExchangeType,
}

/// The value of a queue argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    Text(String),
    Number(i64),
}

/// A durable queue, its arguments and the one binding it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueuePlan {
    pub(super) name: String,
    pub(super) arguments: Vec<(&'static str, Argument)>,
    pub(super) exchange: String,
    pub(super) routing_key: String,
}

/// Everything that must be there before anything is published or consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) exchanges: Vec<ExchangePlan>,
    pub(super) queues: Vec<QueuePlan>,
}

impl Topology {
    pub(super) fn of(config: &configuration::Broker) -> Self {
        let mut exchanges = vec![
            ExchangePlan { name: WORK_EXCHANGE.to_owned(), exchange_type: ExchangeType::Direct },
            ExchangePlan { name: DEAD_EXCHANGE.to_owned(), exchange_type: ExchangeType::Fanout },
            ExchangePlan { name: EVENTS_EXCHANGE.to_owned(), exchange_type: ExchangeType::Topic },
        ];
        // The dead letters stand first: a queue whose dead-letter exchange is missing drops them silently.
        let mut queues = vec![dead_queue()];
        for delay in config.retry_delays.delays() {
            // A fanout keeps the routing key, so that the message returns to the queue it was meant for.
            exchanges.push(ExchangePlan { name: delay_name(*delay), exchange_type: ExchangeType::Fanout });
            queues.push(delay_queue(*delay));
        }
        let consumed = Queue::ALL.into_iter().filter(|queue| *queue != Queue::Dead);
        queues.extend(consumed.map(|queue| consumed_queue(queue, config.delivery_limit)));
        Self { exchanges, queues }
    }
}

fn consumed_queue(queue: Queue, delivery_limit: u32) -> QueuePlan {
    let mut arguments = safe_dead_lettering(DEAD_EXCHANGE);
    // From 4.0 the default is 20, before there is none. A message that comes back this often kills whoever takes it.
    arguments.push(("x-delivery-limit", Argument::Number(i64::from(delivery_limit))));
    QueuePlan { name: queue.name(), arguments, exchange: WORK_EXCHANGE.to_owned(), routing_key: queue.routing_key() }
}

fn delay_queue(delay: Duration) -> QueuePlan {
    let mut arguments = safe_dead_lettering(WORK_EXCHANGE);
    // Of the queue, not of the message: a message's own expiry waits behind longer ones ahead of it.
    arguments.push(("x-message-ttl", Argument::Number(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))));
    let name = delay_name(delay);
    QueuePlan { exchange: name.clone(), name, arguments, routing_key: String::new() }
}

fn dead_queue() -> QueuePlan {
    QueuePlan {
        name: Queue::Dead.name(),
        arguments: vec![
            quorum(),
            // Nobody has to read it, so it must not fill the disk. Its oldest go first, which is the default overflow.
            ("x-max-length", Argument::Number(MAX_DEAD_LETTERS)),
            ("x-delivery-limit", Argument::Number(DEAD_DELIVERY_LIMIT)),
        ],
        exchange: DEAD_EXCHANGE.to_owned(),
        routing_key: String::new(),
    }
}

/// Replicated and fsynced before it confirms.
fn quorum() -> (&'static str, Argument) {
    ("x-queue-type", Argument::Text("quorum".to_owned()))
}

/// Dead lettering that does not lose a message between two queues: it needs all of these together.
fn safe_dead_lettering(to: &str) -> Vec<(&'static str, Argument)> {
    vec![
        quorum(),
        ("x-dead-letter-exchange", Argument::Text(to.to_owned())),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".to_owned())),
        // The strategy is ignored with the default overflow.
        ("x-overflow", Argument::Text("reject-publish".to_owned())),
    ]
}

/// Returns the name of the exchange and queue of a delay, for example `waitless.retry.10m.v1`.
pub(super) fn delay_name(delay: Duration) -> String {
    let written = humantime::format_duration(delay).to_string().replace(' ', "");
    format!("waitless.retry.{written}.v1")
}

/// Returns the configured delay that a message with the wish `wanted` waits for: the shortest that is long enough, else the
/// longest. They differ only after the configuration changed; the due time in the database is the truth either way.
pub(super) fn closest_delay(delays: &RetrySchedule, wanted: Duration) -> Duration {
    let delays = delays.delays();
    delays.iter().find(|delay| **delay >= wanted).or(delays.last()).copied().unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_that_is_no_longer_configured_waits_in_the_next_longer_queue() {
        let delays = RetrySchedule::new([5, 30].map(Duration::from_secs).to_vec()).unwrap();
        for (wanted, closest) in [(1, 5), (5, 5), (6, 30), (30, 30), (600, 30)] {
            assert_eq!(closest_delay(&delays, Duration::from_secs(wanted)), Duration::from_secs(closest));
        }
    }

    #[test]
    fn the_names_of_delay_queues_are_written_as_in_the_configuration() {
        let names: Vec<_> = RetrySchedule::default().delays().iter().map(|delay| delay_name(*delay)).collect();
        let expected = ["5s", "30s", "2m", "10m", "1h"].map(|delay| format!("waitless.retry.{delay}.v1"));
        assert_eq!(names, expected);
    }
}
