//! What may happen next.

use model::job::JobState;
use model::transitions::Transition;

use crate::system::WorkerLife;
use crate::{Bounds, Doorbell, JobRow, Mutation, System};

/// How an attempt ends, as its worker wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunEnding {
    /// Its file is stored.
    Done,
    /// It failed and may go better.
    RetryLater,
    /// It failed for good.
    Failed,
    /// The worker was told to stop.
    HandBack,
}

/// One step of one process, or a fault. What is called `…_lost` or `…_in_vain` costs a fault, as does what kills or stops something.
///
/// Numbers are places in [`System`]: of jobs, workers, runs of a worker, messages, outbox rows, files, deliveries, notifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next job is submitted.
    Submit,
    /// A caller cancels.
    Cancel(u8),
    /// A cancel reads the number of its event. Only of a product that is mutated so.
    ReadCancelNumber(u8),
    /// A caller replays.
    Replay(u8),

    /// The relay publishes a row; the broker confirms; the row goes.
    Publish(u8),
    /// The relay publishes a row, and the broker's confirm is lost: the row stays.
    PublishAndConfirmLost(u8),
    /// The relay publishes a row, and the connection breaks on the way.
    PublishInVain(u8),
    /// The broker loses a message.
    MessageLost(u8),
    /// The broker has a message twice.
    MessageDoubled(u8),
    /// The broker's disk is wiped.
    AllMessagesLost,

    /// A worker takes a message and claims the job.
    Claim(u8, u8),
    /// The same, and the answer never arrives: the message goes back.
    ClaimAndAnswerLost(u8, u8),
    /// An attempt that had to be alone begins.
    Begin(u8, u8),
    /// An attempt stores its file.
    StoreFile(u8, u8),
    /// An attempt is settled.
    Settle(u8, u8, RunEnding),
    /// An attempt is settled, and the answer never arrives.
    SettleAndAnswerLost(u8, u8, RunEnding),
    /// A heartbeat.
    Beat(u8),
    /// A worker is paused, or cut off from the database.
    Pause(u8),
    /// Two beats of a paused worker are missing.
    LeaseEnds(u8),
    /// A paused worker goes on, and knows nothing.
    Resume(u8),
    /// The session that holds a worker's lock ends, and the worker lives.
    LockLost(u8),
    /// A worker is killed, and another one is started.
    Kill(u8),

    /// The sweeper takes the jobs of workers that are gone.
    Sweep,
    /// The sweeper rings again for a job without message or row.
    RingAgain(u8),
    /// Followers are brought up to a job.
    Lead(u8),
    /// The sweeper deletes a file without row.
    SweepFile(u8),
    /// The sweeper rings again for a delivery without message or row.
    RingDeliveryAgain(u8),

    /// A notifier takes a message and claims the delivery.
    ClaimDelivery(u8, u8),
    /// A notifier hands the mail over and the server accepts it.
    SendMail(u8),
    /// A notifier says how the delivery ended.
    SettleDelivery(u8),
    /// The mail server does not take the mail, which is tried again later.
    MailRefused(u8),
    /// A notifier is killed, and started again.
    KillNotifier(u8),
    /// A notifier is so slow that its lease is over.
    DeliveryLeaseEnds(u8),
}

fn numbers(length: usize) -> impl Iterator<Item = u8> {
    (0..length).filter_map(|number| u8::try_from(number).ok())
}

impl Action {
    /// Tells whether it is a fault.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::PublishAndConfirmLost(_)
                | Self::PublishInVain(_)
                | Self::MessageLost(_)
                | Self::MessageDoubled(_)
                | Self::AllMessagesLost
                | Self::ClaimAndAnswerLost(..)
                | Self::SettleAndAnswerLost(..)
                | Self::Pause(_)
                | Self::LockLost(_)
                | Self::Kill(_)
                | Self::KillNotifier(_)
                | Self::DeliveryLeaseEnds(_)
        )
    }
}

