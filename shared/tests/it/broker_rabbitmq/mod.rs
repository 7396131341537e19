//! RabbitMQ keeps the contract, and comes through what happens to a real server.

use std::sync::Arc;

use shared::broker::Broker;
use shared::config::{self, Secret};

async fn open(settings: config::Broker) -> (Arc<dyn Broker>, Arc<dyn Broker>, testing::rabbitmq::Broker) {
    let server = testing::rabbitmq::private().await.unwrap();
    let settings = config::Broker { url: Secret::new(server.url()), ..settings };
    let here = shared::broker::open(&settings).await.unwrap();
    let there = shared::broker::open(&settings).await.unwrap();
    assert_eq!(here.kind(), "rabbitmq");
    (here, there, server)
}

testing::test_broker!(open);
