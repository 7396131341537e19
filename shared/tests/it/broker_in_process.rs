//! The in-process broker keeps the contract.

use std::sync::Arc;

use shared::broker::Broker;
use shared::config;

async fn open(settings: config::Broker) -> (Arc<dyn Broker>, Arc<dyn Broker>, ()) {
    let broker = shared::broker::open(&settings).await.unwrap();
    assert_eq!(broker.kind(), "in-process");
    (Arc::clone(&broker), broker, ())
}

testing::test_broker!(open);
