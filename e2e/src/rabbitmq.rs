//! The RabbitMQ of a system: a virtual host on the server that all tests of a run share, unless the test mistreats the server itself.

use serde_json::Value;
use testing::rabbitmq::{Options, Server, VirtualHost};

/// Which RabbitMQ a system is given. A server of its own costs five seconds of a processor.
#[derive(Debug, Default)]
pub enum ServerChoice {
    /// A fresh virtual host.
    #[default]
    SharedServer,
    /// A server that may be stopped, killed, wiped and configured.
    OwnServer(Options),
}

/// A running RabbitMQ.
#[derive(Debug)]
pub enum Rabbitmq {
    Shared(VirtualHost),
    Own(Server),
}

impl Rabbitmq {
    pub async fn start(choice: ServerChoice) -> anyhow::Result<Self> {
        Ok(match choice {
            ServerChoice::SharedServer => Self::Shared(testing::rabbitmq::fresh_vhost().await?),
            ServerChoice::OwnServer(options) => Self::Own(Server::start_with(options).await?),
        })
    }

    /// `amqp://user:password@host:port/vhost`
    pub fn url(&self) -> String {
        match self {
            Self::Shared(vhost) => vhost.url().to_owned(),
            Self::Own(server) => server.url(),
        }
    }

    /// The virtual host that the system has for itself, with the management plugin.
    pub fn vhost(&self) -> &VirtualHost {
        match self {
            Self::Shared(vhost) => vhost,
            Self::Own(_) => unreachable!("this system has a server of its own"),
        }
    }

    /// The server that the system has for itself.
    pub fn server(&self) -> &Server {
        match self {
            Self::Own(server) => server,
            Self::Shared(_) => unreachable!("this system shares its server with other tests"),
        }
    }

    /// The same, to be stopped and started.
    pub fn server_mut(&mut self) -> &mut Server {
        match self {
            Self::Own(server) => server,
            Self::Shared(_) => unreachable!("this system shares its server with other tests"),
        }
    }

    /// Calls the management API about this virtual host.
    pub async fn manage(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.vhost().manage(method, path, body).await
    }
}
