//! Histories of the model of the job path (the crate `proof`), replayed on a store: whatever the model's database does, the store must do.
//!
//! A history is a list of numbers. Each chooses one of the steps that are possible then, so that a history that fails is still one when
//! some of its numbers are left out: proptest looks for a short one and prints it with its seed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is the body of a test, which says what it did"
)]

mod compare;
mod replay;
mod store_calls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use store::{AfterCommit, Store};
use uuid::Uuid;

use crate::store_conformance::StoreFixture;
use replay::Replay;

/// Names the seed to begin with.
const SEED: &str = "WAITLESS_TEST_HISTORY_SEED";
const USUAL_TIME: Duration = Duration::from_secs(8);
const STEPS: std::ops::Range<usize> = 20..90;

/// The database below a store, for what takes time or kills connections.
#[async_trait]
pub trait HistoryDatabase: Send + Sync {
    /// Workers reach it by connections, which break: locks and answers can be lost.
    fn has_connections(&self) -> bool;
    /// Makes the last beats of these workers old, and puts those of all others an hour from now.
    async fn age_beats(&self, silent: &[Uuid]);
    /// Makes every claim twenty seconds older.
    async fn age_claims(&self);
    /// Makes the lease of a delivery's claim end.
    async fn end_lease(&self, delivery: Uuid);
    /// Ends the session that holds a worker's lock.
    async fn end_session(&self, worker: Uuid);
}

/// Replays random histories for some seconds (`WAITLESS_TEST_FUZZ_SECONDS`), each on a fresh store.
pub fn replay_histories(open: impl AsyncFn(Arc<dyn AfterCommit>) -> (Arc<dyn Store>, Arc<dyn HistoryDatabase>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let chosen = crate::environment::variable(SEED).and_then(|seed| seed.parse::<u64>().ok());
    let mut seed = chosen.unwrap_or_else(|| rand::random::<u32>().into());
    let (start, first, limit) = (Instant::now(), seed, crate::fuzz_time_or(USUAL_TIME));
    println!("the first history has the seed {first}; {SEED}={first} begins with it again");
    let mut steps = 0;
    let is_told = std::cell::Cell::new(false);
    while start.elapsed() < limit || seed == first {
        let done = std::cell::Cell::new(0);
        let replay = |choices: &[u16]| {
            runtime.block_on(async {
                let mut database = None;
                let fixture = StoreFixture::open(async |after: Arc<dyn AfterCommit>| {
                    let (store, below) = open(after).await;
                    database = Some(Arc::clone(&below));
                    (store, below)
                })
                .await;
                let replay = Replay::begin(&fixture, database.unwrap(), is_told.get()).await;
                done.set(replay.run(choices).await);
            });
        };
        if let Err(error) = run_one(seed, replay) {
            // Once more the short one, with its steps.
            if let TestError::Fail(_, choices) = &error {
                is_told.set(true);
                println!("seed {seed} ({SEED}={seed}) in short:");
                replay(choices);
            }
            panic!("the history of seed {seed} ({SEED}={seed}): {error}");
        }
        steps += done.get();
        seed += 1;
    }
    println!("{} histories, {steps} steps, no difference", seed - first);
}

/// Makes a history from the seed and, where it fails, looks for a short one.
fn run_one(seed: u64, replay: impl Fn(&[u16])) -> Result<(), TestError<Vec<u16>>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let histories = proptest::collection::vec(proptest::num::u16::ANY, STEPS);
    runner.run(&histories, |choices| {
        replay(&choices);
        Ok::<(), TestCaseError>(())
    })
}
