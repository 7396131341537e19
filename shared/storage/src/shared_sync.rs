//! One sync for everybody who waits for it.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io;

/// Every object adds an entry to the same folder, and one sync makes all entries durable that were there when it began. So those
/// who come while one is under way share the next.
#[derive(Debug, Default)]
pub(super) struct SharedSync {
    state: Mutex<SyncState>,
    ended: Condvar,
}

/// Asks are numbered in the order they came.
#[derive(Debug, Default)]
struct SyncState {
    asked: u64,
    durable: u64,
    under_way: bool,
}

impl SharedSync {
    /// Returns once `sync` has succeeded in some thread after this call began. Blocks. Its error is told to the caller that met it;
    /// the others try themselves.
    pub(super) fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        state.asked += 1;
        let own = state.asked;
        while state.under_way {
            self.ended.wait(&mut state);
            if state.durable >= own {
                return Ok(());
            }
        }
        state.under_way = true;
        let covers = state.asked;
        drop(state);
        let outcome = sync();
        let mut state = self.state();
        state.under_way = false;
        if outcome.is_ok() {
            state.durable = covers;
        }
        drop(state);
        self.ended.notify_all();
        outcome
    }

    fn state(&self) -> MutexGuard<'_, SyncState> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn those_who_come_during_a_sync_share_the_next_one() {
        let (shared, calls) = (SharedSync::default(), AtomicUsize::new(0));
        let (begun, released) = (Barrier::new(2), Barrier::new(2));
        let count = || {
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                shared.sync(|| {
                    begun.wait();
                    released.wait();
                    count()
                })
            });
            begun.wait();
            for _ in 0..8 {
                scope.spawn(|| shared.sync(count));
            }
            while shared.state().asked < 9 {
                thread::yield_now();
            }
            released.wait();
        });
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn an_error_is_told_to_nobody_else() {
        let shared = SharedSync::default();
        assert!(shared.sync(|| Err(io::Error::other("full"))).is_err());
        assert!(shared.sync(|| Ok(())).is_ok());
    }
}
