//! Connections that nobody uses for now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Unused connections are closed after this time, whether somebody reads meanwhile or not: each takes a place at its server, or
/// keeps a file that was deleted.
const IDLE_FOR: Duration = Duration::from_secs(60);

/// Connections kept for the next read, the last one used on top.
#[derive(Debug)]
pub(crate) struct IdleConnections<C> {
    kept: Arc<Mutex<Kept<C>>>,
}

#[derive(Debug)]
struct Kept<C> {
    connections: Vec<(Instant, C)>,
    /// Somebody will come and close those that are old.
    is_watched: bool,
}

impl<C> Default for IdleConnections<C> {
    fn default() -> Self {
        Self { kept: Arc::new(Mutex::new(Kept { connections: Vec::new(), is_watched: false })) }
    }
}

impl<C: Send + 'static> IdleConnections<C> {
    /// Takes a connection that is not old.
    pub(crate) fn take(&self) -> Option<C> {
        let mut kept = self.kept.lock();
        let old = kept.take_old(IDLE_FOR);
        let connection = kept.connections.pop().map(|(_, connection)| connection);
        drop(kept);
        // Closing may take a while.
        drop(old);
        connection
    }

    /// Keeps a connection that is as good as a new one.
    pub(crate) fn keep(&self, connection: C) {
        let mut kept = self.kept.lock();
        kept.connections.push((Instant::now(), connection));
        if !kept.is_watched {
            kept.is_watched = self.watch(IDLE_FOR);
        }
    }

    /// Returns whether somebody closes what has become old, as long as there is anything.
    fn watch(&self, idle_for: Duration) -> bool {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        let kept = Arc::downgrade(&self.kept);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(idle_for).await;
                let Some(kept) = kept.upgrade() else { return };
                let (old, is_over) = kept.lock().look(idle_for);
                drop(old);
                if is_over {
                    return;
                }
            }
        });
        true
    }
}

impl<C> Kept<C> {
    fn take_old(&mut self, idle_for: Duration) -> Vec<(Instant, C)> {
        self.connections.extract_if(.., |(since, _)| since.elapsed() > idle_for).collect()
    }

    /// Takes what is old, and tells whether nothing is left to be watched.
    fn look(&mut self, idle_for: Duration) -> (Vec<(Instant, C)>, bool) {
        let old = self.take_old(idle_for);
        self.is_watched = !self.connections.is_empty();
        (old, !self.is_watched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_takes_is_closed_although_nobody_comes() {
        let (idle, connection) = (IdleConnections::default(), Arc::new(()));
        idle.kept.lock().is_watched = true;
        idle.keep(Arc::clone(&connection));
        assert!(idle.watch(Duration::from_millis(1)));
        let end = Instant::now() + Duration::from_secs(30);
        while Arc::strong_count(&connection) > 1 {
            assert!(Instant::now() < end, "it is still open");
            tokio::task::yield_now().await;
        }
        assert!(!idle.kept.lock().is_watched && idle.take().is_none());
    }

    #[test]
    fn the_last_one_used_is_taken_first() {
        let idle = IdleConnections::default();
        idle.keep(1);
        idle.keep(2);
        assert_eq!([idle.take(), idle.take(), idle.take()], [Some(2), Some(1), None]);
    }
}
