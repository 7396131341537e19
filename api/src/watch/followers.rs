//! Who shares whose run: progress is told of the leader only, and is echoed here to whoever watches a job that follows it.

use std::collections::{HashMap, HashSet};

use model::event::{Broadcast, EventKind};
use model::job::{Caller, Job};
use uuid::Uuid;

/// Followers that are remembered; the progress of further ones is seen when they are read.
const MAX_FOLLOWERS: usize = 20_000;

/// Followers by leader, learned from broadcasts and from jobs that were read.
#[derive(Debug, Default)]
pub(super) struct Followers {
    by_leader: HashMap<Uuid, HashMap<Uuid, Caller>>,
    /// Leaders whose submitters have left: for them there is no progress any more.
    withdrawn: HashSet<Uuid>,
    count: usize,
}

impl Followers {
    /// Remembers a job that follows another one.
    pub(super) fn note(&mut self, job: &Job) {
        if let Some(leader) = job.sharing.follows().filter(|_| !job.state.is_final()) {
            self.add(leader, job.id, &job.caller);
        }
    }

    /// Learns from what every gateway hears.
    pub(super) fn learn(&mut self, broadcast: &Broadcast) {
        let Broadcast::Event(event) = broadcast else { return };
        match event.leader {
            Some(leader) if event.kind.is_final() => self.remove(leader, event.job_id),
            Some(leader) => self.add(leader, event.job_id, &event.caller),
            None if event.kind == EventKind::Cancelled && self.by_leader.contains_key(&event.job_id) => {
                self.withdrawn.insert(event.job_id);
            }
            None => {}
        }
    }

    /// Returns who follows a job.
    pub(super) fn of(&self, leader: Uuid) -> impl Iterator<Item = (&Uuid, &Caller)> {
        self.by_leader.get(&leader).into_iter().flatten()
    }

    /// Tells whether a job's submitter has left its run.
    pub(super) fn is_withdrawn(&self, leader: Uuid) -> bool {
        self.withdrawn.contains(&leader)
    }

    fn add(&mut self, leader: Uuid, follower: Uuid, caller: &Caller) {
        if self.count < MAX_FOLLOWERS
            && self.by_leader.entry(leader).or_default().insert(follower, caller.clone()).is_none()
        {
            self.count += 1;
        }
    }

    fn remove(&mut self, leader: Uuid, follower: Uuid) {
        let Some(followers) = self.by_leader.get_mut(&leader) else { return };
        if followers.remove(&follower).is_some() {
            self.count -= 1;
        }
        if followers.is_empty() {
            self.by_leader.remove(&leader);
            self.withdrawn.remove(&leader);
        }
    }
}
