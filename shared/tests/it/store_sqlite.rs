//! The store on SQLite keeps the store's contract.

use std::sync::Arc;
use std::time::Duration;

use shared::config;
use shared::store::{AfterCommit, SqliteStore, Store};
use tempfile::TempDir;

fn settings(folder: &TempDir) -> config::Database {
    config::Database {
        url: config::Secret::new(format!("sqlite:{}", folder.path().join("nested/waitless.db").display())),
        pool: 4,
        acquire_timeout: Duration::from_secs(3),
        statement_timeout: Duration::from_secs(10),
        ca_file: None,
        migrate: true,
    }
}

async fn open(after: Arc<dyn AfterCommit>) -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&settings(&folder), after).await.unwrap();
    (Arc::new(store), folder)
}

testing::test_store!(open);
