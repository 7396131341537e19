//! What there is: rows of the database, messages of the broker, files, and processes with what they believe.

use model::job::JobState;
use model::transitions::ALONE_FROM_CRASHES;

use crate::{Bounds, Watcher};

/// A message, and the outbox row that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doorbell {
    /// A worker should look at this job.
    RunJob(u8),
    /// A notifier should look at this delivery.
    SendDelivery(u8),
    /// A dead letter about this job.
    DeadJob(u8),
}

/// Doorbells in no order that counts: kept sorted, so that equal ones are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Doorbells(pub Vec<Doorbell>);

impl Doorbells {
    pub(crate) fn put(&mut self, one: Doorbell) {
        let at = self.0.partition_point(|other| *other <= one);
        self.0.insert(at, one);
    }

    pub(crate) fn contains(&self, one: Doorbell) -> bool {
        self.0.contains(&one)
    }
}

/// A message in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueuedMessage {
    /// What it says.
    pub doorbell: Doorbell,
    /// The broker had given it to a process that was lost.
    pub redelivered: bool,
}

/// A file in the storage, and the artifact row that refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredFile {
    /// The job in its name.
    pub job: u8,
    /// The attempt in its name.
    pub attempt: u8,
    /// The attempt whose rows are in it: stands for size and SHA-256.
    pub content: u8,
}

/// A job's row, and who watches the job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobRow {
    /// Where it stands.
    pub state: JobState,
    /// The fencing token.
    pub attempt: u8,
    /// Attempts that ended with an error.
    pub errors: u8,
    /// Attempts whose worker was lost.
    pub crashes: u8,
    /// Attempts that were handed back.
    pub interruptions: u8,
    /// The worker process that holds it. None for one that follows another job.
    pub worker: Option<u8>,
    /// Its attempt has not begun: it waits to be alone.
    pub waiting: bool,
    /// Number of the newest event.
    pub seq: u8,
    /// Attempts whose event says that their worker was lost, a bit each.
    pub losses: u64,
    /// What `done` refers to.
    pub artifact: Option<StoredFile>,
    /// Identical jobs may be answered from it.
    pub reusable: bool,
    /// Identical jobs may join it.
    pub joinable: bool,
    /// The job whose states it takes, or whose file it was answered from.
    pub leader: Option<u8>,
    /// Its submitter left; the run goes on for others.
    pub withdrawn: bool,
    /// `attempt` when it was submitted or put back: later attempts have their reasons in the counters.
    pub counted_from: u8,
    /// Who watches it.
    pub watcher: Watcher,
    /// A cancel of it has read the number of its event. Only of a product that is mutated so.
    pub cancel_number: Option<u8>,
}

impl JobRow {
    pub(crate) const fn submitted(reusable: bool) -> Self {
        Self {
            state: JobState::Pending,
            attempt: 0,
            errors: 0,
            crashes: 0,
            interruptions: 0,
            worker: None,
            waiting: false,
            seq: 1,
            losses: 0,
            artifact: None,
            reusable,
            joinable: reusable,
            leader: None,
            withdrawn: false,
            counted_from: 0,
            watcher: Watcher::begin(),
            cancel_number: None,
        }
    }

    /// Tells whether one more lost worker would fail it.
    #[must_use]
    pub fn must_run_alone(&self) -> bool {
        i32::from(self.crashes) >= ALONE_FROM_CRASHES
    }

    /// Returns the state that its submitter sees.
    #[must_use]
    pub const fn seen_state(&self) -> JobState {
        if self.withdrawn { JobState::Cancelled } else { self.state }
    }
}

/// One attempt in a worker's memory: what the worker believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The job.
    pub job: u8,
    /// The fencing token it was given.
    pub attempt: u8,
    /// It may read and write; what must be alone waits first.
    pub begun: bool,
    /// Its file is stored.
    pub has_file: bool,
    /// It sent its settlement and heard no answer.
    pub in_doubt: bool,
    /// It still has the message it was claimed for, unacknowledged.
    pub message: bool,
}

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkerLife {
    /// It runs.
    Awake,
    /// It does nothing and does not know.
    Paused,
    /// It was killed.
    Dead,
}

/// A worker process, with its row and lock in the database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerProcess {
    /// How it stands.
    pub life: WorkerLife,
    /// Its row is there.
    pub registered: bool,
    /// A session holds its lock.
    pub locked: bool,
    /// Two beats are missing.
    pub silent: bool,
    /// What it believes to run.
    pub runs: Vec<Run>,
}

impl WorkerProcess {
    pub(crate) const fn started() -> Self {
        Self { life: WorkerLife::Awake, registered: true, locked: true, silent: false, runs: Vec::new() }
    }

    /// Tells whether the database shows it as gone: by its lock at once, by its beats after a while.
    #[must_use]
    pub const fn looks_gone(&self) -> bool {
        !self.locked || self.silent
    }

    /// Tells whether it has promised to run nothing else.
    #[must_use]
    pub fn is_exclusive(&self, jobs: &[JobRow]) -> bool {
        self.runs.iter().any(|run| {
            !run.begun
                || jobs.get(usize::from(run.job)).is_some_and(|job| job.must_run_alone() && job.attempt == run.attempt)
        })
    }
}