impl System {
    /// Lists what may happen, healthy steps first. Some of it changes nothing: then [`System::after`] says so.
    pub fn list_actions(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        self.list_of_sweepers(bounds, actions);
        self.list_of_relay_and_broker(actions);
        self.list_of_workers(bounds, actions);
        self.list_of_notifiers(actions);
        self.list_of_callers(bounds, actions);
        if self.allowance.faults > 0 {
            self.list_faults(bounds, actions);
        }
    }

    fn list_of_callers(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        if self.jobs.len() < usize::from(bounds.jobs()) {
            actions.push(Action::Submit);
        }
        for (at, job) in numbers(self.jobs.len()).zip(&self.jobs) {
            if self.allowance.cancels > 0 && Transition::Cancel.from().contains(&job.seen_state()) {
                let reads_first = bounds.is(Mutation::EventNumberedWithoutLock) && job.cancel_number.is_none();
                actions.push(if reads_first { Action::ReadCancelNumber(at) } else { Action::Cancel(at) });
            }
            if self.allowance.replays > 0 && Transition::Replay.from().contains(&job.seen_state()) {
                actions.push(Action::Replay(at));
            }
        }
    }

    fn list_of_relay_and_broker(&self, actions: &mut Vec<Action>) {
        for at in numbers(self.outbox.0.len()).filter(|at| self.is_first_of_equal_rows(*at)) {
            actions.push(Action::Publish(at));
        }
    }

    fn is_first_of_equal_rows(&self, at: u8) -> bool {
        let at = usize::from(at);
        at == 0 || self.outbox.0[at - 1] != self.outbox.0[at]
    }

    fn is_first_of_equal_messages(&self, at: u8) -> bool {
        let at = usize::from(at);
        at == 0 || self.queue[at - 1] != self.queue[at]
    }

    fn list_of_workers(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        for (at, worker) in numbers(self.workers.len()).zip(&self.workers) {
            match worker.life {
                WorkerLife::Dead => continue,
                WorkerLife::Paused => {
                    actions.push(Action::Resume(at));
                    if !worker.silent {
                        actions.push(Action::LeaseEnds(at));
                    }
                    continue;
                }
                WorkerLife::Awake => actions.push(Action::Beat(at)),
            }
            for (number, run) in numbers(worker.runs.len()).zip(&worker.runs) {
                if !run.begun {
                    actions.push(Action::Begin(at, number));
                    continue;
                }
                if !run.has_file {
                    actions.push(Action::StoreFile(at, number));
                }
                self.list_endings(bounds, run, |ending| actions.push(Action::Settle(at, number, ending)));
            }
            if self.may_claim(at, bounds) {
                let messages = numbers(self.queue.len()).filter(|message| self.is_first_of_equal_messages(*message));
                let messages = messages.filter(|m| matches!(self.queue[usize::from(*m)].doorbell, Doorbell::RunJob(_)));
                actions.extend(messages.map(|message| Action::Claim(at, message)));
            }
        }
    }

    /// A worker that runs something alone, or is about to, takes nothing else; nor does one that is full.
    fn may_claim(&self, worker: u8, bounds: &Bounds) -> bool {
        let worker = &self.workers[usize::from(worker)];
        let is_exclusive = worker.is_exclusive(&self.jobs) && !bounds.is(Mutation::PoisonRunsBesideOthers);
        worker.life == WorkerLife::Awake && worker.runs.len() < usize::from(bounds.concurrency) && !is_exclusive
    }

    fn list_endings(&self, bounds: &Bounds, run: &crate::Run, mut list: impl FnMut(RunEnding)) {
        if run.has_file || bounds.is(Mutation::DoneBeforeStored) {
            list(RunEnding::Done);
        }
        if self.allowance.bad_ends > 0 || run.in_doubt {
            list(RunEnding::RetryLater);
            list(RunEnding::Failed);
        }
        if self.allowance.hand_backs > 0 {
            list(RunEnding::HandBack);
        }
    }

