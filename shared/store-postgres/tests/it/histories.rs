//! The store on PostgreSQL does what the model of the job path does.

use std::sync::Arc;

use async_trait::async_trait;
use store::AfterCommit;
use testing::postgres::Database;
use testing::store_histories::{HistoryDatabase, replay_histories};
use uuid::Uuid;

use crate::store_postgres::{cut_off, open};

/// Its database.
struct ServerDatabase(Database);

impl ServerDatabase {
    async fn change(&self, text: &str) {
        self.0.sql(text).await.unwrap();
    }
}

#[async_trait]
impl HistoryDatabase for ServerDatabase {
    fn has_connections(&self) -> bool {
        true
    }

    async fn age_beats(&self, silent: &[Uuid]) {
        let silent: Vec<String> = silent.iter().map(Uuid::to_string).collect();
        self.change(&format!(
            "update workers set heartbeat_at = now() + case when id = any('{{{}}}'::uuid[]) then -1 else 1 end * interval '1 hour'",
            silent.join(",")
        ))
        .await;
    }

    async fn age_claims(&self) {
        self.change("update jobs set started_at = started_at - interval '20 seconds'").await;
    }

    async fn end_lease(&self, delivery: Uuid) {
        self.change(&format!("update deliveries set leased_until = now() where id = '{delivery}'")).await;
    }

    async fn end_session(&self, worker: Uuid) {
        cut_off(&self.0, worker).await;
    }
}

#[test]
fn histories_of_the_model_are_histories_of_the_store_on_postgres() {
    replay_histories(async |after: Arc<dyn AfterCommit>| {
        let (store, database) = open(after).await;
        let below: Arc<dyn HistoryDatabase> = Arc::new(ServerDatabase(database));
        (store, below)
    });
}
