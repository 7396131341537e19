//! Conversations over TLS with a broker whose certificate is signed by an authority of the test's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::Settle;
use configuration::{Config, Secret};
use model::message::{Message, OutboxMessage, Queue, Route};
use testing::tls::CertificateAuthority;
use uuid::Uuid;

fn defaults() -> Config {
    Config::from_layers(None, std::iter::empty()).unwrap()
}

async fn broker(port: u16, plain: &str, ca_file: Option<&Path>) -> Arc<dyn broker::Broker> {
    let (front, back) = plain.rsplit_once('@').unwrap();
    let path = back.split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
    let url = format!("{}@127.0.0.1:{port}{path}", front.replacen("amqp://", "amqps://", 1));
    let ca_file = ca_file.map(Path::to_owned);
    broker::open(&configuration::Broker { url: Secret::new(url), ca_file, ..defaults().broker }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_reached_over_tls_and_its_certificate_is_checked() {
    let authority = CertificateAuthority::of(&["127.0.0.1"]).unwrap();
    let server = testing::rabbitmq::fresh_vhost().await.unwrap();
    let authority_part = server.url().rsplit_once('@').unwrap().1;
    let address = authority_part.split('/').next().unwrap().replace("localhost", "127.0.0.1").parse().unwrap();
    let front = authority.in_front_of(address).await.unwrap();
    let broker_of = async |ca_file: &Path| broker(front.port(), server.url(), Some(ca_file)).await;

    let broker = broker_of(&authority.ca_file()).await;
    let message = OutboxMessage {
        id: Uuid::now_v7(),
        route: Route::now(Queue::Dead),
        message: Message::RunJob { job_id: Uuid::now_v7() },
        traceparent: None,
    };
    testing::eventually(Duration::from_secs(30), "a message is confirmed", async || {
        let confirmed = broker.publish(std::slice::from_ref(&message)).await.remove(0);
        confirmed.map_err(|error| error.to_string())
    })
    .await;
    let mut received = broker.consume(Queue::Dead, 1).await;
    let mut incoming = tokio::time::timeout(Duration::from_secs(30), received.recv()).await.unwrap().unwrap();
    assert_eq!(incoming.message_id, Some(message.id.to_string()));
    incoming.settle(Settle::Ack);
    broker.close(Duration::from_secs(5)).await;

    let stranger = CertificateAuthority::of(&["127.0.0.1"]).unwrap();
    let misled = broker_of(&stranger.ca_file()).await;
    testing::eventually(Duration::from_secs(30), "the certificate is refused", async || {
        let said = misled.check().await.unwrap_err();
        if said.to_lowercase().contains("certificate") { Ok(()) } else { Err(said) }
    })
    .await;
    misled.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("ca.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for file in [folder.path().join("missing.pem"), empty] {
        let settings = configuration::Broker {
            url: Secret::new("amqps://127.0.0.1:1"),
            ca_file: Some(file.clone()),
            ..defaults().broker
        };
        let said = format!("{:#}", broker::open(&settings).await.err().unwrap());
        assert!(said.contains("broker.ca_file") && said.contains(file.to_str().unwrap()), "{said}");
    }
}
