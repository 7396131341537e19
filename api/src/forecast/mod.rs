//! When jobs will be ready: learned from the store in the background, told from memory, so that no request waits for it.

mod announced_outlooks;
mod estimate;
mod lane_queue;
mod queue_snapshot;
mod run_histories;
mod snapshot_job;
pub mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::{BroadcastReceiver, Broker};
use chrono::{DateTime, Utc};
use model::event::Broadcast;
use model::forecast::{Eta, Forecast};
use model::job::{Job, JobState, Lane, NewJob};
use model::progress::Progress;
use parking_lot::{Mutex, MutexGuard};
use store::{QueueCensus, QueueStatus, QueuedJob, Store, StoreError};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::watch::{Hub, HubMessage};
use announced_outlooks::AnnouncedOutlooks;
use estimate::Estimator;
use lane_queue::BY_NAME;
use queue_snapshot::QueueSnapshot;
use run_histories::RunHistories;
use snapshot_job::{describe, describe_new};

/// How often the store is read while somebody wants to know.
const EVERY: Duration = Duration::from_secs(1);

/// Reading takes at most this part of the time: who is in a long line takes a while to count.
const READ_SHARE: u32 = 20;

/// How often it is asked while nobody does.
const IDLE_EVERY: Duration = Duration::from_secs(10);

/// Somebody wanted to know within this time.
const WANTED_WITHIN: Duration = Duration::from_secs(10);

/// The first read holds up the start for no longer than this.
const FIRST_READ: Duration = Duration::from_secs(1);

/// Watched jobs whose watchers are told of their place in one round, those first that are next.
const ANNOUNCED_AT_ONCE: usize = 100;

/// What can be told of a job that is not final: its place in the queue, and when it will be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobOutlook {
    /// Position in its lane's queue while it waits; 1 is next.
    pub position: Option<u32>,
    /// When it will be ready, where that can be told, and the moment it counts from.
    pub eta: Option<(Eta, DateTime<Utc>)>,
}

/// What this gateway knows of the queues and of runs before.
#[derive(Debug)]
pub struct Forecaster {
    store: Arc<dyn Store>,
    knowledge: Mutex<Knowledge>,
    /// Counts of lanes where more wait than are known by name. Held by who reads the store.
    long_queues: tokio::sync::Mutex<Vec<(Lane, QueueCensus)>>,
    /// A report was asked for whose runs were not read yet.
    unread: Notify,
}

#[derive(Debug, Default)]
struct Knowledge {
    snapshot: QueueSnapshot,
    histories: RunHistories,
    wanted_at: Option<Instant>,
}

