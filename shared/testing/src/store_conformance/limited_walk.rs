//! Random histories under limits: whatever happens in whatever order, never more run than may, and all jobs end.

use std::time::Duration;

use model::job::{Job, JobState, Lane, NewJob};
use model::limits::{LimitKind, RunLimit};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store::{Claimed, Ending, TurnRequest, TurnRules};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture, TestWorker};
use super::limits::{Bells, count_runs, declare, keyed, limit};
use super::samples::{artifact, caller, problem, retry_after};
use crate::eventually;

const WALKS: u64 = 4;
const STEPS: usize = 160;
const WORKERS: usize = 3;

/// A walk under way.
struct LimitedWalk<'a> {
    fixture: &'a StoreFixture,
    random: StdRng,
    workers: Vec<TestWorker>,
    jobs: Vec<(Uuid, NewJob)>,
    bells: Bells,
    limits: Vec<RunLimit>,
}

pub async fn random_histories_never_exceed_a_limit_and_every_job_ends(fixture: StoreFixture) {
    for seed in 0..WALKS {
        let limits = vec![
            limit(LimitKind::Report, "sales", 3),
            limit(LimitKind::Tenant, "acme", 2),
            limit(LimitKind::Key, "sales", 1),
        ];
        declare(&fixture, &limits).await;
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(fixture.worker().await);
        }
        let random = StdRng::seed_from_u64(seed);
        let mut walk =
            LimitedWalk { fixture: &fixture, random, workers, jobs: Vec::new(), bells: Bells::default(), limits };
        for step in 0..STEPS {
            let did = walk.step().await;
            walk.check(&format!("seed {seed} step {step}: {did}")).await;
        }
        walk.run_to_the_end(seed).await;
    }
}

