//! Looks all the time, faults or none, whether there is a job that nothing covers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::Store;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How often it looks; a database that is away is asked again.
const EVERY: Duration = Duration::from_millis(100);

/// A look-out. Ends with this value.
#[derive(Debug)]
pub struct Coverage {
    seen: Arc<Seen>,
    looking: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    looks: AtomicUsize,
    uncovered: Mutex<BTreeSet<Uuid>>,
}

impl Coverage {
    /// Starts to look.
    pub fn start(store: Arc<dyn Store>) -> Self {
        let seen = Arc::new(Seen::default());
        let noted = Arc::clone(&seen);
        let looking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            loop {
                ticks.tick().await;
                // The query is one statement, so one snapshot: whatever it returns was uncovered at that moment.
                if let Ok(uncovered) = store.uncovered_jobs().await {
                    noted.looks.fetch_add(1, Ordering::Relaxed);
                    noted.uncovered.lock().unwrap().extend(uncovered);
                }
            }
        });
        Self { seen, looking }
    }

    /// The jobs that any look so far found with nothing that covers them.
    #[must_use]
    pub fn uncovered(&self) -> Vec<Uuid> {
        self.seen.uncovered.lock().unwrap().iter().copied().collect()
    }

    /// Fails when any look so far found a job that nothing covered.
    pub fn judge(&self) -> usize {
        let uncovered = self.seen.uncovered.lock().unwrap().clone();
        assert!(uncovered.is_empty(), "jobs that nothing covered for a while: {uncovered:?}");
        let looks = self.seen.looks.load(Ordering::Relaxed);
        assert!(looks > 0, "nobody looked");
        looks
    }
}

impl Drop for Coverage {
    fn drop(&mut self) {
        self.looking.abort();
    }
}