impl Forecaster {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, knowledge: Mutex::default(), long_queues: tokio::sync::Mutex::default(), unread: Notify::new() }
    }

    /// Says what a job that is about to be submitted can be told. `None` when the store has not been heard of for too long.
    #[must_use]
    pub fn forecast(&self, job: &NewJob) -> Option<Forecast> {
        let job = describe_new(job);
        Some(self.knowledge_about(&job).estimator()?.at_submit(&job))
    }

    /// Counts a job that is about to be submitted among those that wait, so that whoever comes next is told to be behind it. Where
    /// the store has not been heard of for too long nobody is told anything, and nobody is counted.
    pub fn enter_queue(&self, job: &NewJob) {
        let job = describe_new(job);
        let mut knowledge = self.knowledge_about(&job);
        let Knowledge { snapshot, histories, .. } = &mut *knowledge;
        if snapshot.now().is_some() {
            let typical = histories.typical_of(&job, snapshot.company_of(job.id));
            snapshot.enqueue(job, typical);
        }
    }

    /// Takes a job out of the queue that has ended, or was counted and did not come.
    pub fn leave_queue(&self, id: Uuid) {
        self.knowledge.lock().snapshot.leave(id);
    }

    /// Says what can be told of a job now.
    #[must_use]
    pub fn outlook(&self, job: &Job) -> JobOutlook {
        if job.state.is_final() {
            self.leave_queue(job.id);
            return JobOutlook::default();
        }
        let described = describe(job);
        let knowledge = self.knowledge_about(&described);
        let Some(estimator) = knowledge.estimator() else { return JobOutlook::default() };
        match (job.state, job.next_attempt_at) {
            // Nobody knows when it is resumed.
            (JobState::Pending, _) if job.set_aside.is_some() => JobOutlook::default(),
            (JobState::Pending, _) => {
                // One that was put back was rung again since, and one that follows another waits for that.
                let submitted = job.attempt == 0 && job.sharing.follows().is_none();
                estimator.while_waiting(&described, submitted.then_some(job.created_at))
            }
            (JobState::Retrying, Some(due)) => estimator.while_retrying(&described, due),
            _ => estimator.while_running(&described, job.progress),
        }
    }

    /// Says what can be told of a job of which only its newest progress is known.
    #[must_use]
    pub fn outlook_of_running(&self, id: Uuid, attempt: i32, progress: Progress) -> JobOutlook {
        let knowledge = self.knowledge.lock();
        let (Some(estimator), Some(entry)) = (knowledge.estimator(), knowledge.snapshot.find(id)) else {
            return JobOutlook::default();
        };
        if entry.job.attempt != attempt || entry.job.started_at.is_none() {
            return JobOutlook::default();
        }
        estimator.while_running(&entry.job, progress)
    }

    /// Asks the store once, before there is anybody to tell.
    pub async fn read_queue_first(&self) {
        if tokio::time::timeout(FIRST_READ, self.read_queue()).await.is_err() {
            tracing::warn!("the store does not say in time who is in line; arrival times come later");
        }
    }

    /// Keeps up with the line until stopped, and tells watchers of waiting jobs how it moves.
    pub async fn run_until_stopped(self: Arc<Self>, broker: Arc<dyn Broker>, hub: Arc<Hub>, stop: CancellationToken) {
        let mut broadcasts = None;
        let mut announced = AnnouncedOutlooks::default();
        let mut rounds = tokio::time::interval(EVERY);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut read_at, mut rest) = (Instant::now(), Duration::ZERO);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                heard = hear(&mut broadcasts) => match heard {
                    Ok(broadcast) => {
                        if let Broadcast::Event(event) = broadcast.as_ref() {
                            self.knowledge.lock().snapshot.apply(event);
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
                    let wanted = hub.has_watchers() || self.knowledge.lock().is_wanted();
                    if read_at.elapsed() >= if wanted { rest } else { IDLE_EVERY } {
                        read_at = Instant::now();
                        self.read_queue().await;
                        rest = read_at.elapsed() * READ_SHARE;
                        self.learn().await;
                        self.announce(&hub, &mut announced);
                    }
                }
            }
        }
    }

    /// Reads who is in line.
    async fn read_queue(&self) {
        self.knowledge.lock().snapshot.record_changes();
        let asked = Instant::now();
        match self.look_at_queue().await {
            Ok(lineup) => {
                let mut knowledge = self.knowledge.lock();
                let Knowledge { snapshot, histories, .. } = &mut *knowledge;
                snapshot.replace(lineup, asked, |job, company| histories.typical_of(job, company));
            }
            Err(error) => tracing::debug!(%error, "it could not be read who is in line"),
        }
    }

    /// Asks who is in line, and goes on counting the lanes where more wait than are known by name.
    async fn look_at_queue(&self) -> Result<(QueueStatus, Vec<(Lane, QueueCensus)>), StoreError> {
        let lineup = self.store.queue_status(BY_NAME).await?;
        let is_long = |lane: Lane| lineup.waiting.iter().filter(|job| job.lane == lane).count() >= BY_NAME as usize;
        let mut long = self.long_queues.lock().await;
        long.retain(|(lane, _)| is_long(*lane));
        for lane in Lane::ALL.into_iter().filter(|lane| is_long(*lane)) {
            if !long.iter().any(|(of, _)| *of == lane) {
                long.push((lane, QueueCensus::new(lane)));
            }
        }
        for (_, census) in &mut *long {
            census.look(self.store.as_ref()).await?;
        }
        Ok((lineup, long.clone()))
    }

    /// Reads runs that ended since.
    async fn learn(&self) {
        let asked = self.knowledge.lock().histories.unread();
        for part in asked.chunks(run_histories::AT_ONCE) {
            match self.store.finished_runs(part.to_vec(), run_histories::RUNS).await {
                Ok(runs) => {
                    let mut knowledge = self.knowledge.lock();
                    for (of, runs) in part.iter().zip(runs) {
                        knowledge.histories.add(of, runs);
                    }
                    knowledge.histories.compare();
                }
                Err(error) => {
                    tracing::debug!(%error, "it could not be read how long runs took");
                    return;
                }
            }
        }
    }

    /// Tells watchers of waiting jobs what can be told of these, where that has changed.
    fn announce(&self, hub: &Hub, announced: &mut AnnouncedOutlooks) {
        let changed: Vec<_> = {
            let knowledge = self.knowledge.lock();
            let Some(estimator) = knowledge.estimator() else { return };
            let watched = knowledge.snapshot.waiting().filter(|entry| hub.is_watched(entry.job.id, &entry.job.caller));
            let outlooks = watched.take(ANNOUNCED_AT_ONCE).map(|entry| {
                let outlook = estimator.while_waiting(&entry.job, None);
                (entry.job.clone(), outlook)
            });
            announced.changed(outlooks)
        };
        for (job, outlook) in changed {
            let message = HubMessage::OutlookChanged { job_id: job.id, attempt: job.attempt, outlook };
            hub.send(job.id, &job.caller, &message);
        }
    }

    /// Notes that somebody wants to know about a job, and has what is not known read soon.
    fn knowledge_about(&self, job: &QueuedJob) -> MutexGuard<'_, Knowledge> {
        let mut knowledge = self.knowledge.lock();
        knowledge.wanted_at = Some(Instant::now());
        if knowledge.histories.want(job) {
            self.unread.notify_one();
        }
        knowledge
    }
}

impl Knowledge {
    fn is_wanted(&self) -> bool {
        self.wanted_at.is_some_and(|at| at.elapsed() < WANTED_WITHIN)
    }

    /// `None`: the store has not been heard of for too long.
    fn estimator(&self) -> Option<Estimator<'_>> {
        let now = self.snapshot.now()?;
        Some(Estimator { snapshot: &self.snapshot, histories: &self.histories, now })
    }
}

/// Waits for the next broadcast, for ever where none are taken.
async fn hear(broadcasts: &mut Option<BroadcastReceiver>) -> Result<Arc<Broadcast>, RecvError> {
    match broadcasts {
        Some(broadcasts) => broadcasts.recv().await,
        None => std::future::pending().await,
    }
}
