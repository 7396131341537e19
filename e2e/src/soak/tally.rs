//! Counts what happens, and knows what happens now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What all loops of a storm share.
#[derive(Debug)]
pub(super) struct Tally {
    started: Instant,
    ends: Instant,
    counts: Mutex<BTreeMap<&'static str, u32>>,
    unstaged: Mutex<BTreeMap<&'static str, u32>>,
    now: Mutex<Vec<(u64, &'static str)>>,
    next: AtomicU64,
    /// Jobs that wait or run, as far as anybody knows.
    pub(super) unfinished: AtomicUsize,
    /// Jobs that were accepted.
    pub(super) accepted: AtomicUsize,
    /// Schedules that were made, as far as anybody was told.
    pub(super) schedules: AtomicUsize,
    /// Processes that were started.
    pub(super) started_processes: AtomicUsize,
}

/// A fault that is under way. Over with this value.
#[derive(Debug)]
pub(super) struct Underway<'a> {
    tally: &'a Tally,
    number: u64,
}

impl Tally {
    pub(super) fn start(duration: Duration) -> Arc<Self> {
        let started = Instant::now();
        Arc::new(Self {
            started,
            ends: started + duration,
            counts: Mutex::default(),
            unstaged: Mutex::default(),
            now: Mutex::default(),
            next: AtomicU64::new(0),
            unfinished: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            schedules: AtomicUsize::new(0),
            started_processes: AtomicUsize::new(0),
        })
    }

    /// Time until no more faults come.
    pub(super) fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts a fault that begins.
    pub(super) fn begin(&self, fault: &'static str) -> Underway<'_> {
        *self.counts.lock().unwrap().entry(fault).or_default() += 1;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.now.lock().unwrap().push((number, fault));
        Underway { tally: self, number }
    }

    /// Counts a fault that could not be brought about, in the middle of another one mostly.
    pub(super) fn could_not(&self, fault: &'static str) {
        *self.unstaged.lock().unwrap().entry(fault).or_default() += 1;
    }

    /// How often each fault came.
    pub(super) fn faults(&self) -> BTreeMap<&'static str, u32> {
        self.counts.lock().unwrap().clone()
    }

    /// How often each could not be brought about.
    pub(super) fn unstaged(&self) -> BTreeMap<&'static str, u32> {
        self.unstaged.lock().unwrap().clone()
    }

    /// What happens now.
    pub(super) fn now(&self) -> String {
        let now = self.now.lock().unwrap();
        if now.is_empty() {
            "calm".to_owned()
        } else {
            now.iter().map(|(_, what)| *what).collect::<Vec<_>>().join(", ")
        }
    }

    /// Tells whether anything but a process is out of order.
    pub(super) fn servers_suffer(&self) -> bool {
        self.now.lock().unwrap().iter().any(|(_, what)| !what.starts_with("process"))
    }

    /// Says something, with the time.
    #[expect(clippy::print_stderr, reason = "progress goes to standard error")]
    pub(super) fn say(&self, what: &str) {
        let seconds = self.elapsed().as_secs();
        eprintln!("{:>3}:{:02}  {what}", seconds / 60, seconds % 60);
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.tally.now.lock().unwrap().retain(|(number, _)| *number != self.number);
    }
}
