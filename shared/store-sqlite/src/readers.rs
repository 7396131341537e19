//! The read pool: a few connections, used on blocking threads. In WAL mode they never wait for the writer.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection as _;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::connect::File;
use super::errors::StatementResult;
use store::{Result, StoreError};

/// Connections for reading. Cheap to clone.
#[derive(Clone)]
pub(super) struct Readers {
    file: Arc<File>,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
    places: Arc<Semaphore>,
    runtime: Handle,
    patience: Duration,
}

impl Readers {
    /// Prepares a pool of `size` connections, opened when they are first needed.
    pub(super) fn new(file: File, size: usize, patience: Duration) -> Self {
        Self {
            file: Arc::new(file),
            idle: Arc::default(),
            places: Arc::new(Semaphore::new(size.max(1))),
            runtime: Handle::current(),
            patience,
        }
    }

    /// Runs `work` in a transaction of its own, so that all its statements see the same moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> StatementResult<T> + Send + 'static,
    ) -> Result<T> {
        let read = async {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.map_err(|_closed| StoreError::Unavailable("the process is stopping".to_owned()))?;
            let (file, idle) = (Arc::clone(&self.file), Arc::clone(&self.idle));
            let reading = self.runtime.spawn_blocking(move || {
                let _place = place;
                let kept = idle.lock().pop();
                let mut connection = kept.map_or_else(|| file.reader(), Ok)?;
                let outcome = snapshot(&mut connection, work).map_err(StoreError::from);
                // One that failed, or panicked, is not used again.
                if outcome.is_ok() {
                    idle.lock().push(connection);
                }
                outcome
            });
            reading.await.unwrap_or_else(|_panic| Err(StoreError::Unexpected("a database read crashed".to_owned())))
        };
        tokio::time::timeout(self.patience, read).await.unwrap_or_else(|_elapsed| {
            Err(StoreError::Unavailable(format!("the database did not answer within {:?}", self.patience)))
        })
    }
}

fn snapshot<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> StatementResult<T>,
) -> StatementResult<T> {
    connection.batch_execute("begin")?;
    let outcome = work(connection)?;
    connection.batch_execute("commit")?;
    Ok(outcome)
}
