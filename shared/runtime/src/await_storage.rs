//! A storage that is away at the start is no error: whoever reads the log is told, and told again when it answers.

use std::sync::Arc;
use std::time::Duration;

use storage::Storage;
use tokio_util::sync::CancellationToken;

/// How often is asked whether a storage that was away is there.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Asks the storage until it answers for the first time. Later failures are told by what fails.
pub(crate) async fn say_when_storage_answers(storage: Arc<Storage>, stop: CancellationToken) {
    let mut is_away = false;
    let asking = async {
        while let Err(error) = storage.check().await {
            if !is_away {
                is_away = true;
                tracing::warn!(%error, "starting without the storage: jobs are accepted, and their files wait until it answers");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        if is_away {
            tracing::info!("the storage answers");
        }
    };
    let _stopped = stop.run_until_cancelled(asking).await;
}
