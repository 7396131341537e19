//! Who waits and who runs, as this gateway knows it between two looks at the store.
//!
//! Once a second the store says how it is. In between, what this gateway lets in is added, and what starts or ends, as every
//! process broadcasts it, moves on: so a burst of submits does not tell everybody in it that they are next.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use model::event::{Event, EventKind};
use model::forecast::{Backlog, LoadLevel, QueueModel, Range, RunKey};
use model::job::{Lane, NewJob};
use store::{QueueStatus, QueuedJob};
use uuid::Uuid;

/// Jobs of a lane that are known by name; those behind them are a number, however long the line gets.
pub(super) const BY_NAME: u32 = 1000;

/// Jobs ahead that are looked at one by one; beyond, they are a crowd.
const ONE_BY_ONE: usize = 64;

/// A board older than this says nothing: the store does not answer.
const STALE_SECONDS: u64 = 20;

/// A job on the board.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) job: QueuedJob,
    /// How long runs of its report take.
    pub(super) typical: Option<Range>,
    /// Its number in the lane's line, while it waits.
    place: Option<u64>,
}

/// What happens while the store is being asked, to be done again on its answer.
#[derive(Debug, Clone)]
enum Change {
    Entered(Box<Entry>),
    Left(Uuid),
    Started(Uuid, i32, DateTime<Utc>),
}

#[derive(Debug, Default)]
struct LaneLine {
    slots: usize,
    waiting: BTreeMap<u64, Uuid>,
    /// The work of all that wait.
    backlog: Backlog,
    /// Some of them are not known by name, and so is nobody who comes after them.
    is_long: bool,
    running: HashSet<Uuid>,
}

/// The board.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// When the store was asked, here and there.
    asked: Option<(Instant, DateTime<Utc>)>,
    known: HashMap<Uuid, Entry>,
    lanes: HashMap<Lane, LaneLine>,
    next_place: u64,
    log: Option<Vec<Change>>,
}

impl Board {
    /// Returns database time, as far as it can be told without asking; `None` when nobody has asked for too long.
    pub(super) fn now(&self) -> Option<DateTime<Utc>> {
        let (asked, then) = self.asked?;
        let passed = asked.elapsed();
        (passed.as_secs() < STALE_SECONDS).then(|| then + TimeDelta::from_std(passed).unwrap_or_default())
    }

    /// From now on changes are kept, to be done again on the answer that [`Board::replace`] takes.
    pub(super) fn begin(&mut self) {
        self.log = Some(Vec::new());
    }

    /// Takes what the store said.
    pub(super) fn replace(
        &mut self,
        lineup: QueueStatus,
        asked: Instant,
        mut typical: impl FnMut(&QueuedJob, LoadLevel) -> Option<Range>,
    ) {
        let log = self.log.take().unwrap_or_default();
        let load = LoadLevel::of(self.at_once().saturating_sub(1));
        self.asked = Some((asked, lineup.now));
        self.known.clear();
        self.lanes.clear();
        self.next_place = 0;
        for (lane, slots) in lineup.slots {
            self.line(lane).slots = usize::try_from(slots).unwrap_or(usize::MAX);
        }
        for job in lineup.running.into_iter().chain(lineup.waiting) {
            let typical = typical(&job, load);
            self.put(Entry { job, typical, place: None });
        }
        for (lane, waiting) in lineup.beyond {
            let line = self.line(lane);
            line.backlog.grow_by(waiting);
            line.is_long = waiting > 0;
        }
        for change in log {
            match change {
                Change::Entered(entry) => self.seat(*entry),
                Change::Left(id) => drop(self.take(id)),
                Change::Started(id, attempt, at) => self.start(id, attempt, at),
            }
        }
    }

    /// Puts a job that is about to be submitted at the end of its lane's line.
    pub(super) fn enter(&mut self, job: QueuedJob, typical: Option<Range>) {
        self.seat(Entry { job, typical, place: None });
    }

