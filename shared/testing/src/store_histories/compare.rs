//! What the store has is what the model has.

use model::delivery::DeliveryState;
use model::job::JobState;
use model::message::Message;
use model::progress::Phase;
use proof::{DeliveryRow, Doorbell, JobRow};

use super::replay::Replay;

/// A job's row, as far as both know it.
#[derive(Debug, PartialEq)]
struct ComparedJob {
    state: JobState,
    counters: [i64; 5],
    worker: Option<uuid::Uuid>,
    waiting: bool,
    withdrawn: bool,
    is_leader_known: bool,
    artifacts: usize,
    events: Vec<i64>,
    told_state: JobState,
    deliveries: Vec<(DeliveryState, i32)>,
}

impl Replay<'_> {
    /// Learns of workers that were started, and of the deliveries and outbox rows that the store wrote.
    pub(super) async fn learn(&mut self, workers: usize, deliveries: usize) {
        for _ in workers..self.system.workers.len() {
            self.start_worker().await;
        }
        for at in deliveries..self.system.deliveries.len() {
            let job = usize::from(self.system.deliveries[at].job);
            let earlier = self.system.deliveries[..at].iter().filter(|row| usize::from(row.job) == job).count();
            let written = self.fixture.store.deliveries_of_job(self.jobs[job].id).await.unwrap();
            self.deliveries.push(written[earlier].id);
        }
        for row in self.fixture.recorder.take().0 {
            let doorbell = match row.message {
                Message::RunJob { job_id } => Doorbell::RunJob(self.place(job_id)),
                Message::DeadJob { job_id, .. } => Doorbell::DeadJob(self.place(job_id)),
                Message::SendDelivery { delivery_id } => {
                    let at = self.deliveries.iter().position(|known| *known == delivery_id).expect("a known delivery");
                    Doorbell::SendDelivery(u8::try_from(at).unwrap())
                }
            };
            self.outbox.push((doorbell, row.id));
        }
    }

    /// Fails where the store is not as the model says.
    pub(super) async fn compare(&self) {
        for (at, expected) in self.system.jobs.iter().enumerate() {
            assert_eq!(self.read(at).await, self.expect(at, expected), "job {at}");
        }
        let mut rows: Vec<Doorbell> = self.outbox.iter().map(|(doorbell, _)| *doorbell).collect();
        rows.sort_unstable();
        assert_eq!(rows, self.system.outbox.0, "outbox rows that were told");
        let kept = self.fixture.store.outbox_backlog().await.unwrap().0;
        assert_eq!(kept, rows.len() as u64, "outbox rows that are kept");
        assert!(self.fixture.store.uncovered_jobs().await.unwrap().is_empty(), "jobs that nothing covers");
        assert_eq!(self.fixture.store.lead_followers(10).await.unwrap(), 0, "followers that are behind");
    }

    fn expect(&self, at: usize, job: &JobRow) -> ComparedJob {
        let own = |row: &&DeliveryRow| usize::from(row.job) == at;
        let state = |row: &DeliveryRow| match (row.sending, row.sent) {
            (true, _) => DeliveryState::Sending,
            (false, true) => DeliveryState::Sent,
            (false, false) => DeliveryState::Pending,
        };
        let deliveries = self.system.deliveries.iter().filter(own).map(|row| (state(row), row.attempt.into()));
        ComparedJob {
            state: job.state,
            counters: [job.attempt, job.errors, job.crashes, job.interruptions, job.seq].map(i64::from),
            worker: job.worker.map(|worker| self.workers[usize::from(worker)].id),
            waiting: job.waiting,
            withdrawn: job.withdrawn,
            is_leader_known: job.leader.is_some(),
            artifacts: usize::from(job.state == JobState::Done),
            events: (1..=i64::from(job.seq)).collect(),
            told_state: job.watcher.state,
            deliveries: deliveries.collect(),
        }
    }

    async fn read(&self, at: usize) -> ComparedJob {
        let job = self.fixture.job(self.jobs[at].id).await;
        let events = self.fixture.events(&job).await;
        let deliveries = self.fixture.store.deliveries_of_job(job.id).await.unwrap();
        let is_of_its_own = job.sharing.leader.is_none();
        ComparedJob {
            state: job.state,
            counters: [job.attempt.into(), job.errors.into(), job.crashes.into(), job.interruptions.into(), job.seq],
            // One that follows shows its leader's.
            worker: job.worker_id.filter(|_| is_of_its_own),
            waiting: job.state == JobState::Processing && job.progress.phase == Phase::Waiting && is_of_its_own,
            withdrawn: job.sharing.withdrawn_at.is_some(),
            is_leader_known: !is_of_its_own,
            artifacts: job.artifacts.len(),
            events: events.iter().map(|event| event.seq).collect(),
            told_state: events.last().expect("an event").state,
            deliveries: deliveries.iter().map(|delivery| (delivery.state, delivery.attempt)).collect(),
        }
    }
}