impl LimitedWalk<'_> {
    async fn step(&mut self) -> String {
        let did = match self.random.random_range(0..100) {
            0..20 => self.submit().await,
            20..55 => self.answer_a_bell().await,
            55..78 => self.end_a_run().await,
            78..84 => self.cancel_or_replay().await,
            84..90 => self.kill().await,
            90..94 => self.change_a_limit().await,
            _ => self.sweep().await,
        };
        self.bells.hear(self.fixture).await;
        did
    }

    async fn submit(&mut self) -> String {
        let who =
            caller(["acme", "bolt"][self.random.random_range(0..2)], ["ana", "eve"][self.random.random_range(0..2)]);
        let value = format!("{}", self.random.random_range(0..3));
        let new = if self.random.random_bool(0.2) {
            let shared = super::reuse::reusing(&who, &value, Duration::from_secs(3600));
            NewJob {
                report: "sales".to_owned(),
                notify: Vec::new(),
                limit_key: Some(format!("sales:{value}")),
                ..shared
            }
        } else {
            keyed(&who, &value)
        };
        let new = NewJob { max_attempts: 3, ..new };
        self.fixture.store.submit(vec![new.clone()]).await.unwrap();
        self.jobs.push((new.id, new));
        "submit".to_owned()
    }

    /// Of several workers at once, sometimes.
    async fn answer_a_bell(&mut self) -> String {
        let count = self.random.random_range(1..4).min(self.bells.0.len());
        let asked: Vec<(Uuid, Uuid)> = (0..count)
            .filter_map(|_| {
                let place = self.random.random_range(0..self.bells.0.len().max(1));
                let worker = self.workers[self.random.random_range(0..WORKERS)].id;
                Some((worker, self.bells.0.remove(place)?))
            })
            .collect();
        let redelivered = self.random.random_bool(0.2);
        let claims = asked.iter().map(|(worker, hint)| {
            let request = TurnRequest { lane: Lane::Interactive, hint: *hint, redelivered, in_doubt: false };
            let (store, worker) = (std::sync::Arc::clone(&self.fixture.store), *worker);
            tokio::spawn(async move { store.claim_turns(worker, vec![request], &TurnRules::default()).await.unwrap() })
        });
        let outcomes: Vec<_> =
            futures_util::future::join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
        for (outcome, (worker, hint)) in outcomes.iter().zip(&asked) {
            if *outcome == Claimed::MustRunAlone {
                let claimed = store::ClaimRequest { job_id: *hint, redelivered: false, alone: true };
                let alone = self.fixture.store.claim(*worker, vec![claimed]).await.unwrap().remove(0);
                if let Claimed::Yes(job) = alone {
                    self.fixture.store.begin(*worker, job.id, job.attempt).await.unwrap();
                }
            }
        }
        format!("bells {asked:?} → {} started", outcomes.iter().filter(|one| matches!(one, Claimed::Yes(_))).count())
    }

    async fn end_a_run(&mut self) -> String {
        let running = self.running().await;
        if running.is_empty() {
            return "nothing runs".to_owned();
        }
        let job = &running[self.random.random_range(0..running.len())];
        let ending = match self.random.random_range(0..6) {
            0 => Ending::Failed(problem()),
            1 => Ending::HandBack,
            2 => retry_after(Duration::ZERO),
            _ => Ending::Done(vec![artifact(job)]),
        };
        let did = format!("end {} as {ending:?}", job.id);
        self.fixture.settle(job, ending).await;
        did
    }

    async fn cancel_or_replay(&mut self) -> String {
        let Some((id, new)) = self.jobs.get(self.random.random_range(0..self.jobs.len().max(1))).cloned() else {
            return "no job".to_owned();
        };
        if self.fixture.job(id).await.state == JobState::Failed {
            self.fixture.store.replay(&new.caller, id).await.unwrap();
            return format!("replay {id}");
        }
        self.fixture.store.cancel(&new.caller, id).await.unwrap();
        format!("cancel {id}")
    }

    async fn kill(&mut self) -> String {
        let fresh = self.fixture.worker().await;
        let chosen = self.random.random_range(0..WORKERS);
        let dead = std::mem::replace(&mut self.workers[chosen], fresh).id;
        eventually(SOON, "the release of the dead worker's jobs", async || {
            self.fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
            let workers = self.fixture.store.workers().await.unwrap();
            workers.iter().all(|worker| worker.info.id != dead).then_some(())
        })
        .await;
        format!("kill {dead}")
    }

    /// Never to fewer than run, so that what runs stays within it.
    async fn change_a_limit(&mut self) -> String {
        let chosen = self.random.random_range(0..2);
        self.limits[chosen].most = self.limits[chosen].most.max(self.random.random_range(2..5));
        declare(self.fixture, &self.limits).await;
        format!("limits {:?}", self.limits)
    }

    async fn sweep(&mut self) -> String {
        self.fixture.store.fill_places().await.unwrap();
        self.fixture.store.release(100).await.unwrap();
        "sweep".to_owned()
    }

    async fn running(&self) -> Vec<Job> {
        let all = self.all().await;
        let runs = all.into_iter().map(|(job, _)| job);
        runs.filter(|job| job.state == JobState::Processing && job.sharing.follows().is_none()).collect()
    }

    async fn all(&self) -> Vec<(Job, NewJob)> {
        let mut all = Vec::with_capacity(self.jobs.len());
        for (id, new) in &self.jobs {
            all.push((self.fixture.job(*id).await, new.clone()));
        }
        all
    }

    async fn check(&self, when: &str) {
        let all = self.all().await;
        let runs = count_runs(&all);
        for (name, count) in runs {
            let declared = self.limits.iter().find(|limit| {
                let text = limit.name.to_string();
                name == text || (limit.name.kind == LimitKind::Key && name.starts_with(&format!("{text}:")))
            });
            assert!(declared.is_none_or(|limit| count <= limit.most), "{when}: {count} of {name} run");
        }
        let uncovered = self.fixture.store.uncovered_jobs().await.unwrap();
        assert!(uncovered.is_empty(), "{when}: {uncovered:?}");
    }

    /// Whoever is in a line is rung for by those who end. Who is in none and whose doorbell found somebody else at it is rung again, as by
    /// the sweeper.
    async fn run_to_the_end(&mut self, seed: u64) {
        self.bells.hear(self.fixture).await;
        for _ in 0..4_000 {
            let Some(hint) = self.bells.0.pop_front() else {
                let running = self.running().await;
                let Some(job) = running.first() else {
                    let lane = Lane::Interactive;
                    let again = self.fixture.store.ring_silent(lane, Duration::ZERO, 100).await.unwrap()
                        + self.fixture.store.ring_overdue_retries(lane, Duration::ZERO, 100).await.unwrap();
                    self.bells.hear(self.fixture).await;
                    if again == 0 { break } else { continue }
                };
                self.fixture.settle(job, Ending::Done(vec![artifact(job)])).await;
                self.bells.hear(self.fixture).await;
                continue;
            };
            self.bells.0.push_front(hint);
            self.answer_a_bell().await;
            self.bells.hear(self.fixture).await;
            self.check(&format!("seed {seed}, the end")).await;
        }
        let left: Vec<Job> =
            self.all().await.into_iter().map(|(job, _)| job).filter(|job| !job.state.is_final()).collect();
        assert!(left.is_empty(), "seed {seed}: {} never ended: {left:?}", left.len());
    }
}
