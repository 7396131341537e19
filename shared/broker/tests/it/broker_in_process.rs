//! The in-process broker keeps the contract.

use std::sync::Arc;

use broker::Broker;

async fn open(settings: configuration::Broker) -> (Arc<dyn Broker>, Arc<dyn Broker>, ()) {
    let broker = broker::open(&settings).await.unwrap();
    assert_eq!(broker.kind(), "in-process");
    (Arc::clone(&broker), broker, ())
}

testing::test_broker!(open);
