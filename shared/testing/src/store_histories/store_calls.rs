//! The store's calls for each step of the model, and what they must answer.

use std::time::Duration;

use model::access::hash_token;
use model::delivery::Channel;
use model::job::{Job, JobState, Lane, NewJob};
use model::progress::{Phase, Progress};
use model::retry_schedule::RetryDelay;
use model::reuse::{LinkSeed, Reuse};
use proof::{Action, Run, RunEnding, System};
use store::{AttemptProgress, Changed, ClaimRequest, Claimed, DeliveryEnding, Ending, Settled, Settlement};
use uuid::Uuid;

use super::replay::Replay;
use crate::eventually;
use crate::store_conformance::SOON;
use crate::store_conformance::samples::{ana, artifact, new_job, problem, progress, retry_after};

/// Longer than a history takes.
const HOUR: Duration = Duration::from_secs(3600);
/// Beats are an hour older or younger than now when the store is asked.
const SILENCE: Duration = Duration::from_millis(1);

fn identical(max_attempts: i32) -> NewJob {
    let job = NewJob { max_attempts, ..new_job(&ana()) };
    let links = job.formats.iter().map(|format| LinkSeed::new("a secret of the tests", *format)).collect();
    let reuse = Reuse { fingerprint: hash_token("one report"), max_age: HOUR, links, made_from: None };
    NewJob { reuse: Some(reuse), ..job }
}

fn holds(system: &System, worker: u8, run: &Run) -> bool {
    let job = &system.jobs[usize::from(run.job)];
    job.state == JobState::Processing && job.worker == Some(worker) && job.attempt == run.attempt
}

