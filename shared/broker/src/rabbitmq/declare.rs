//! Makes sure that the topology is there, and says what is wrong when it is there in another shape.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use crate::topology::{Argument, ExchangePlan, ExchangeType, QueuePlan, Topology};

/// Reply codes of AMQP 0-9-1.
pub(super) const ACCESS_REFUSED: u16 = 403;
pub(super) const NOT_FOUND: u16 = 404;
pub(super) const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;
pub(super) const INTERNAL_ERROR: u16 = 541;

/// Why the topology could not be made sure of.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeclareError {
    /// Somebody declared it before, otherwise.
    #[error(
        "{what} exists with other settings ({difference}); change the configuration to match, or delete it: jobs whose \
         messages go with it are rung again"
    )]
    Mismatch { what: String, difference: String },
    /// It is not there and this account may not make it.
    #[error("{what} does not exist and this user may not declare it; grant `configure` on waitless.* or declare it")]
    Forbidden { what: String },
    /// The connection broke, or something nobody expected.
    #[error("cannot declare {what}: {error}", what = .0.0, error = .0.1)]
    Broken(Box<(String, lapin::Error)>),
}

impl DeclareError {
    fn broken(what: &str, error: lapin::Error) -> Self {
        Self::Broken(Box::new((what.to_owned(), error)))
    }
}

/// Declares all of `topology` that is missing, and compares what is there.
pub(super) async fn declare(connection: &Connection, topology: &Topology) -> Result<(), DeclareError> {
    let mut declarer = Declarer { connection, channel: None };
    for exchange in &topology.exchanges {
        declarer.ensure(&Declarable::Exchange(exchange)).await?;
    }
    for queue in &topology.queues {
        declarer.ensure(&Declarable::Queue(queue)).await?;
    }
    for queue in &topology.queues {
        declarer.bind(queue).await?;
    }
    declarer.finish().await;
    Ok(())
}

/// How something of the topology stands, seen by somebody who changes nothing.
#[derive(Debug)]
pub(super) enum FoundAs {
    /// As it would be declared.
    AsPlanned,
    /// Not there yet.
    Missing,
    /// There, and this user may not compare it.
    NotComparable,
    /// Declared before, otherwise.
    Otherwise(DeclareError),
}

/// Compares what is there with `topology`, and makes nothing. Returns each thing by name.
pub(super) async fn compare(
    connection: &Connection,
    topology: &Topology,
) -> Result<Vec<(String, FoundAs)>, DeclareError> {
    let mut declarer = Declarer { connection, channel: None };
    let exchanges = topology.exchanges.iter().map(Declarable::Exchange);
    let mut found = Vec::new();
    for thing in exchanges.chain(topology.queues.iter().map(Declarable::Queue)) {
        found.push((thing.what(), declarer.look(&thing).await?));
    }
    declarer.finish().await;
    Ok(found)
}

enum Declarable<'a> {
    Exchange(&'a ExchangePlan),
    Queue(&'a QueuePlan),
}

impl Declarable<'_> {
    fn what(&self) -> String {
        match self {
            Self::Exchange(exchange) => format!("exchange {}", exchange.name),
            Self::Queue(queue) => format!("queue {}", queue.name),
        }
    }

    async fn declare(&self, channel: &Channel, passive: bool) -> Result<(), lapin::Error> {
        match self {
            Self::Exchange(exchange) => {
                let kind = match exchange.exchange_type {
                    ExchangeType::Direct => ExchangeKind::Direct,
                    ExchangeType::Fanout => ExchangeKind::Fanout,
                    ExchangeType::Topic => ExchangeKind::Topic,
                };
                let options = ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() };
                channel.exchange_declare(exchange.name.as_str().into(), kind, options, FieldTable::default()).await
            }
            Self::Queue(queue) => {
                let options = QueueDeclareOptions { passive, durable: true, ..QueueDeclareOptions::default() };
                let declared = channel.queue_declare(queue.name.as_str().into(), options, arguments(queue)).await;
                declared.map(|_| ())
            }
        }
    }
}

