//! A query is stopped at the server.

use std::time::Duration;

use super::connect::{Connection, Pool};

/// A cancel request that takes longer is sent again.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// After so many the connection is simply closed.
const ASK_AT_MOST: u32 = 20;

/// Asks the server to cancel whatever the connection runs, until it has; then closes the connection.
///
/// It is not used again: a cancel request travels on a connection of its own and may arrive late, in the next query.
pub(super) async fn stop_query(pool: &Pool, mut connection: Connection) {
    let cancel = connection.client.cancel_token();
    // Answered when everything sent before it has ended.
    let ending = connection.ending();
    let mut quiet = std::pin::pin!(connection.wire.drive(connection.client.batch_execute(ending)));
    for _ in 0..ASK_AT_MOST {
        let asking = async {
            if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(2), cancel.cancel_query(pool.tls())).await
            {
                tracing::warn!(error = %postgres_connect::with_causes(&error), "a source could not be asked to cancel a query");
            }
            tokio::time::sleep(ASK_AGAIN).await;
        };
        tokio::select! {
            biased;
            _ended = &mut quiet => return,
            () = asking => {}
        }
    }
    tracing::warn!("a source did not cancel a query although asked repeatedly; its connection is closed");
}