impl Replay<'_> {
    /// Does to the store what the action did to the model, which was `before`.
    pub(super) async fn call_store(&mut self, action: Action, before: &System) {
        match action {
            Action::Submit => self.submit(before.jobs.len()).await,
            Action::Cancel(job) => {
                let changed = self.fixture.store.cancel(&ana(), self.jobs[usize::from(job)].id).await.unwrap();
                assert!(matches!(changed, Changed::Yes(_)), "{changed:?}");
            }
            Action::Replay(job) => {
                let changed = self.fixture.store.replay(&ana(), self.jobs[usize::from(job)].id).await.unwrap();
                assert!(matches!(changed, Changed::Yes(_)), "{changed:?}");
            }
            Action::Publish(row) => {
                let doorbell = before.outbox.0[usize::from(row)];
                let at = self.outbox.iter().position(|(known, _)| *known == doorbell).expect("a known row");
                let (_, id) = self.outbox.remove(at);
                self.fixture.store.delete_outbox(vec![id]).await.unwrap();
            }
            Action::Claim(worker, message) | Action::ClaimAndAnswerLost(worker, message) => {
                self.claim(worker, message, before).await;
            }
            Action::Begin(worker, run) => {
                let run = before.workers[usize::from(worker)].runs[usize::from(run)];
                let (id, job) = (self.workers[usize::from(worker)].id, self.jobs[usize::from(run.job)].id);
                let begun = self.fixture.store.begin(id, job, run.attempt.into()).await.unwrap();
                assert_eq!(begun, holds(before, worker, &run));
            }
            Action::Settle(worker, run, ending) | Action::SettleAndAnswerLost(worker, run, ending) => {
                self.settle(worker, run, ending, before).await;
            }
            Action::Beat(worker) => self.beat(worker, before).await,
            Action::LockLost(worker) => self.database.end_session(self.workers[usize::from(worker)].id).await,
            Action::Kill(worker) => self.workers[usize::from(worker)].heartbeat = None,
            Action::Sweep => self.sweep(before).await,
            Action::RingAgain(job) => self.ring_again(before.jobs[usize::from(job)].state).await,
            Action::RingDeliveryAgain(_) => {
                let rung = self.fixture.store.ring_due_deliveries(Channel::Email, Duration::ZERO, 100).await.unwrap();
                assert_eq!(rung, 1);
            }
            Action::SweepFile(file) => {
                let file = before.files[usize::from(file)];
                // What was never offered to the store has no key that it knows: any will do.
                let key = self.key_of(file.job, file.attempt);
                assert_eq!(self.fixture.store.unreferenced_keys(vec![key.clone()]).await.unwrap(), [key]);
            }
            action => self.call_store_for_notifiers(action, before).await,
        }
    }

    async fn call_store_for_notifiers(&mut self, action: Action, before: &System) {
        match action {
            Action::ClaimDelivery(notifier, message) => {
                let proof::Doorbell::SendDelivery(at) = before.queue[usize::from(message)].doorbell else {
                    unreachable!()
                };
                let id = self.deliveries[usize::from(at)];
                let claimed = self.fixture.store.claim_deliveries(vec![id], HOUR).await.unwrap().remove(0);
                let held = self.system.notifiers[usize::from(notifier)].holds.map(|(_, attempt, _)| i32::from(attempt));
                assert_eq!(claimed.map(|delivery| delivery.attempt), held);
            }
            Action::SettleDelivery(notifier) => {
                self.settle_delivery(notifier, DeliveryEnding::Sent, before).await;
            }
            Action::MailRefused(notifier) => {
                let delay = RetryDelay { queue: Duration::from_secs(5), due_after: Duration::ZERO };
                self.settle_delivery(notifier, DeliveryEnding::RetryLater("busy".to_owned(), delay), before).await;
            }
            Action::KillNotifier(notifier) | Action::DeliveryLeaseEnds(notifier) => {
                let (at, ..) = before.notifiers[usize::from(notifier)].holds.expect("it holds one");
                if self.system.deliveries[usize::from(at)].lease_over && !before.deliveries[usize::from(at)].lease_over
                {
                    self.database.end_lease(self.deliveries[usize::from(at)]).await;
                }
            }
            // The store hears nothing of these.
            Action::ReadCancelNumber(_)
            | Action::PublishAndConfirmLost(_)
            | Action::PublishInVain(_)
            | Action::MessageLost(_)
            | Action::MessageDoubled(_)
            | Action::AllMessagesLost
            | Action::StoreFile(..)
            | Action::Pause(_)
            | Action::LeaseEnds(_)
            | Action::Resume(_)
            | Action::Lead(_)
            | Action::SendMail(_) => {}
            other => unreachable!("{other:?}"),
        }
    }

    async fn submit(&mut self, at: usize) {
        let max_attempts = self.bounds.max_attempts.into();
        let is_plain = at < usize::from(self.bounds.plain_jobs);
        let new = if is_plain { NewJob { max_attempts, ..new_job(&ana()) } } else { identical(max_attempts) };
        let job = self.fixture.submit(new).await;
        self.jobs.push(job);
    }

    /// A redelivered message may have to wait until the server has missed the session of who held the job.
    async fn claim(&mut self, worker: u8, message: u8, before: &System) {
        let message = before.queue[usize::from(message)];
        let proof::Doorbell::RunJob(job) = message.doorbell else { unreachable!() };
        let (was, is) = (&before.jobs[usize::from(job)], &self.system.jobs[usize::from(job)]);
        let expected = (is.attempt > was.attempt).then_some(i32::from(is.attempt));
        let (id, job_id) = (self.workers[usize::from(worker)].id, self.jobs[usize::from(job)].id);
        let request = ClaimRequest { job_id, redelivered: message.redelivered, alone: false };
        let ask = async |request: ClaimRequest| self.fixture.store.claim(id, vec![request]).await.unwrap().remove(0);
        let reply = eventually(SOON, "what the model was answered", async || {
            let mut reply = ask(request).await;
            if reply == Claimed::MustRunAlone {
                reply = ask(ClaimRequest { alone: true, ..request }).await;
            }
            let is_late = reply == Claimed::Held && expected.is_some();
            (!is_late).then_some(reply)
        })
        .await;
        match reply {
            Claimed::Yes(claimed) => assert_eq!(Some(claimed.attempt), expected),
            Claimed::Held => assert!(expected.is_none() && !is.state.is_final(), "held"),
            Claimed::Gone => assert!(expected.is_none() && is.state.is_final(), "gone"),
            // Only of a claim whose answer is lost: the worker goes on to beat.
            Claimed::Unregistered => assert!(!before.workers[usize::from(worker)].registered, "unregistered"),
            other => panic!("{other:?}"),
        }
    }

    async fn settle(&mut self, worker: u8, run: u8, ending: RunEnding, before: &System) {
        let run = before.workers[usize::from(worker)].runs[usize::from(run)];
        let job = Job { attempt: run.attempt.into(), ..self.jobs[usize::from(run.job)].clone() };
        let ending = match ending {
            RunEnding::Done => {
                let made = artifact(&job);
                self.files.insert((run.job, run.attempt), made.object_key.clone());
                Ending::Done(vec![made])
            }
            RunEnding::RetryLater => retry_after(Duration::ZERO),
            RunEnding::Failed => Ending::Failed(problem()),
            RunEnding::HandBack => Ending::HandBack,
        };
        let (worker_id, attempt) = (self.workers[usize::from(worker)].id, job.attempt);
        let settlement = Settlement { job_id: job.id, worker_id, attempt, progress: progress(1), ending };
        let settled = self.fixture.store.settle(vec![settlement]).await.unwrap().remove(0);
        let reached = self.system.jobs[usize::from(run.job)].state;
        assert_eq!(settled, if holds(before, worker, &run) { Settled::As(reached) } else { Settled::TooLate });
    }

    fn key_of(&self, job: u8, attempt: u8) -> String {
        let job_id = self.jobs[usize::from(job)].id;
        let made = || model::artifact::object_key(job_id, attempt.into(), Uuid::now_v7(), model::artifact::Format::Csv);
        self.files.get(&(job, attempt)).cloned().unwrap_or_else(made)
    }

    async fn beat(&mut self, worker: u8, before: &System) {
        let process = &before.workers[usize::from(worker)];
        let told: Vec<AttemptProgress> = process.runs.iter().map(|run| self.progress_of(run)).collect();
        let is_lost = |run: &&Run| !process.registered || !holds(before, worker, run);
        let mut expected: Vec<_> = process.runs.iter().filter(is_lost).map(|run| self.attempt_of(run)).collect();
        if self.database.has_connections() {
            self.database.age_claims().await;
        }
        let heartbeat = self.workers[usize::from(worker)].heartbeat.as_mut().expect("it lives");
        let mut lost = heartbeat.beat(told).await.unwrap();
        lost.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lost, expected, "attempts that are no longer the worker's");
    }

    fn attempt_of(&self, run: &Run) -> (Uuid, i32) {
        (self.jobs[usize::from(run.job)].id, run.attempt.into())
    }

    fn progress_of(&self, run: &Run) -> AttemptProgress {
        let (job_id, attempt) = self.attempt_of(run);
        let phase = if run.begun { Phase::Reading } else { Phase::Waiting };
        AttemptProgress { job_id, attempt, progress: Progress { phase, ..progress(1) } }
    }

    /// A killed worker is missed once the server has missed its session.
    async fn sweep(&mut self, before: &System) {
        let gone = |at: &usize| before.workers[*at].registered && before.workers[*at].looks_gone();
        let gone: Vec<usize> = (0..before.workers.len()).filter(gone).collect();
        let silent = gone.iter().filter(|at| before.workers[**at].silent);
        let silent: Vec<Uuid> = silent.map(|at| self.workers[*at].id).collect();
        self.database.age_beats(&silent).await;
        let ids: Vec<Uuid> = gone.iter().map(|at| self.workers[*at].id).collect();
        eventually(SOON, "the lost workers' jobs to be released", async || {
            self.fixture.store.release_lost_jobs(SILENCE).await.unwrap();
            let left = self.fixture.store.workers().await.unwrap();
            left.iter().all(|worker| !ids.contains(&worker.info.id)).then_some(())
        })
        .await;
    }

    async fn ring_again(&self, state: JobState) {
        let store = &self.fixture.store;
        let rung = if state == JobState::Pending {
            store.ring_silent(Lane::Interactive, Duration::ZERO, 100).await
        } else {
            store.ring_overdue_retries(Lane::Interactive, Duration::ZERO, 100).await
        };
        assert_eq!(rung.unwrap(), 1);
    }

    async fn settle_delivery(&mut self, notifier: u8, ending: DeliveryEnding, before: &System) {
        let (at, attempt, _) = before.notifiers[usize::from(notifier)].holds.expect("it holds one");
        let row = &before.deliveries[usize::from(at)];
        let id = self.deliveries[usize::from(at)];
        let settled = self.fixture.store.settle_deliveries(vec![(id, attempt.into(), ending)]).await.unwrap();
        assert_eq!(settled, [row.sending && row.attempt == attempt]);
    }
}