/// A delivery's row: one mail to one recipient about one event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryRow {
    /// The job it is about.
    pub job: u8,
    /// It tells that the report is ready.
    pub of_success: bool,
    /// A notifier has claimed it and not ended it.
    pub sending: bool,
    /// It was sent, as far as the database knows.
    pub sent: bool,
    /// The fencing token of its claims.
    pub attempt: u8,
    /// The lease of the newest claim is over.
    pub lease_over: bool,
    /// Mails that the mail server has accepted.
    pub mails: u8,
    /// Mails that were accepted from notifiers whose claim was no longer theirs when they could have said so.
    pub windows: u8,
}

/// A notifier process and the delivery it believes to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotifierProcess {
    /// Delivery, fencing token, and whether the mail server has accepted the mail.
    pub holds: Option<(u8, u8, bool)>,
}

/// What was seen that must never be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Sightings {
    /// An outbox row went, and the broker never had its message.
    pub row_lost: bool,
    /// A job was changed by an attempt that did not hold it.
    pub stale_change: bool,
    /// A file was written where one was.
    pub overwritten: bool,
    /// A job failed by the loss of a worker that ran others.
    pub neighbour_failed: bool,
    /// A mail that a report is ready went out after the cancel of its job.
    pub mail_after_cancel: bool,
    /// Faults that befell workers.
    pub strikes: u8,
    /// Failures whose dead letter has no outbox row yet.
    pub letters_owed: u8,
}

/// What may still happen to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// Faults of any kind.
    pub faults: u8,
    /// Attempts that end with an error.
    pub bad_ends: u8,
    /// Attempts that are handed back.
    pub hand_backs: u8,
    /// Cancels.
    pub cancels: u8,
    /// Replays.
    pub replays: u8,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct System {
    /// Rows of jobs, in the order of their submits.
    pub jobs: Vec<JobRow>,
    /// Rows of deliveries.
    pub deliveries: Vec<DeliveryRow>,
    /// Rows of the outbox.
    pub outbox: Doorbells,
    /// Messages that wait in the broker, sorted.
    pub queue: Vec<QueuedMessage>,
    /// Files in the storage, sorted.
    pub files: Vec<StoredFile>,
    /// Worker processes that live or whom a row still names.
    pub workers: Vec<WorkerProcess>,
    /// Notifier processes.
    pub notifiers: Vec<NotifierProcess>,
    /// What may still happen.
    pub allowance: Allowance,
    /// What must not have been seen.
    pub sightings: Sightings,
}

impl System {
    /// Everything has started and nothing was submitted.
    #[must_use]
    pub fn started(bounds: &Bounds) -> Self {
        Self {
            jobs: Vec::new(),
            deliveries: Vec::new(),
            outbox: Doorbells::default(),
            queue: Vec::new(),
            files: Vec::new(),
            workers: (0..bounds.workers).map(|_| WorkerProcess::started()).collect(),
            notifiers: (0..bounds.notifiers).map(|_| NotifierProcess::default()).collect(),
            allowance: Allowance {
                faults: bounds.faults,
                bad_ends: bounds.bad_ends,
                hand_backs: bounds.hand_backs,
                cancels: bounds.cancels,
                replays: bounds.replays,
            },
            sightings: Sightings::default(),
        }
    }

    pub(crate) fn job(&self, job: u8) -> &JobRow {
        &self.jobs[usize::from(job)]
    }

    pub(crate) fn job_mut(&mut self, job: u8) -> &mut JobRow {
        &mut self.jobs[usize::from(job)]
    }

    pub(crate) fn worker_mut(&mut self, worker: u8) -> &mut WorkerProcess {
        &mut self.workers[usize::from(worker)]
    }

    pub(crate) fn delivery_mut(&mut self, delivery: u8) -> &mut DeliveryRow {
        &mut self.deliveries[usize::from(delivery)]
    }

    pub(crate) fn enqueue(&mut self, doorbell: Doorbell, redelivered: bool) {
        let message = QueuedMessage { doorbell, redelivered };
        let at = self.queue.partition_point(|other| *other <= message);
        self.queue.insert(at, message);
    }

    /// Tells whether the broker has a message that says so, waiting or given out and not acknowledged.
    #[must_use]
    pub fn has_message(&self, doorbell: Doorbell) -> bool {
        let in_hand = |run: &Run| run.message && doorbell == Doorbell::RunJob(run.job);
        self.queue.iter().any(|message| message.doorbell == doorbell)
            || self.workers.iter().flat_map(|worker| &worker.runs).any(in_hand)
    }

    /// Forgets processes that nobody knows any more and puts the others in an order: which of two workers it was makes no
    /// difference.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        let key = |at: usize, worker: &WorkerProcess| {
            let held: u64 = self
                .jobs
                .iter()
                .enumerate()
                .filter(|(_, job)| job.worker.is_some_and(|holder| usize::from(holder) == at))
                .fold(0, |held, (job, _)| held | 1 << job);
            (worker.clone(), held)
        };
        let mut order: Vec<_> = self.workers.iter().enumerate().map(|(at, worker)| (key(at, worker), at)).collect();
        order.retain(|((worker, held), _)| worker.life != WorkerLife::Dead || worker.registered || *held > 0);
        order.sort_unstable();
        let place =
            |old: u8| order.iter().position(|(_, at)| *at == usize::from(old)).and_then(|at| u8::try_from(at).ok());
        for job in &mut self.jobs {
            job.worker = job.worker.and_then(place);
        }
        self.workers = order.into_iter().map(|((worker, _), _)| worker).collect();
        self.notifiers.sort_unstable();
        self
    }
}
