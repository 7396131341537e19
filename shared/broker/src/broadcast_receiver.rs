//! One listener to broadcasts.

use std::sync::Arc;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use model::event::Broadcast;

/// Broadcasts as one listener of a process hears them. Dropped, it listens no more.
#[derive(Debug)]
pub struct BroadcastReceiver {
    receiver: broadcast::Receiver<Arc<Broadcast>>,
    gaps: Option<watch::Receiver<u64>>,
}

impl BroadcastReceiver {
    /// Hears everything from now on.
    pub(super) const fn new(receiver: broadcast::Receiver<Arc<Broadcast>>) -> Self {
        Self { receiver, gaps: None }
    }

    /// Hears what a broker sends, which begins and begins again when `gaps` changes.
    pub(super) const fn with_gaps(receiver: broadcast::Receiver<Arc<Broadcast>>, gaps: watch::Receiver<u64>) -> Self {
        Self { receiver, gaps: Some(gaps) }
    }

    /// Waits for the next broadcast.
    ///
    /// # Errors
    /// `Lagged` when some may have been missed, because this listener is slow or because the broker has only now begun to send
    /// (again): look at the store, then go on. `Closed` when none will come any more.
    pub async fn recv(&mut self) -> Result<Arc<Broadcast>, RecvError> {
        let Some(gaps) = &mut self.gaps else { return self.receiver.recv().await };
        tokio::select! {
            biased;
            Ok(()) = gaps.changed() => Err(RecvError::Lagged(0)),
            heard = self.receiver.recv() => heard,
        }
    }

    /// Returns a broadcast that is there.
    ///
    /// # Errors
    /// `Empty` when there is none, else as [`BroadcastReceiver::recv`]; a broker that begins to send is not told.
    pub fn try_recv(&mut self) -> Result<Arc<Broadcast>, TryRecvError> {
        self.receiver.try_recv()
    }
}