    /// Puts a job that waits behind those that are known by name, unless these are enough.
    fn seat(&mut self, entry: Entry) {
        let (lane, typical) = (entry.job.lane, entry.typical);
        let line = self.line(lane);
        line.is_long |= line.waiting.len() >= BY_NAME as usize;
        if line.is_long {
            // The store counts it with the others, if not now then at the next look.
            line.backlog.add(typical);
        } else {
            self.note(|| Change::Entered(Box::new(entry.clone())));
            self.put(entry);
        }
    }

    /// Takes a job off.
    pub(super) fn leave(&mut self, id: Uuid) {
        self.note(|| Change::Left(id));
        self.take(id);
    }

    /// Hears what a process broadcast.
    pub(super) fn hear(&mut self, event: &Event) {
        match event.kind {
            EventKind::Started => {
                self.note(|| Change::Started(event.job_id, event.attempt, event.at));
                self.start(event.job_id, event.attempt, event.at);
            }
            // What goes back into the line is found there by the next look.
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
    pub(super) fn find(&self, id: Uuid) -> Option<&Entry> {
        self.known.get(&id)
    }

    /// Returns who runs, or soon will, beside a job that is on the board or about to be. Lanes have places of their own, but share
    /// the source and often the machine.
    pub(super) fn company_of(&self, id: Uuid) -> LoadLevel {
        LoadLevel::of(self.at_once().saturating_sub(usize::from(self.known.contains_key(&id))))
    }

    /// Returns how many jobs run, or soon will, at the same time.
    fn at_once(&self) -> usize {
        self.lanes
            .values()
            .map(|line| (line.running.len() + line.backlog.count()).min(line.slots.max(line.running.len())))
            .sum()
    }

    /// Returns how many come before a job that would enter its lane's line now, and what it would wait for.
    pub(super) fn end_of(&self, lane: Lane, remaining: impl Fn(&Entry) -> Option<Range>) -> (usize, QueueModel) {
        let Some(line) = self.lanes.get(&lane) else { return (0, QueueModel::default()) };
        let ahead = line.backlog.count();
        if ahead > ONE_BY_ONE {
            // Exact to the job would be too dear, and lost in what nobody can know anyway.
            let running = line.running.iter().map(|id| Some(self.known.get(id)?.typical?.scaled(0.5))).collect();
            return (ahead, QueueModel { slots: line.slots, running, backlog: line.backlog, ahead: Vec::new() });
        }
        let before = line.waiting.values();
        (ahead, self.line_of(line, before.map(|id| self.typical_of(id)).collect(), remaining))
    }

    /// Returns how many come before a job that waits, and what it waits for. `None`: it does not wait, or is too far behind.
    pub(super) fn before(&self, id: Uuid, remaining: impl Fn(&Entry) -> Option<Range>) -> Option<(usize, QueueModel)> {
        let entry = self.known.get(&id)?;
        let (lane, place) = (entry.job.lane, entry.place?);
        let line = self.lanes.get(&lane)?;
        let ahead: Vec<Option<Range>> = line.waiting.range(..place).map(|(_, id)| self.typical_of(id)).collect();
        Some((ahead.len(), self.line_of(line, ahead, remaining)))
    }

    /// Returns jobs that wait, each with its position, lane by lane.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.lanes.values().flat_map(|line| {
            let ids = line.waiting.values().enumerate();
            ids.filter_map(|(ahead, id)| Some((ahead + 1, self.known.get(id)?)))
        })
    }

    /// Who runs matters only when no place is free.
    fn line_of(
        &self,
        line: &LaneLine,
        ahead: Vec<Option<Range>>,
        remaining: impl Fn(&Entry) -> Option<Range>,
    ) -> QueueModel {
        let free = line.running.len() + ahead.len() < line.slots;
        let left = |id| if free { None } else { self.known.get(id).and_then(&remaining) };
        QueueModel {
            slots: line.slots,
            running: line.running.iter().map(left).collect(),
            ahead,
            ..QueueModel::default()
        }
    }

    fn typical_of(&self, id: &Uuid) -> Option<Range> {
        self.known.get(id).and_then(|entry| entry.typical)
    }

    fn line(&mut self, lane: Lane) -> &mut LaneLine {
        self.lanes.entry(lane).or_default()
    }

    fn note(&mut self, change: impl FnOnce() -> Change) {
        if let Some(log) = &mut self.log {
            log.push(change());
        }
    }

    fn put(&mut self, mut entry: Entry) {
        let (id, lane, typical) = (entry.job.id, entry.job.lane, entry.typical);
        if self.known.contains_key(&id) {
            return;
        }
        if entry.job.started_at.is_none() {
            let place = self.next_place;
            self.next_place += 1;
            entry.place = Some(place);
            let line = self.line(lane);
            line.waiting.insert(place, id);
            line.backlog.add(typical);
        } else {
            self.line(lane).running.insert(id);
        }
        self.known.insert(id, entry);
    }

    fn take(&mut self, id: Uuid) -> Option<Entry> {
        let entry = self.known.remove(&id)?;
        let line = self.line(entry.job.lane);
        match entry.place {
            Some(place) => {
                line.waiting.remove(&place);
                line.backlog.remove(entry.typical);
            }
            None => drop(line.running.remove(&id)),
        }
        Some(entry)
    }

    fn start(&mut self, id: Uuid, attempt: i32, at: DateTime<Utc>) {
        if let Some(mut entry) = self.take(id) {
            entry.place = None;
            entry.job.attempt = attempt;
            entry.job.started_at = Some(at);
            self.put(entry);
        }
    }
}

