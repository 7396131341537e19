//! What is written down of a storm.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::plan::{Plan, StorageKind};
use super::tally::Tally;
use crate::history::Verdict;

/// A storm and what the checker found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nothing was lost, doubled or wrong.
    pub clean: bool,
    /// Brings the same faults again.
    pub seed: u64,
    /// How long faults came, in seconds.
    pub seconds: u64,
    /// The same, with the time until all had ended and was read.
    pub seconds_in_all: u64,
    /// The servers.
    pub servers: String,
    /// Where files rested.
    pub storage: StorageKind,
    /// How many of them.
    pub faults_in_all: u32,
    /// How often each came.
    pub faults: BTreeMap<&'static str, u32>,
    /// How often each of them could not be brought about, in the middle of another one mostly.
    pub not_brought_about: BTreeMap<&'static str, u32>,
    /// Processes of ours that were started in the storm.
    pub processes: usize,
    /// The checker's own words.
    pub verdict: Verdict,
}

impl Report {
    pub(super) fn new(plan: &Plan, servers: String, tally: &Tally, verdict: Verdict) -> Self {
        let faults = tally.faults();
        Self {
            clean: verdict.is_clean(),
            seed: plan.seed,
            seconds: plan.duration.as_secs(),
            seconds_in_all: tally.elapsed().as_secs(),
            servers,
            storage: plan.storage,
            faults_in_all: faults.values().sum(),
            faults,
            not_brought_about: tally.unstaged(),
            processes: tally.started_processes.load(Ordering::Relaxed),
            verdict,
        }
    }
}
