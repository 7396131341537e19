//! Kubernetes manifests name queues, tables and reports; those must be the ones the code has.

use std::path::{Path, PathBuf};

use configuration::{Config, Secret};
use model::job::Lane;
use model::message::Queue;
use report::parse_definition;
use store_postgres::PostgresStore;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/k8s").join(name)
}

/// The files of a folder with their text.
fn files(name: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    let read = |path: PathBuf| {
        (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap())
    };
    let files: Vec<_> = files.map(read).collect();
    assert!(!files.is_empty(), "{name} is empty");
    files
}

/// The values of a key that stands on a line of its own.
fn values(name: &str, key: &str) -> Vec<String> {
    let lines = files(name).into_iter().flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter_map(|line| line.trim().strip_prefix(&format!("{key}: ")).map(str::to_owned)).collect()
}

#[test]
fn every_queue_with_workers_is_watched_by_an_autoscaler() {
    let mut watched = values("components/autoscaling", "queueName");
    watched.sort_unstable();
    let mut queues: Vec<String> =
        Queue::ALL.into_iter().filter(|queue| *queue != Queue::Dead).map(Queue::name).collect();
    queues.sort_unstable();
    assert_eq!(watched, queues);
    assert!(watched.contains(&Queue::Work(Lane::Bulk).name()));
}

#[tokio::test]
async fn the_autoscalers_ask_what_the_schema_can_answer() {
    let database = testing::postgres::fresh_database().await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::embedded(data.path()).unwrap().database;
    config.url = Secret::new(database.url().to_owned());
    PostgresStore::migrate(&config).await.unwrap();
    let queries = values("components/autoscaling", "query");
    assert_eq!(queries.len(), 3, "one for each lane, and one for mails");
    for query in queries {
        assert_eq!(database.sql(&query).await.unwrap(), [[Some("0".to_owned())]], "{query}");
    }
}

#[test]
fn the_example_report_is_valid() {
    for (name, text) in files("base/catalogue") {
        parse_definition(&name, &text).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
    }
}
