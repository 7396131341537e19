//! The store that a URL names.

use std::sync::Arc;

use tempfile::TempDir;
use testing::store_conformance::CommitRecorder;

fn settings(folder: &TempDir) -> configuration::Database {
    configuration::Config::embedded(folder.path()).unwrap().database
}

#[tokio::test]
async fn a_url_of_no_database_names_those_there_are_and_hides_the_password() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["mysql://ana:geheim@host/name", "geheim", ""] {
        let database = configuration::Database { url: configuration::Secret::new(url), ..settings(&folder) };
        let refused =
            runtime::open_store(&database, Arc::new(CommitRecorder::default())).await.unwrap_err().to_string();
        assert!(refused.contains("sqlite:") && refused.contains("postgres://"), "{refused}");
        assert!(!refused.contains("geheim"), "{refused}");
    }
    assert_eq!(
        runtime::open_store(&settings(&folder), Arc::new(CommitRecorder::default())).await.unwrap().kind(),
        "sqlite"
    );
}
