//! What the documentation promises of URLs, through the front door: a configuration file, the built binaries, HTTP. Each way a
//! URL may begin has a row in a table here, and a test holds the tables against those of the backends.

mod attributes;
mod client;
mod files;
mod foreign_bucket;
mod sources;
mod system;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use system::{Backends, System};

/// Systems that together use every kind of database, broker, storage and mail server that a test can start.
const SYSTEMS: [Backends; 4] = [
    Backends { database: "sqlite:", broker: "in-process:", storage: "file:", mail: "file:", apart: false },
    Backends { database: "postgres://", broker: "amqp://", storage: "s3://", mail: "smtp://", apart: true },
    Backends { database: "postgresql://", broker: "amqps://", storage: "s3://", mail: "smtps://", apart: false },
    Backends { database: "sqlite:", broker: "in-process:", storage: "file:", mail: "smtp+plain://", apart: false },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_database_broker_storage_and_mail_server_of_the_documentation_serves_a_report() {
    join_all(SYSTEMS.iter().map(async |backends| {
        let system = System::start(backends).await;
        system.run_the_report_and_read_file_and_mail().await;
        system.run_a_report_that_a_format_refuses().await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_of_the_documentation_can_be_configured_and_read() {
    sources::configure_all_and_read_each().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_the_rows_that_their_credentials_let_them_see_on_every_kind_of_source() {
    attributes::everybody_sees_their_rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_rows_apart_is_checked_before_a_job_runs() {
    attributes::what_is_wrong_is_found_before_a_job_does().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_hold_and_show_what_the_definition_says() {
    files::are_as_the_definition_says().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_of_other_clouds_are_asked_by_the_client_of_that_cloud() {
    for bucket in &foreign_bucket::BUCKETS {
        foreign_bucket::is_asked(bucket).await;
    }
}

#[test]
fn every_way_a_url_may_begin_has_a_row() {
    let rows = |of: fn(&Backends) -> &'static str| SYSTEMS.iter().map(of).collect::<BTreeSet<_>>();
    let known = |prefixes: &mut dyn Iterator<Item = &'static str>| prefixes.collect::<BTreeSet<_>>();
    assert_eq!(rows(|system| system.database), known(&mut runtime::DATABASE_URLS.prefixes()));
    assert_eq!(rows(|system| system.broker), known(&mut broker::BROKER_URLS.prefixes()));
    assert_eq!(rows(|system| system.mail), known(&mut notifier::email::MAIL_URLS.prefixes()));
    let foreign = foreign_bucket::BUCKETS.iter().map(|bucket| bucket.prefix).collect();
    let storage: BTreeSet<_> = rows(|system| system.storage).union(&foreign).copied().collect();
    assert_eq!(storage, known(&mut storage::STORAGE_URLS.prefixes()));
    let kinds = ::sources::SOURCE_KINDS;
    let sources = sources::PREFIXES.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sources, known(&mut kinds.iter().flat_map(|kind| kind.url_prefixes.iter().copied())));
}
