//! One lane of a queue snapshot: who waits in which order, and who runs.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::forecast::{Backlog, Range};
use model::job::Caller;
use store::QueueCensus;
use uuid::Uuid;

use super::snapshot_job::SnapshotJob;

/// Jobs of a lane that are known by name; those behind them are a number, however long the queue gets.
pub(super) const BY_NAME: u32 = 1000;

/// A lane.
#[derive(Debug, Default)]
pub(super) struct LaneQueue {
    /// Jobs that its live workers run at once.
    pub(super) capacity: usize,
    /// Those known by name that wait, by their number in the queue.
    pub(super) waiting: BTreeMap<u64, Uuid>,
    /// How many of those wait for whom.
    callers: HashMap<Caller, usize>,
    /// The work of all that wait.
    pub(super) backlog: Backlog,
    /// Some of those that wait are not known by name, and so is nobody who comes after them.
    pub(super) overflows: bool,
    /// The count of all that wait, where some are not known by name.
    pub(super) census: Option<QueueCensus>,
    /// Those that run.
    pub(super) running: HashSet<Uuid>,
}

impl LaneQueue {
    /// Returns how many jobs run, or soon will, at the same time.
    pub(super) fn at_once(&self) -> usize {
        (self.running.len() + self.backlog.count()).min(self.capacity.max(self.running.len()))
    }

    /// Counts jobs that wait behind those that are known by name.
    pub(super) fn overflow_by(&mut self, census: QueueCensus) {
        let waiting = census.count().unwrap_or_else(|| census.counted()).saturating_sub(self.waiting.len() as u64);
        self.backlog.grow_by(waiting);
        self.overflows = true;
        self.census = Some(census);
    }

    /// Counts one more job at the end, where the queue is too long for it to be known by name. False: it is not.
    pub(super) fn overflow_with(&mut self, typical: Option<Range>) -> bool {
        self.overflows |= self.waiting.len() >= BY_NAME as usize;
        if self.overflows {
            // The store counts it with the others, if not now then at the next read.
            self.backlog.add(typical);
        }
        self.overflows
    }

    /// Returns how many jobs of somebody wait; where not all are known by name, as many as their part of those that are.
    pub(super) fn waiting_of(&self, caller: &Caller) -> usize {
        self.part_of_all(self.callers.get(caller).copied().unwrap_or_default())
    }

    fn part_of_all(&self, named: usize) -> usize {
        let known = self.waiting.len().max(1);
        (named as f64 * (self.backlog.count().max(known) as f64 / known as f64)).round() as usize
    }

    /// Returns about how many jobs are next before one of somebody's that has `own` of theirs before it: as principals take turns
    /// within their tenant, and tenants among each other. What each has used so far, and weights, are left aside.
    pub(super) fn ahead_by_turns(&self, caller: &Caller, own: usize) -> usize {
        let mut of_tenant = own;
        let mut others: HashMap<&str, usize> = HashMap::new();
        for (other, named) in &self.callers {
            let count = self.part_of_all(*named);
            if other.tenant != caller.tenant {
                *others.entry(&other.tenant).or_default() += count;
            } else if other.principal != caller.principal {
                of_tenant += count.min(own);
            }
        }
        of_tenant + others.into_values().map(|count| count.min(of_tenant)).sum::<usize>()
    }

    /// Tells whether all that wait are one principal's: then they run as they came.
    pub(super) fn has_one_caller(&self, caller: &Caller) -> bool {
        self.callers.keys().all(|other| other == caller)
    }

    /// Puts a job where it belongs.
    pub(super) fn insert(&mut self, id: Uuid, job: &SnapshotJob) {
        match job.number {
            Some(number) => {
                self.waiting.insert(number, id);
                *self.callers.entry(job.job.caller.clone()).or_default() += 1;
                self.backlog.add(job.typical);
            }
            None => drop(self.running.insert(id)),
        }
    }

    /// Takes a job out.
    pub(super) fn remove(&mut self, id: Uuid, job: &SnapshotJob) {
        match job.number {
            Some(number) => {
                self.waiting.remove(&number);
                if let Some(count) = self.callers.get_mut(&job.job.caller) {
                    *count -= 1;
                    if *count == 0 {
                        self.callers.remove(&job.job.caller);
                    }
                }
                self.backlog.remove(job.typical);
            }
            None => drop(self.running.remove(&id)),
        }
    }
}