/// Makes the board's view of a job that is about to be submitted.
pub(super) fn newcomer(job: &NewJob) -> QueuedJob {
    QueuedJob {
        id: job.id,
        caller: job.caller.clone(),
        report: job.report.clone(),
        lane: job.lane,
        run_key: RunKey::of_job(&job.report_version, &job.params, &job.formats),
        attempt: 0,
        started_at: None,
        made_from: job.reuse.as_ref().and_then(|reuse| reuse.made_from),
    }
}

#[cfg(test)]
mod tests {
    use model::job::Caller;

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

    fn queue_status(beyond: u64) -> QueueStatus {
        let waiting = if beyond > 0 { (0..BY_NAME).map(|_| job()).collect() } else { vec![job()] };
        QueueStatus { now: Utc::now(), waiting, beyond: vec![(Lane::Bulk, beyond)], running: vec![], slots: vec![] }
    }

    fn looked(board: &mut Board, lineup: QueueStatus) {
        board.replace(lineup, Instant::now(), |_, _| None);
    }

    fn ahead(board: &Board) -> usize {
        board.end_of(Lane::Bulk, |_| None).0
    }

    #[test]
    fn however_many_wait_the_board_knows_a_thousand_of_a_lane_by_name_and_counts_the_others() {
        let mut board = Board::default();
        looked(&mut board, queue_status(0));
        for _ in 0..3 * BY_NAME {
            board.enter(job(), None);
        }
        assert_eq!(board.known.len(), BY_NAME as usize);
        assert_eq!(ahead(&board), 3 * BY_NAME as usize + 1);
    }

    #[test]
    fn who_comes_after_jobs_that_are_not_known_by_name_is_not_told_to_be_before_them() {
        let mut board = Board::default();
        looked(&mut board, queue_status(500));
        let first = board.lanes[&Lane::Bulk].waiting.values().next().copied().unwrap();
        board.leave(first);
        let late = job();
        let id = late.id;
        board.enter(late, None);
        assert!(board.before(id, |_| None).is_none());
        assert_eq!(ahead(&board), 1_500);
    }

    #[test]
    fn who_enters_while_the_store_is_asked_is_still_there_afterwards() {
        let mut board = Board::default();
        looked(&mut board, queue_status(0));
        board.begin();
        let newcomer = job();
        let id = newcomer.id;
        board.enter(newcomer, None);
        looked(&mut board, queue_status(0));
        assert_eq!(board.before(id, |_| None).map(|(ahead, _)| ahead), Some(1));
    }
}
