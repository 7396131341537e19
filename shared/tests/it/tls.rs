//! Conversations over TLS with servers whose certificates are signed by an authority of the test's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shared::broker::Settle;
use shared::config::{self, Config, Secret};
use shared::message::{Message, OutboxMessage, Queue, Route};
use shared::store::{PostgresStore, Store};
use testing::store_conformance::Recorder;
use testing::tls::Authority;
use uuid::Uuid;

fn defaults() -> Config {
    Config::from_layers(None, std::iter::empty()).unwrap()
}

/// A server with a certificate for `127.0.0.1` or for another name.
async fn postgres(authority: &Authority) -> testing::postgres::Server {
    let options = authority.for_postgres().unwrap();
    testing::postgres::Server::start_with(&options.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap()
}

async fn open(url: String, ca_file: Option<PathBuf>) -> Result<PostgresStore, String> {
    let database = config::Database {
        url: Secret::new(url),
        ca_file,
        acquire_timeout: Duration::from_secs(10),
        ..defaults().database
    };
    PostgresStore::open(&database, Arc::new(Recorder::default())).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_reached_over_tls_and_its_certificate_is_checked() {
    let authority = Authority::of(&["127.0.0.1"]).unwrap();
    let server = postgres(&authority).await;
    let url = format!("{}?sslmode=verify-full", server.url());
    let store = open(url.clone(), Some(authority.ca_file())).await.unwrap();
    store.check().await.unwrap();
    let sessions = "select count(*) from pg_stat_ssl s join pg_stat_activity a using (pid)
                    where a.application_name = 'waitless' and s.ssl";
    assert_ne!(server.sql(sessions).await.unwrap()[0][0].as_deref(), Some("0"), "the conversation is encrypted");

    let stranger = Authority::of(&["127.0.0.1"]).unwrap();
    for ca_file in [None, Some(stranger.ca_file())] {
        let refused = open(url.clone(), ca_file).await.unwrap_err();
        assert!(refused.contains("certificate"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_anothers_certificate_is_refused_only_where_names_are_checked() {
    let authority = Authority::of(&["db.example.com"]).unwrap();
    let server = postgres(&authority).await;
    let at = |mode: &str| open(format!("{}?sslmode={mode}", server.url()), Some(authority.ca_file()));
    at("verify-ca").await.unwrap();
    let refused = at("verify-full").await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
}

async fn broker(port: u16, plain: &str, ca_file: Option<&Path>) -> Arc<dyn shared::broker::Broker> {
    let (front, back) = plain.rsplit_once('@').unwrap();
    let path = back.split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
    let url = format!("{}@127.0.0.1:{port}{path}", front.replacen("amqp://", "amqps://", 1));
    let ca_file = ca_file.map(Path::to_owned);
    shared::broker::open(&config::Broker { url: Secret::new(url), ca_file, ..defaults().broker }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_reached_over_tls_and_its_certificate_is_checked() {
    let authority = Authority::of(&["127.0.0.1"]).unwrap();
    let server = testing::rabbitmq::private().await.unwrap();
    let authority_part = server.url().rsplit_once('@').unwrap().1;
    let address = authority_part.split('/').next().unwrap().replace("localhost", "127.0.0.1").parse().unwrap();
    let front = authority.in_front_of(address).await.unwrap();
    let broker_of = async |ca_file: &Path| broker(front.port(), server.url(), Some(ca_file)).await;

    let places = broker_of(&authority.ca_file()).await;
    let message = OutboxMessage {
        id: Uuid::now_v7(),
        route: Route::now(Queue::Dead),
        message: Message::RunJob { job_id: Uuid::now_v7() },
        traceparent: None,
    };
    testing::eventually(Duration::from_secs(30), "a message is confirmed", async || {
        let confirmed = places.publish(std::slice::from_ref(&message)).await.remove(0);
        confirmed.map_err(|error| error.to_string())
    })
    .await;
    let mut received = places.consume(Queue::Dead, 1).await;
    let mut incoming = tokio::time::timeout(Duration::from_secs(30), received.recv()).await.unwrap().unwrap();
    assert_eq!(incoming.message_id, Some(message.id.to_string()));
    incoming.settle(Settle::Ack);
    places.close(Duration::from_secs(5)).await;

    let stranger = Authority::of(&["127.0.0.1"]).unwrap();
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
        let settings = config::Broker {
            url: Secret::new("amqps://127.0.0.1:1"),
            ca_file: Some(file.clone()),
            ..defaults().broker
        };
        let said = format!("{:#}", shared::broker::open(&settings).await.err().unwrap());
        assert!(said.contains("broker.ca_file") && said.contains(file.to_str().unwrap()), "{said}");
    }
}
