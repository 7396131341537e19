//! Conversations over TLS with a server whose certificate is signed by an authority of the test's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use configuration::{Config, Secret};
use store::Store;
use store_postgres::PostgresStore;
use testing::store_conformance::CommitRecorder;
use testing::tls::CertificateAuthority;

fn defaults() -> Config {
    Config::from_layers(None, std::iter::empty()).unwrap()
}

/// A server with a certificate for `127.0.0.1` or for another name.
async fn postgres(authority: &CertificateAuthority) -> testing::postgres::Server {
    let options = authority.for_postgres().unwrap();
    testing::postgres::Server::start_with(&options.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap()
}

async fn open(url: String, ca_file: Option<PathBuf>) -> Result<PostgresStore, String> {
    let database = configuration::Database {
        url: Secret::new(url),
        ca_file,
        acquire_timeout: Duration::from_secs(10),
        ..defaults().database
    };
    PostgresStore::open(&database, Arc::new(CommitRecorder::default())).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_reached_over_tls_and_its_certificate_is_checked() {
    let authority = CertificateAuthority::of(&["127.0.0.1"]).unwrap();
    let server = postgres(&authority).await;
    let url = format!("{}?sslmode=verify-full", server.url());
    let store = open(url.clone(), Some(authority.ca_file())).await.unwrap();
    store.check().await.unwrap();
    let sessions = "select count(*) from pg_stat_ssl s join pg_stat_activity a using (pid)
                    where a.application_name = 'waitless' and s.ssl";
    assert_ne!(server.sql(sessions).await.unwrap()[0][0].as_deref(), Some("0"), "the conversation is encrypted");

    let stranger = CertificateAuthority::of(&["127.0.0.1"]).unwrap();
    for ca_file in [None, Some(stranger.ca_file())] {
        let refused = open(url.clone(), ca_file).await.unwrap_err();
        assert!(refused.contains("certificate"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_anothers_certificate_is_refused_only_where_names_are_checked() {
    let authority = CertificateAuthority::of(&["db.example.com"]).unwrap();
    let server = postgres(&authority).await;
    let at = |mode: &str| open(format!("{}?sslmode={mode}", server.url()), Some(authority.ca_file()));
    at("verify-ca").await.unwrap();
    let refused = at("verify-full").await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
}
