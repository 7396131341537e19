//! Who waits and who runs, as this gateway knows it between two reads of the store.
//!
//! Once a second the store says how it is. In between, what this gateway lets in is added, and what starts or ends, as every
//! process broadcasts it, moves on: so a burst of submits does not tell everybody in it that they are next.

use std::collections::HashMap;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use model::event::{Event, EventKind};
use model::forecast::{LoadLevel, QueueModel, Range};
use model::job::{Caller, Lane};
use store::{QueueCensus, QueueStatus, QueuedJob};
use uuid::Uuid;

use super::lane_queue::LaneQueue;
use super::snapshot_job::{SnapshotChange, SnapshotJob};

/// Jobs ahead that are looked at one by one; beyond, only their work in all counts.
const ONE_BY_ONE: usize = 64;

/// A snapshot older than this says nothing: the store does not answer.
const STALE_SECONDS: u64 = 20;

/// A place in a lane's queue.
#[derive(Debug)]
pub(super) struct QueuePlace {
    /// Jobs that come before.
    pub(super) ahead: usize,
    /// What is to be waited for.
    pub(super) line: QueueModel,
}

impl QueuePlace {
    /// Returns the position; 1 is next.
    pub(super) fn position(&self) -> u32 {
        u32::try_from(self.ahead).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// The queues of all lanes.
#[derive(Debug, Default)]
pub(super) struct QueueSnapshot {
    /// When the store was read, here and there.
    read_at: Option<(Instant, DateTime<Utc>)>,
    jobs: HashMap<Uuid, SnapshotJob>,
    lanes: HashMap<Lane, LaneQueue>,
    next_number: u64,
    changes: Option<Vec<SnapshotChange>>,
}

impl QueueSnapshot {
    /// Returns database time, as far as it can be told without asking; `None` when nobody has asked for too long.
    pub(super) fn now(&self) -> Option<DateTime<Utc>> {
        let (read_at, then) = self.read_at?;
        let passed = read_at.elapsed();
        (passed.as_secs() < STALE_SECONDS).then(|| then + TimeDelta::from_std(passed).unwrap_or_default())
    }

    /// From now on changes are kept, to be done again on the answer that [`QueueSnapshot::replace`] takes.
    pub(super) fn record_changes(&mut self) {
        self.changes = Some(Vec::new());
    }

    /// Takes what the store said, with counts of the lanes where more wait than it named.
    pub(super) fn replace(
        &mut self,
        (lineup, long): (QueueStatus, Vec<(Lane, QueueCensus)>),
        read_at: Instant,
        mut typical: impl FnMut(&QueuedJob, LoadLevel) -> Option<Range>,
    ) {
        let changes = self.changes.take().unwrap_or_default();
        let load = LoadLevel::of(self.at_once().saturating_sub(1));
        self.read_at = Some((read_at, lineup.now));
        self.jobs.clear();
        self.lanes.clear();
        self.next_number = 0;
        for (lane, slots) in lineup.slots {
            self.lane(lane).capacity = usize::try_from(slots).unwrap_or(usize::MAX);
        }
        for job in lineup.running.into_iter().chain(lineup.waiting) {
            let typical = typical(&job, load);
            self.insert(SnapshotJob { job, typical, number: None });
        }
        for (lane, census) in long {
            self.lane(lane).overflow_by(census);
        }
        for change in changes {
            match change {
                SnapshotChange::Entered(entry) => self.enter(*entry),
                SnapshotChange::Left(id) => drop(self.remove(id)),
                SnapshotChange::Started(id, attempt, at) => self.start(id, attempt, at),
            }
        }
    }

    /// Puts a job that is about to be submitted at the end of its lane's queue.
    pub(super) fn enqueue(&mut self, job: QueuedJob, typical: Option<Range>) {
        self.enter(SnapshotJob { job, typical, number: None });
    }

    /// Puts a job that waits behind those that are known by name, unless these are enough.
    fn enter(&mut self, entry: SnapshotJob) {
        if !self.lane(entry.job.lane).overflow_with(entry.typical) {
            self.record(|| SnapshotChange::Entered(Box::new(entry.clone())));
            self.insert(entry);
        }
    }

    /// Takes a job out.
    pub(super) fn leave(&mut self, id: Uuid) {
        self.record(|| SnapshotChange::Left(id));
        self.remove(id);
    }

    /// Takes in what a process broadcast.
    pub(super) fn apply(&mut self, event: &Event) {
        match event.kind {
            EventKind::Started => {
                self.record(|| SnapshotChange::Started(event.job_id, event.attempt, event.at));
                self.start(event.job_id, event.attempt, event.at);
            }
            // What goes back into the queue is found there by the next read.
            EventKind::Retrying
            | EventKind::HandedBack
            | EventKind::WorkerLost
            | EventKind::Done
            | EventKind::Failed
            | EventKind::Cancelled => self.leave(event.job_id),
            EventKind::Submitted | EventKind::Replayed => {}
        }
    }

    /// Returns a job.
    pub(super) fn find(&self, id: Uuid) -> Option<&SnapshotJob> {
        self.jobs.get(&id)
    }

    /// Returns who runs, or soon will, beside a job that is in the snapshot or about to be. Lanes have capacities of their own, but
    /// share the source and often the machine.
    pub(super) fn company_of(&self, id: Uuid) -> LoadLevel {
        LoadLevel::of(self.at_once().saturating_sub(usize::from(self.jobs.contains_key(&id))))
    }

    /// Returns how many jobs run, or soon will, at the same time.
    fn at_once(&self) -> usize {
        self.lanes.values().map(LaneQueue::at_once).sum()
    }

    /// Returns the place that a job of somebody's would have that entered its lane's queue now.
    pub(super) fn end_of(
        &self,
        lane: Lane,
        caller: &Caller,
        remaining: impl Fn(&SnapshotJob) -> Option<Range>,
    ) -> QueuePlace {
        let Some(lane) = self.lanes.get(&lane) else { return QueuePlace { ahead: 0, line: QueueModel::default() } };
        if !lane.has_one_caller(caller) {
            let ahead = lane.ahead_by_turns(caller, lane.waiting_of(caller));
            return QueuePlace { ahead, line: self.line_by_turns(lane, ahead, remaining) };
        }
        let ahead = lane.backlog.count();
        if ahead > ONE_BY_ONE {
            return QueuePlace { ahead, line: self.line_behind(lane, ahead) };
        }
        let before = lane.waiting.values();
        QueuePlace { ahead, line: self.line_of(lane, before.map(|id| self.typical_of(id)).collect(), remaining) }
    }

    /// Returns the place of a job that waits. `None`: it does not wait, or is too far behind.
    pub(super) fn place_of(&self, id: Uuid, remaining: impl Fn(&SnapshotJob) -> Option<Range>) -> Option<QueuePlace> {
        let entry = self.jobs.get(&id)?;
        let (lane, number) = (entry.job.lane, entry.number?);
        let lane = self.lanes.get(&lane)?;
        let caller = &entry.job.caller;
        let before = lane.waiting.range(..number).map(|(_, id)| id);
        if !lane.has_one_caller(caller) {
            let own = before.filter(|id| self.jobs.get(id).is_some_and(|other| other.job.caller == *caller)).count();
            let ahead = lane.ahead_by_turns(caller, own);
            return Some(QueuePlace { ahead, line: self.line_by_turns(lane, ahead, remaining) });
        }
        let ahead: Vec<Option<Range>> = before.map(|id| self.typical_of(id)).collect();
        Some(QueuePlace { ahead: ahead.len(), line: self.line_of(lane, ahead, remaining) })
    }

    /// Returns about the place of a job that waits behind those that are known by name, and was last rung at `rung_at`. `None`: nobody
    /// does, or they have not been counted so far.
    pub(super) fn place_behind(&self, lane: Lane, caller: &Caller, rung_at: DateTime<Utc>) -> Option<QueuePlace> {
        let lane = self.lanes.get(&lane)?;
        let before = lane.census.as_ref()?.before(rung_at, self.now()?)?;
        let before = usize::try_from(before).unwrap_or(usize::MAX).max(lane.waiting.len());
        let ahead = if lane.has_one_caller(caller) {
            before
        } else {
            let all = lane.backlog.count().max(1);
            let own = (lane.waiting_of(caller) as f64 * (before as f64 / all as f64).min(1.0)).round() as usize;
            lane.ahead_by_turns(caller, own)
        };
        Some(QueuePlace { ahead, line: self.line_behind(lane, ahead) })
    }

    /// Those ahead are of several principals, and taken as like all that wait.
    fn line_by_turns(
        &self,
        lane: &LaneQueue,
        ahead: usize,
        remaining: impl Fn(&SnapshotJob) -> Option<Range>,
    ) -> QueueModel {
        let running = lane.running.iter().map(|id| self.jobs.get(id).and_then(&remaining)).collect();
        QueueModel { slots: lane.capacity, running, backlog: lane.backlog.first(ahead), ahead: Vec::new() }
    }

    /// Exact to the job would be too dear, and lost in what nobody can know anyway.
    fn line_behind(&self, lane: &LaneQueue, ahead: usize) -> QueueModel {
        let running = lane.running.iter().map(|id| Some(self.jobs.get(id)?.typical?.scaled(0.5))).collect();
        QueueModel { slots: lane.capacity, running, backlog: lane.backlog.first(ahead), ahead: Vec::new() }
    }

    /// Returns jobs that wait, those first that are next, lane by lane.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &SnapshotJob> {
        self.lanes.values().flat_map(|lane| lane.waiting.values().filter_map(|id| self.jobs.get(id)))
    }

    /// Who runs matters only when no place is free.
    fn line_of(
        &self,
        lane: &LaneQueue,
        ahead: Vec<Option<Range>>,
        remaining: impl Fn(&SnapshotJob) -> Option<Range>,
    ) -> QueueModel {
        let free = lane.running.len() + ahead.len() < lane.capacity;
        let left = |id| if free { None } else { self.jobs.get(id).and_then(&remaining) };
        QueueModel {
            slots: lane.capacity,
            running: lane.running.iter().map(left).collect(),
            ahead,
            ..QueueModel::default()
        }
    }

    fn typical_of(&self, id: &Uuid) -> Option<Range> {
        self.jobs.get(id).and_then(|entry| entry.typical)
    }

    fn lane(&mut self, lane: Lane) -> &mut LaneQueue {
        self.lanes.entry(lane).or_default()
    }

    fn record(&mut self, change: impl FnOnce() -> SnapshotChange) {
        if let Some(changes) = &mut self.changes {
            changes.push(change());
        }
    }

    fn insert(&mut self, mut entry: SnapshotJob) {
        let id = entry.job.id;
        if self.jobs.contains_key(&id) {
            return;
        }
        entry.number = entry.job.started_at.is_none().then_some(self.next_number);
        self.next_number += u64::from(entry.number.is_some());
        self.lane(entry.job.lane).insert(id, &entry);
        self.jobs.insert(id, entry);
    }

    fn remove(&mut self, id: Uuid) -> Option<SnapshotJob> {
        let entry = self.jobs.remove(&id)?;
        self.lane(entry.job.lane).remove(id, &entry);
        Some(entry)
    }

    fn start(&mut self, id: Uuid, attempt: i32, at: DateTime<Utc>) {
        if let Some(mut entry) = self.remove(id) {
            entry.job.attempt = attempt;
            entry.job.started_at = Some(at);
            self.insert(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::forecast::{FinishedRun, RunKey};
    use store::{ForecastStore, QueuePage, QueuePart, RunsQuery, StoreError};

    use super::super::lane_queue::BY_NAME;
    use super::*;

    fn job() -> QueuedJob {
        QueuedJob {
            id: Uuid::now_v7(),
            caller: Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() },
            report: "sales".to_owned(),
            lane: Lane::Bulk,
            run_key: RunKey::default(),
            attempt: 0,
            started_at: None,
            made_from: None,
        }
    }

    fn queue_status(jobs: u32) -> QueueStatus {
        let waiting = (0..jobs).map(|_| job()).collect();
        QueueStatus { now: Utc::now(), waiting, running: vec![], slots: vec![] }
    }

    fn looked(snapshot: &mut QueueSnapshot, lineup: QueueStatus) {
        snapshot.replace((lineup, Vec::new()), Instant::now(), |_, _| None);
    }

    fn looked_at_long(snapshot: &mut QueueSnapshot, census: &QueueCensus) {
        snapshot.replace((queue_status(BY_NAME), vec![(Lane::Bulk, census.clone())]), Instant::now(), |_, _| None);
    }

    fn ahead(snapshot: &QueueSnapshot) -> usize {
        snapshot.end_of(Lane::Bulk, &job().caller, |_| None).ahead
    }

    /// A store of which only the queue is asked.
    struct QueueOf {
        jobs: u64,
        end: DateTime<Utc>,
    }

    #[async_trait::async_trait]
    impl ForecastStore for QueueOf {
        async fn finished_runs(&self, _: Vec<RunsQuery>, _: u32) -> store::Result<Vec<Vec<FinishedRun>>> {
            Ok(Vec::new())
        }

        async fn queue_status(&self, _: u32) -> store::Result<QueueStatus> {
            Err(StoreError::Unexpected("nobody asks".to_owned()))
        }

        async fn count_waiting(&self, _: Lane, part: QueuePart, limit: u32) -> store::Result<QueuePage> {
            let rung_at = |job: u64| self.end - TimeDelta::milliseconds((self.jobs - job) as i64);
            let inside = |at: &DateTime<Utc>| {
                part.after.is_none_or(|after| *at > after) && part.until.is_none_or(|until| *at <= until)
            };
            let page: Vec<_> = (0..self.jobs).map(rung_at).filter(inside).take(limit as usize).collect();
            Ok(QueuePage { count: page.len() as u64, until: page.last().copied(), full: page.len() >= limit as usize })
        }
    }

    #[test]
    fn however_many_wait_the_snapshot_knows_a_thousand_of_a_lane_by_name_and_counts_the_others() {
        let mut snapshot = QueueSnapshot::default();
        looked(&mut snapshot, queue_status(1));
        for _ in 0..3 * BY_NAME {
            snapshot.enqueue(job(), None);
        }
        assert_eq!(snapshot.jobs.len(), BY_NAME as usize);
        assert_eq!(ahead(&snapshot), 3 * BY_NAME as usize + 1);
    }

    /// So many wait, rung one every millisecond until now.
    async fn census(jobs: u64) -> QueueCensus {
        let mut census = QueueCensus::new(Lane::Bulk);
        census.look(&QueueOf { jobs, end: Utc::now() }).await.unwrap();
        census
    }

    #[tokio::test]
    async fn a_job_far_behind_is_told_about_where_it_is() {
        let mut snapshot = QueueSnapshot::default();
        let end = Utc::now();
        let mut census = QueueCensus::new(Lane::Bulk);
        census.look(&QueueOf { jobs: 12_000, end }).await.unwrap();
        looked_at_long(&mut snapshot, &census);
        let place = |ago: i64| {
            snapshot.place_behind(Lane::Bulk, &job().caller, end - TimeDelta::milliseconds(ago)).unwrap().ahead
        };
        assert!((5_900..6_100).contains(&place(6_000)), "{}", place(6_000));
        assert!((10_000..=12_000).contains(&place(10)), "{}", place(10));
        assert_eq!(place(600_000), 2_500, "somewhere among the first part");
        assert_eq!(ahead(&snapshot), 12_000);
        looked(&mut snapshot, queue_status(1));
        assert!(snapshot.place_behind(Lane::Bulk, &job().caller, Utc::now()).is_none());
    }

    #[tokio::test]
    async fn who_comes_after_jobs_that_are_not_known_by_name_is_not_told_to_be_before_them() {
        let mut snapshot = QueueSnapshot::default();
        looked_at_long(&mut snapshot, &census(u64::from(BY_NAME) + 500).await);
        let first = snapshot.lanes[&Lane::Bulk].waiting.values().next().copied().unwrap();
        snapshot.leave(first);
        let late = job();
        let id = late.id;
        snapshot.enqueue(late, None);
        assert!(snapshot.place_of(id, |_| None).is_none());
        assert_eq!(ahead(&snapshot), 1_500);
    }

    #[test]
    fn who_enters_while_the_store_is_asked_is_still_there_afterwards() {
        let mut snapshot = QueueSnapshot::default();
        looked(&mut snapshot, queue_status(1));
        snapshot.record_changes();
        let newcomer = job();
        let id = newcomer.id;
        snapshot.enqueue(newcomer, None);
        looked(&mut snapshot, queue_status(1));
        assert_eq!(snapshot.place_of(id, |_| None).map(|place| place.ahead), Some(1));
    }
    fn job_of(tenant: &str, principal: &str) -> QueuedJob {
        QueuedJob { caller: Caller { tenant: tenant.to_owned(), principal: principal.to_owned() }, ..job() }
    }

    #[test]
    fn a_place_in_line_follows_the_turns() {
        let mut snapshot = QueueSnapshot::default();
        looked(&mut snapshot, queue_status(100));
        let end = |snapshot: &QueueSnapshot, of: &QueuedJob| snapshot.end_of(Lane::Bulk, &of.caller, |_| None).ahead;
        assert_eq!(end(&snapshot, &job()), 100, "who has a hundred that wait is behind them");
        let (other, colleague) = (job_of("bolt", "bob"), job_of("acme", "eve"));
        assert_eq!((end(&snapshot, &other), end(&snapshot, &colleague)), (0, 0), "who has none is next");
        snapshot.enqueue(other.clone(), None);
        assert_eq!(end(&snapshot, &other), 2, "after one's first, and one of the others");
        assert_eq!(end(&snapshot, &job()), 101);
        assert_eq!(snapshot.place_of(other.id, |_| None).map(|place| place.ahead), Some(0));
        snapshot.leave(other.id);
        assert_eq!(end(&snapshot, &job()), 100);
    }

    #[tokio::test]
    async fn a_newcomer_is_not_behind_a_crowd_of_another_tenant_however_long_it_is() {
        let mut snapshot = QueueSnapshot::default();
        looked_at_long(&mut snapshot, &census(12_000).await);
        assert_eq!(snapshot.end_of(Lane::Bulk, &job_of("bolt", "bob").caller, |_| None).ahead, 0);
        assert_eq!(ahead(&snapshot), 12_000);
    }
}