/// Any refusal closes the channel it came on, so a channel is only borrowed and thrown away after an error.
struct Declarer<'a> {
    connection: &'a Connection,
    channel: Option<Channel>,
}

impl Declarer<'_> {
    /// Looks first and declares second: an account that may not configure anything can still use what an operator made.
    async fn ensure(&mut self, thing: &Declarable<'_>) -> Result<(), DeclareError> {
        let what = thing.what();
        let missing = match self.declare(thing, true).await {
            Ok(()) => false,
            Err(error) if code(&error) == Some(NOT_FOUND) => true,
            // Of another type than the one asked about.
            Err(error) if code(&error) == Some(PRECONDITION_FAILED) => return Err(mismatch(what, &error)),
            Err(error) => return Err(DeclareError::broken(&what, error)),
        };
        // Looking does not compare arguments; declaring again does.
        match self.declare(thing, false).await {
            Ok(()) => Ok(()),
            Err(error) => match code(&error) {
                Some(PRECONDITION_FAILED) => Err(mismatch(what, &error)),
                Some(ACCESS_REFUSED) if missing => Err(DeclareError::Forbidden { what }),
                Some(ACCESS_REFUSED) => Ok(()),
                _ => Err(DeclareError::broken(&what, error)),
            },
        }
    }

    /// Looks first, since to declare what is missing would make it.
    async fn look(&mut self, thing: &Declarable<'_>) -> Result<FoundAs, DeclareError> {
        for passive in [true, false] {
            let Err(error) = self.declare(thing, passive).await else { continue };
            return match code(&error) {
                Some(NOT_FOUND) => Ok(FoundAs::Missing),
                Some(PRECONDITION_FAILED) => Ok(FoundAs::Otherwise(mismatch(thing.what(), &error))),
                Some(ACCESS_REFUSED) => Ok(FoundAs::NotComparable),
                _ => Err(DeclareError::broken(&thing.what(), error)),
            };
        }
        Ok(FoundAs::AsPlanned)
    }

    async fn declare(&mut self, thing: &Declarable<'_>, passive: bool) -> Result<(), lapin::Error> {
        let channel = self.channel().await?;
        let declared = thing.declare(&channel, passive).await;
        if declared.is_ok() {
            self.channel = Some(channel);
        }
        declared
    }

    async fn bind(&mut self, queue: &QueuePlan) -> Result<(), DeclareError> {
        let what = format!("the binding of queue {}", queue.name);
        let channel = self.channel().await.map_err(|error| DeclareError::broken(&what, error))?;
        let (name, exchange) = (queue.name.as_str().into(), queue.exchange.as_str().into());
        let key = queue.routing_key.as_str().into();
        match channel.queue_bind(name, exchange, key, QueueBindOptions::default(), FieldTable::default()).await {
            Ok(()) => {
                self.channel = Some(channel);
                Ok(())
            }
            // The operator's to make. A missing binding shows itself: messages are returned.
            Err(error) if code(&error) == Some(ACCESS_REFUSED) => Ok(()),
            Err(error) => Err(DeclareError::broken(&what, error)),
        }
    }

    async fn channel(&mut self) -> Result<Channel, lapin::Error> {
        match self.channel.take() {
            Some(channel) => Ok(channel),
            None => self.connection.create_channel().await,
        }
    }

    async fn finish(self) {
        if let Some(channel) = self.channel {
            // Done with it; a connection that broke meanwhile shows itself elsewhere.
            let _closed = channel.close(200, "declared".into()).await;
        }
    }
}

fn arguments(queue: &QueuePlan) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in &queue.arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
        };
        table.insert((*name).into(), value);
    }
    table
}

fn mismatch(what: String, error: &lapin::Error) -> DeclareError {
    let difference = match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        _ => error.to_string(),
    };
    DeclareError::Mismatch { what, difference }
}

/// Returns the AMQP reply code of an error that the broker sent.
pub(super) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}
