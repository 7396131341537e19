//! Files of an attempt that did not win are deleted.

use std::time::Duration;

use crate::running::Attempt;
use crate::worker::Worker;

/// Storage that takes longer is left to the sweeper, which finds objects without an artifact row.
const WITHIN: Duration = Duration::from_secs(10);

/// Deletes whatever the attempt has stored under `keys`.
pub(crate) async fn discard_files(worker: &Worker, attempt: &Attempt, keys: &[String]) {
    for key in keys {
        let why = match tokio::time::timeout(WITHIN, worker.places.storage.delete(key)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the storage did not answer in time".to_owned(),
        };
        let (job, attempt) = (attempt.job_id, attempt.attempt);
        tracing::warn!(%job, attempt, key, why, "a file that is not wanted was left for the sweeper");
    }
}