    fn list_of_notifiers(&self, actions: &mut Vec<Action>) {
        for (at, notifier) in numbers(self.notifiers.len()).zip(&self.notifiers) {
            match notifier.holds {
                Some((_, _, false)) => {
                    actions.push(Action::SendMail(at));
                    if self.allowance.bad_ends > 0 {
                        actions.push(Action::MailRefused(at));
                    }
                }
                Some((_, _, true)) => actions.push(Action::SettleDelivery(at)),
                None => {
                    let messages =
                        numbers(self.queue.len()).filter(|message| self.is_first_of_equal_messages(*message));
                    let is_ours = |m: &u8| matches!(self.queue[usize::from(*m)].doorbell, Doorbell::SendDelivery(_));
                    actions.extend(messages.filter(is_ours).map(|message| Action::ClaimDelivery(at, message)));
                }
            }
        }
    }

    fn list_of_sweepers(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        let is_gone = |worker: &crate::WorkerProcess| worker.registered && worker.looks_gone();
        if bounds.is(Mutation::SweepWithoutLiveness) || self.workers.iter().any(is_gone) || self.has_nameless_holder() {
            actions.push(Action::Sweep);
        }
        let leads = |at: &u8| self.jobs.iter().any(|job| job.leader == Some(*at) && !job.state.is_final());
        actions.extend(numbers(self.jobs.len()).filter(leads).map(Action::Lead));
        let is_silent =
            |job: &JobRow| matches!(job.state, JobState::Pending | JobState::Retrying) && job.leader.is_none();
        for (at, _) in numbers(self.jobs.len()).zip(&self.jobs).filter(|(_, job)| is_silent(job)) {
            if !self.outbox.contains(Doorbell::RunJob(at)) && !self.has_message(Doorbell::RunJob(at)) {
                actions.push(Action::RingAgain(at));
            }
        }
        actions.extend(numbers(self.files.len()).map(Action::SweepFile));
        for (at, delivery) in numbers(self.deliveries.len()).zip(&self.deliveries) {
            let bell = Doorbell::SendDelivery(at);
            let is_due = !delivery.sent && (!delivery.sending || delivery.lease_over);
            if is_due && !self.outbox.contains(bell) && !self.has_message(bell) {
                actions.push(Action::RingDeliveryAgain(at));
            }
        }
    }

    fn has_nameless_holder(&self) -> bool {
        let is_nameless = |holder: u8| !self.workers[usize::from(holder)].registered;
        self.jobs.iter().any(|job| job.worker.is_some_and(is_nameless))
    }

    fn list_faults(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        for at in numbers(self.outbox.0.len()).filter(|at| self.is_first_of_equal_rows(*at)) {
            actions.extend([Action::PublishAndConfirmLost(at), Action::PublishInVain(at)]);
        }
        for at in numbers(self.queue.len()).filter(|at| self.is_first_of_equal_messages(*at)) {
            actions.extend([Action::MessageLost(at), Action::MessageDoubled(at)]);
        }
        if !self.queue.is_empty() {
            actions.push(Action::AllMessagesLost);
        }
        let mut more = Vec::new();
        self.list_of_workers(bounds, &mut more);
        for action in more {
            match action {
                Action::Claim(worker, message) => actions.push(Action::ClaimAndAnswerLost(worker, message)),
                Action::Settle(worker, run, ending) => actions.push(Action::SettleAndAnswerLost(worker, run, ending)),
                _ => {}
            }
        }
        for (at, worker) in numbers(self.workers.len()).zip(&self.workers) {
            if worker.life == WorkerLife::Awake {
                actions.push(Action::Pause(at));
                actions.extend(worker.locked.then_some(Action::LockLost(at)));
            }
            if worker.life != WorkerLife::Dead {
                actions.push(Action::Kill(at));
            }
        }
        for (at, notifier) in numbers(self.notifiers.len()).zip(&self.notifiers) {
            if notifier.holds.is_some() {
                actions.extend([Action::KillNotifier(at), Action::DeliveryLeaseEnds(at)]);
            }
        }
    }
}
