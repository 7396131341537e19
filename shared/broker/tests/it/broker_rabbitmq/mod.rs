//! RabbitMQ keeps the contract, and comes through what happens to a real server.

mod outages;
mod silence;
mod topology;

use std::sync::Arc;

use broker::Broker;
use configuration::Secret;

async fn open(settings: configuration::Broker) -> (Arc<dyn Broker>, Arc<dyn Broker>, testing::rabbitmq::VirtualHost) {
    let server = testing::rabbitmq::fresh_vhost().await.unwrap();
    let here = open_at(server.url(), settings.clone()).await;
    let there = open_at(server.url(), settings).await;
    assert_eq!(here.kind(), "rabbitmq");
    (here, there, server)
}

async fn open_at(url: &str, settings: configuration::Broker) -> Arc<dyn Broker> {
    broker::open(&configuration::Broker { url: Secret::new(url), ..settings }).await.unwrap()
}

testing::test_broker!(open);
