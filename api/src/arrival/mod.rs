//! When jobs will be ready: learned from the store in the background, told from memory, so that no request waits for it.

mod board;
mod estimate;
mod learn;
pub mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use broker::{BroadcastReceiver, Broker};
use chrono::{DateTime, Utc};
use model::event::Broadcast;
use model::forecast::{Estimate, Eta, Forecast};
use model::job::{Job, JobState, NewJob};
use model::progress::Progress;
use store::{QueuedJob, Store};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::watch::{Hub, Word};
use board::{Board, newcomer};
use estimate::{remaining, run, running, waiting};
use learn::Histories;

/// How often the store is asked while somebody wants to know.
const EVERY: Duration = Duration::from_secs(1);

/// Asking takes at most this part of the time: who is in a long line takes a while to count.
const ASKING: u32 = 20;

/// How often it is asked while nobody does.
const IDLE_EVERY: Duration = Duration::from_secs(10);

/// Somebody wanted to know within this time.
const WANTED_WITHIN: Duration = Duration::from_secs(10);

/// The first look holds up the start for no longer than this.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Watched jobs that are told of their place in one round, those first that are next.
const TOLD_AT_ONCE: usize = 100;

/// Where a job stands on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Position in its lane's queue while it waits; 1 is next.
    pub position: Option<u32>,
    /// When it will be ready, where that can be told, and the moment it counts from.
    pub eta: Option<(Eta, DateTime<Utc>)>,
}

/// What this gateway knows of the line and of runs before.
#[derive(Debug)]
pub struct Arrivals {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
    /// A report was asked for whose runs were not read yet.
    unread: Notify,
}

#[derive(Debug, Default)]
struct Known {
    board: Board,
    histories: Histories,
    wanted_at: Option<Instant>,
}

