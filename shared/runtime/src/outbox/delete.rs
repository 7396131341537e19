//! Deletes rows that the broker has confirmed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use uuid::Uuid;

use store::Store;

/// Confirms of this long are deleted together. Nothing waits for the deletion; a row that outlives its process is published
/// once more, which is harmless, while a transaction for each single row would cost the database as much as the submit.
const GATHER: Duration = Duration::from_millis(20);
/// Rows in one statement.
const AT_ONCE: usize = 1_000;
/// Rows remembered while the database is away. Those beyond are published once more.
const MOST_REMEMBERED: usize = 100_000;
/// Wait after a failed deletion.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until the last sender has gone and everything it sent is deleted, or the database refuses.
pub(super) async fn delete_confirmed(store: Arc<dyn Store>, mut confirmed: mpsc::UnboundedReceiver<Vec<Uuid>>) {
    let mut rows: Vec<Uuid> = Vec::new();
    loop {
        if rows.is_empty() {
            match confirmed.recv().await {
                Some(more) => rows.extend(more),
                None => return,
            }
            tokio::time::sleep(GATHER).await;
        }
        while let Ok(more) = confirmed.try_recv() {
            rows.extend(more);
        }
        rows.truncate(MOST_REMEMBERED);
        let batch: Vec<Uuid> = rows.iter().take(AT_ONCE).copied().collect();
        let size = batch.len();
        match store.delete_outbox(batch).await {
            Ok(()) => {
                rows.drain(..size);
            }
            Err(error) => {
                tracing::debug!(%error, rows = rows.len(), "published rows could not be deleted yet");
                if confirmed.is_closed() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
