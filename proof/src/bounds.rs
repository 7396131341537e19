//! How much there is and how much may go wrong: what makes the histories finite.

use crate::Mutation;

/// A configuration to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Jobs that are submitted with a run of their own.
    pub plain_jobs: u8,
    /// Jobs that are submitted after those, identical, with a wish to reuse.
    pub reusing_jobs: u8,
    /// Worker processes. One that dies is replaced at once.
    pub workers: u8,
    /// Jobs that a worker runs at once.
    pub concurrency: u8,
    /// Attempts that may end with an error before the job fails.
    pub max_attempts: u8,
    /// Attempts, of all jobs together, that end with an error.
    pub bad_ends: u8,
    /// Attempts, of all jobs together, that a worker hands back because it was told to stop.
    pub hand_backs: u8,
    /// Cancels.
    pub cancels: u8,
    /// Replays of failed jobs.
    pub replays: u8,
    /// Faults of any kind: of the broker, of workers, of notifiers, of connections.
    pub faults: u8,
    /// Notifier processes. Without any, nobody is told and nothing of that is looked at.
    pub notifiers: u8,
    /// The store rings also for the job that is claimed in the transaction that takes it from a lost worker, as SQLite's does.
    pub rings_what_it_rescues: bool,
    /// Whether every state is asked whether all ends well from there, which takes most of the time.
    pub recovery: bool,
    /// What is wrong with the product.
    pub mutation: Option<Mutation>,
}

impl Bounds {
    /// One plain job and two workers, where nothing goes wrong.
    pub const CALM: Self = Self {
        plain_jobs: 1,
        reusing_jobs: 0,
        workers: 2,
        concurrency: 1,
        max_attempts: 2,
        bad_ends: 0,
        hand_backs: 0,
        cancels: 0,
        replays: 0,
        faults: 0,
        notifiers: 0,
        rings_what_it_rescues: false,
        recovery: true,
        mutation: None,
    };

    /// The same with a fault built into the product.
    #[must_use]
    pub const fn with(self, mutation: Mutation) -> Self {
        Self { mutation: Some(mutation), ..self }
    }

    /// Returns how many jobs are submitted in all.
    #[must_use]
    pub const fn jobs(&self) -> u8 {
        self.plain_jobs + self.reusing_jobs
    }

    pub(crate) fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}
