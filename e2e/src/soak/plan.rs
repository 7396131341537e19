//! What a storm is to be.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

/// Where files rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StorageKind {
    /// A bucket, through a proxy that breaks connections.
    S3,
    /// A folder, on a disk that is full now and then.
    Folder,
}

impl std::fmt::Display for StorageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::S3 => "S3",
            Self::Folder => "a folder",
        })
    }
}

/// What a storm is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How long faults come.
    pub duration: Duration,
    /// Decides which.
    pub seed: u64,
    /// Where files rest.
    pub storage: StorageKind,
    /// A folder for the logs of all processes, and for the history where something was found.
    pub keep: Option<PathBuf>,
}

/// Draws what comes next, for one target of faults. What one target draws does not depend on the others.
pub(super) struct Dice(StdRng);

impl Plan {
    /// The dice of a target.
    pub(super) fn dice(&self, target: &str) -> Dice {
        let salt = target.bytes().fold(0_u64, |salt, byte| salt.wrapping_mul(131).wrapping_add(u64::from(byte)));
        Dice(StdRng::seed_from_u64(self.seed ^ salt))
    }
}

impl Dice {
    /// A time between two numbers of milliseconds.
    pub(super) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.0.random_range(range))
    }

    /// A number in a range.
    pub(super) fn number(&mut self, range: std::ops::Range<usize>) -> usize {
        self.0.random_range(range)
    }

    /// One of them.
    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.random_range(0..all.len())]
    }

    /// Tells whether something comes that comes so often of a hundred times.
    pub(super) fn percent(&mut self, often: u32) -> bool {
        self.0.random_range(0..100) < often
    }
}
