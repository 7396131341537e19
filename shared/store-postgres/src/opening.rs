//! How a store comes to life whose server is away when its process starts.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use model::backoff::Backoff;
use store::{Result, StoreError};

use super::connect::Connector;
use super::connection::Connection;
use super::migrate;

/// Pause after the first try that failed, and the longest one: how late a process may notice that the server is back.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// `None` once the store may be used; before, why not.
pub(super) type Gate = watch::Receiver<Option<String>>;

/// The gate of a store that is open.
pub(super) fn opened() -> Gate {
    watch::channel(None).1
}

/// Returns what opens the gate, and the gate.
pub(super) fn open_later(connector: Connector, migrate: bool) -> (BoxFuture<'static, Result<()>>, Gate) {
    let (tell, gate) = watch::channel(Some("it has not been reached yet".to_owned()));
    let opening = async move {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let why = match connector.try_connect().await {
                Ok(connection) => match prepare(connection, migrate).await {
                    Ok(()) => break,
                    Err(StoreError::Unavailable(why)) => why,
                    Err(lasting) => return Err(lasting),
                },
                Err(failure) if failure.lasting => return Err(StoreError::Unavailable(failure.why)),
                Err(failure) => failure.why,
            };
            let new = tell.send_if_modified(|told| {
                let new = told.as_ref() != Some(&why);
                *told = Some(why.clone());
                new
            });
            if new {
                tracing::warn!(why, "the database cannot be used yet; it is tried again and again");
            }
            tokio::time::sleep(backoff.pause()).await;
        }
        tell.send_replace(None);
        Ok(())
    };
    (opening.boxed(), gate)
}

/// Migrates, or sees that somebody has.
pub(super) async fn prepare(mut connection: Connection, migrate: bool) -> Result<()> {
    if migrate { migrate::run(&mut connection).await } else { migrate::check(&mut connection).await }
}