impl Arrivals {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Mutex::default(), unread: Notify::new() }
    }

    /// Says what a job that is about to be submitted can be told, and counts it among those in line from now on. `None` when the
    /// store has not been heard of for too long.
    pub fn expect(&self, job: &NewJob) -> Option<Forecast> {
        let newcomer = newcomer(job);
        let mut known = self.wanted(&newcomer);
        let Known { board, histories, .. } = &mut *known;
        let now = board.now()?;
        let (ahead, line) = board.end_of(job.lane, |entry| remaining(board, histories, entry, now));
        let load = board.company_of(job.id);
        let eta = run(board, histories, &newcomer);
        let eta = eta.and_then(|run| Some(Estimate { range: line.wait()?.then(run.range), ..run }));
        let typical = histories.typical_of(&newcomer, load);
        board.enter(newcomer, typical);
        let position = u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1);
        Some(Forecast { position, eta: eta.map(|estimate| Eta::of(&estimate)), load })
    }

    /// Takes a job out of the line that was expected and did not come.
    pub fn forget(&self, id: Uuid) {
        self.known().board.leave(id);
    }

    /// Says where a job stands now.
    #[must_use]
    pub fn standing(&self, job: &Job) -> Standing {
        if job.state.is_final() {
            self.forget(job.id);
            return Standing::default();
        }
        let run_key = model::forecast::RunKey::of_job(&job.report_version, &job.params, &job.formats);
        let in_line = QueuedJob {
            id: job.id,
            caller: job.caller.clone(),
            report: job.report.clone(),
            lane: job.lane,
            run_key,
            attempt: job.attempt,
            started_at: job.started_at,
            made_from: job.sharing.made_from,
        };
        let mut known = self.wanted(&in_line);
        let Known { board, histories, .. } = &mut *known;
        let Some(now) = board.now() else { return Standing::default() };
        match (job.state, job.next_attempt_at) {
            (JobState::Pending, _) => waiting(board, histories, &in_line, now),
            (JobState::Retrying, Some(due)) => {
                let run = run(board, histories, &in_line);
                Standing { position: None, eta: run.map(|run| (Eta::of(&run), due.max(now))) }
            }
            _ => running(board, histories, &in_line, job.progress, now),
        }
    }

    /// Says where a job stands of which only its newest progress is known.
    #[must_use]
    pub fn standing_of(&self, id: Uuid, attempt: i32, progress: Progress) -> Standing {
        let known = self.known();
        let (Some(now), Some(entry)) = (known.board.now(), known.board.find(id)) else { return Standing::default() };
        if entry.job.attempt != attempt || entry.job.started_at.is_none() {
            return Standing::default();
        }
        running(&known.board, &known.histories, &entry.job, progress, now)
    }

    /// Asks the store once, before there is anybody to tell.
    pub async fn look_first(&self) {
        if tokio::time::timeout(FIRST_LOOK, self.look()).await.is_err() {
            tracing::warn!("the store does not say in time who is in line; arrival times come later");
        }
    }

    /// Keeps up with the line until stopped, and tells watchers of waiting jobs how it moves.
    pub async fn run_until_stopped(self: Arc<Self>, broker: Arc<dyn Broker>, hub: Arc<Hub>, stop: CancellationToken) {
        let mut broadcasts = None;
        let mut told = view::Told::default();
        let mut rounds = tokio::time::interval(EVERY);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut looked, mut rest) = (Instant::now(), Duration::ZERO);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                heard = hear(&mut broadcasts) => match heard {
                    Ok(broadcast) => {
                        if let Broadcast::Event(event) = broadcast.as_ref() {
                            self.known().board.hear(event);
                        }
                    }
                    // The next look makes up for it.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                () = self.unread.notified() => self.learn().await,
                _ = rounds.tick() => {
                    // Where nobody watches no broadcast is taken either; each look then makes up for a second.
                    if !hub.has_watchers() {
                        broadcasts = None;
                    } else if broadcasts.is_none() {
                        broadcasts = Some(broker.subscribe());
                    }
                    let wanted = hub.has_watchers() || self.known().is_wanted();
                    if looked.elapsed() >= if wanted { rest } else { IDLE_EVERY } {
                        looked = Instant::now();
                        self.look().await;
                        rest = looked.elapsed() * ASKING;
                        self.learn().await;
                        self.tell(&hub, &mut told);
                    }
                }
            }
        }
    }

    /// Reads who is in line.
    async fn look(&self) {
        self.known().board.begin();
        let asked = Instant::now();
        match self.store.queue_status(board::BY_NAME).await {
            Ok(lineup) => {
                let mut known = self.known();
                let Known { board, histories, .. } = &mut *known;
                board.replace(lineup, asked, |job, load| histories.typical_of(job, load));
            }
            Err(error) => tracing::debug!(%error, "it could not be read who is in line"),
        }
    }

    /// Reads runs that ended since.
    async fn learn(&self) {
        let asked = self.known().histories.unread();
        for part in asked.chunks(learn::AT_ONCE) {
            match self.store.finished_runs(part.to_vec(), learn::RUNS).await {
                Ok(runs) => {
                    let mut known = self.known();
                    for (of, runs) in part.iter().zip(runs) {
                        known.histories.add(of, runs);
                    }
                    known.histories.compare();
                }
                Err(error) => {
                    tracing::debug!(%error, "it could not be read how long runs took");
                    return;
                }
            }
        }
    }

    /// Tells watchers of waiting jobs where these stand, where that has changed.
    fn tell(&self, hub: &Hub, told: &mut view::Told) {
        let changed: Vec<_> = {
            let mut known = self.known();
            let Known { board, histories, .. } = &mut *known;
            let Some(now) = board.now() else { return };
            let watched = board.waiting().filter(|(_, entry)| hub.is_watched(entry.job.id, &entry.job.caller));
            let jobs: Vec<QueuedJob> = watched.take(TOLD_AT_ONCE).map(|(_, entry)| entry.job.clone()).collect();
            let standings = jobs.into_iter().map(|job| {
                let standing = waiting(board, histories, &job, now);
                (job, standing)
            });
            told.changed(standings)
        };
        for (job, standing) in changed {
            let word = Word::Moved { job_id: job.id, attempt: job.attempt, standing };
            hub.tell(job.id, &job.caller, &word);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody wants to know, and has what is not known read soon.
    fn wanted(&self, job: &QueuedJob) -> MutexGuard<'_, Known> {
        let mut known = self.known();
        known.wanted_at = Some(Instant::now());
        if known.histories.want(job) {
            self.unread.notify_one();
        }
        known
    }
}

impl Known {
    fn is_wanted(&self) -> bool {
        self.wanted_at.is_some_and(|at| at.elapsed() < WANTED_WITHIN)
    }
}

/// Waits for the next broadcast, for ever where none are taken.
async fn hear(broadcasts: &mut Option<BroadcastReceiver>) -> Result<Arc<Broadcast>, RecvError> {
    match broadcasts {
        Some(broadcasts) => broadcasts.recv().await,
        None => std::future::pending().await,
    }
}
