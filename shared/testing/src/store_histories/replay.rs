//! One history: the model takes a step, the store is made to take the same one, and both are compared.

use std::collections::HashMap;
use std::mem::discriminant;
use std::sync::Arc;

use model::job::{Job, JobState};
use proof::{Action, Bounds, Doorbell, System};
use store::Heartbeat;
use uuid::Uuid;

use super::HistoryDatabase;
use crate::store_conformance::StoreFixture;

/// Enough of everything; `attempt`s are counted in bits of a number.
const BOUNDS: Bounds = Bounds {
    plain_jobs: 3,
    reusing_jobs: 4,
    workers: 3,
    concurrency: 2,
    max_attempts: 3,
    bad_ends: 100,
    hand_backs: 100,
    cancels: 4,
    replays: 6,
    faults: 100,
    notifiers: 2,
    ..Bounds::CALM
};

/// A worker process of the history, as the store knows it.
pub(super) struct ReplayedWorker {
    pub(super) id: Uuid,
    /// None: it was killed.
    pub(super) heartbeat: Option<Box<dyn Heartbeat>>,
}

/// A model and a store that have taken the same steps.
pub(super) struct Replay<'a> {
    pub(super) fixture: &'a StoreFixture,
    pub(super) database: Arc<dyn HistoryDatabase>,
    pub(super) bounds: Bounds,
    pub(super) system: System,
    /// In the model's order, as submitted.
    pub(super) jobs: Vec<Job>,
    pub(super) workers: Vec<ReplayedWorker>,
    pub(super) deliveries: Vec<Uuid>,
    pub(super) outbox: Vec<(Doorbell, Uuid)>,
    /// Keys of files, by job and attempt.
    pub(super) files: HashMap<(u8, u8), String>,
    taken: StepLog,
}

impl<'a> Replay<'a> {
    /// Starts workers and notifiers.
    pub(super) async fn begin(fixture: &'a StoreFixture, database: Arc<dyn HistoryDatabase>, is_told: bool) -> Self {
        let bounds = Bounds { rings_what_it_rescues: !database.has_connections(), ..BOUNDS };
        let mut replay = Self {
            fixture,
            database,
            bounds,
            system: System::started(&bounds),
            jobs: Vec::new(),
            workers: Vec::new(),
            deliveries: Vec::new(),
            outbox: Vec::new(),
            files: HashMap::new(),
            taken: StepLog { steps: Vec::new(), is_told },
        };
        for _ in 0..bounds.workers {
            replay.start_worker().await;
        }
        replay
    }

    pub(super) async fn start_worker(&mut self) {
        let worker = self.fixture.worker().await;
        self.workers.push(ReplayedWorker { id: worker.id, heartbeat: Some(worker.heartbeat) });
    }

    /// Takes the steps that the numbers choose. Returns how many there were.
    pub(super) async fn run(mut self, choices: &[u16]) -> usize {
        for choice in choices {
            let Some(action) = self.choose(*choice) else { break };
            self.taken.steps.push(action);
            let before = self.system.clone();
            self.system = before.after(action, &self.bounds).expect("only what changes something is chosen");
            // The call that changes a leader brings its followers up.
            for leader in 0..u8::try_from(self.system.jobs.len()).unwrap() {
                self.system = self.system.after(Action::Lead(leader), &self.bounds).unwrap_or(self.system);
            }
            let (workers, deliveries) = (before.workers.len(), before.deliveries.len());
            self.call_store(action, &before).await;
            self.learn(workers, deliveries).await;
            self.compare().await;
        }
        self.taken.steps.len()
    }

    /// Chooses the kind of step first, so that kinds of which there are many are no more likely; faults are a third as likely.
    fn choose(&self, choice: u16) -> Option<Action> {
        let mut actions = Vec::new();
        self.system.list_actions(&self.bounds, &mut actions);
        actions.retain(|action| self.is_possible(*action) && self.system.after(*action, &self.bounds).is_some());
        let mut kinds = Vec::new();
        for action in &actions {
            let kind = discriminant(action);
            if !kinds.contains(&kind) {
                let weight = if action.is_fault() { 1 } else { 3 };
                kinds.extend(std::iter::repeat_n(kind, weight));
            }
        }
        let [of_kinds, of_actions] = choice.to_le_bytes();
        let kind = *kinds.get(usize::from(of_kinds) % kinds.len().max(1))?;
        actions.retain(|action| discriminant(action) == kind);
        actions.get(usize::from(of_actions) % actions.len()).copied()
    }

    /// What the store can be made to do. It rings for all that are silent, so that there must be one.
    fn is_possible(&self, action: Action) -> bool {
        match action {
            Action::ClaimAndAnswerLost(..) | Action::LockLost(_) => self.database.has_connections(),
            Action::RingAgain(job) => self.silent_jobs(self.system.jobs[usize::from(job)].state) == [job],
            Action::RingDeliveryAgain(delivery) => self.silent_deliveries() == [delivery],
            _ => true,
        }
    }

    fn silent_jobs(&self, state: JobState) -> Vec<u8> {
        let is_silent = |at: &u8| {
            let job = &self.system.jobs[usize::from(*at)];
            let rows = [Doorbell::RunJob(*at), Doorbell::DeadJob(*at)];
            job.state == state && job.leader.is_none() && !self.system.outbox.0.iter().any(|row| rows.contains(row))
        };
        (0..u8::try_from(self.system.jobs.len()).unwrap()).filter(is_silent).collect()
    }

    fn silent_deliveries(&self) -> Vec<u8> {
        let is_silent = |at: &u8| {
            let row = &self.system.deliveries[usize::from(*at)];
            let is_due = !row.sent && (!row.sending || row.lease_over);
            is_due && !self.system.outbox.0.contains(&Doorbell::SendDelivery(*at))
        };
        (0..u8::try_from(self.system.deliveries.len()).unwrap()).filter(is_silent).collect()
    }

    /// The place of a job in the model.
    pub(super) fn place(&self, job: Uuid) -> u8 {
        u8::try_from(self.jobs.iter().position(|known| known.id == job).expect("a known job")).unwrap()
    }
}

/// The steps so far, printed where what follows fails and somebody is to see them.
struct StepLog {
    steps: Vec<Action>,
    is_told: bool,
}

impl Drop for StepLog {
    fn drop(&mut self) {
        if self.is_told && std::thread::panicking() {
            for (at, step) in self.steps.iter().enumerate() {
                println!("{:3}  {step:?}", at + 1);
            }
        }
    }
}
