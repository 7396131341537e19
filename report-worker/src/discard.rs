//! Files of an attempt that did not win are deleted.

use std::time::Duration;

use crate::attempt::Attempt;
use crate::plan_files::PlannedFile;
use crate::worker::Worker;

/// Storage that takes longer is left to the sweeper, which finds objects without an artifact row.
const DELETE_WITHIN: Duration = Duration::from_secs(10);

/// Deletes whatever the attempt has stored, or is still about to store.
pub(crate) async fn discard_files(worker: &Worker, attempt: &Attempt, files: &[PlannedFile]) {
    for file in files.iter().filter(|file| file.completion.has_begun()) {
        let deleting = async {
            file.completion.wait_for_detached().await;
            worker.backends.storage.delete(&file.key).await
        };
        let why = match tokio::time::timeout(DELETE_WITHIN, deleting).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the storage did not answer in time".to_owned(),
        };
        let (job, attempt, key) = (attempt.job_id, attempt.attempt, &file.key);
        tracing::warn!(%job, attempt, key, why, "a file that is not wanted was left for the sweeper");
    }
}
