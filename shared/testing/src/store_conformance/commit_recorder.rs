//! A recorder of what a store says after its commits.

use std::sync::Arc;

use model::event::Event;
use model::message::OutboxMessage;
use parking_lot::Mutex;
use store::AfterCommit;

type CommitObserver = Box<dyn Fn(&[OutboxMessage], &[Event]) + Send + Sync>;

/// Keeps what the store announced after its commits.
#[derive(Default)]
pub struct CommitRecorder {
    committed: Mutex<(Vec<OutboxMessage>, Vec<Event>)>,
    observer: Mutex<Option<Arc<CommitObserver>>>,
}

impl std::fmt::Debug for CommitRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitRecorder").finish_non_exhaustive()
    }
}

impl AfterCommit for CommitRecorder {
    fn committed(&self, outbox: Vec<OutboxMessage>, events: Vec<Event>) {
        let observer = self.observer.lock().clone();
        if let Some(observer) = observer {
            observer(&outbox, &events);
        }
        let mut all = self.committed.lock();
        all.0.extend(outbox);
        all.1.extend(events);
    }
}

impl CommitRecorder {
    /// Takes what was announced since the last time.
    pub fn take(&self) -> (Vec<OutboxMessage>, Vec<Event>) {
        std::mem::take(&mut *self.committed.lock())
    }

    /// Lets `observer` see every call, while the store makes it.
    pub fn observe(&self, observer: impl Fn(&[OutboxMessage], &[Event]) + Send + Sync + 'static) {
        *self.observer.lock() = Some(Arc::new(Box::new(observer)));
    }
}
