//! The store on SQLite does what the model of the job path does.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use store::AfterCommit;
use tempfile::TempDir;
use testing::store_histories::{HistoryDatabase, replay_histories};
use uuid::Uuid;

use crate::store_sqlite::{open, path};

/// Its file.
struct DatabaseFile(TempDir);

impl DatabaseFile {
    fn change(&self, text: &str) {
        let mut hand = SqliteConnection::establish(&path(&self.0)).unwrap();
        hand.batch_execute(&format!("pragma busy_timeout = 10000; {text}")).unwrap();
    }
}

fn literal(id: Uuid) -> String {
    format!("x'{}'", id.simple())
}

#[async_trait]
impl HistoryDatabase for DatabaseFile {
    fn has_connections(&self) -> bool {
        false
    }

    async fn age_beats(&self, silent: &[Uuid]) {
        let silent: Vec<String> = silent.iter().map(|id| literal(*id)).collect();
        // Microseconds: the beginning of time, or an hour from now.
        self.change(&format!(
            "update workers set heartbeat_at = iif(id in ({}), 0, (unixepoch() + 3600) * 1000000)",
            silent.join(", ")
        ));
    }

    async fn age_claims(&self) {}

    async fn end_lease(&self, delivery: Uuid) {
        self.change(&format!("update deliveries set leased_until = 0 where id = {}", literal(delivery)));
    }

    async fn end_session(&self, _worker: Uuid) {
        unreachable!("there are no sessions");
    }
}

#[test]
fn histories_of_the_model_are_histories_of_the_store_on_sqlite() {
    replay_histories(async |after: Arc<dyn AfterCommit>| {
        let (store, folder) = open(after).await;
        let below: Arc<dyn HistoryDatabase> = Arc::new(DatabaseFile(folder));
        (store, below)
    });
}
