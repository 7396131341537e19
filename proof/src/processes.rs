//! Who calls the statements, and what each process believes afterwards.

use model::job::JobState;

use crate::action::RunEnding;
use crate::database::{Token, Wish};
use crate::system::{QueuedMessage, WorkerLife, WorkerProcess};
use crate::{Action, Bounds, ClaimReply, Doorbell, LossCause, Mutation, Run, StoredFile, System};

/// Whether the process hears what its statement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    Heard,
    AnswerLost,
}

impl System {
    /// Returns what is after an action, or nothing where it changes nothing.
    #[must_use]
    pub fn after(&self, action: Action, bounds: &Bounds) -> Option<Self> {
        let mut next = self.clone();
        if action.is_fault() {
            next.allowance.faults = next.allowance.faults.checked_sub(1)?;
        }
        next.happen(action, bounds)?;
        (next != *self).then_some(next)
    }

    fn happen(&mut self, action: Action, bounds: &Bounds) -> Option<()> {
        match action {
            Action::Submit | Action::Cancel(_) | Action::ReadCancelNumber(_) | Action::Replay(_) => {
                self.happen_to_callers(action, bounds)
            }
            Action::Publish(_)
            | Action::PublishAndConfirmLost(_)
            | Action::PublishInVain(_)
            | Action::MessageLost(_)
            | Action::MessageDoubled(_)
            | Action::AllMessagesLost => self.happen_to_messages(action, bounds),
            Action::Claim(worker, message) => self.worker_claims(worker, message, Hearing::Heard, bounds),
            Action::ClaimAndAnswerLost(worker, message) => {
                self.worker_claims(worker, message, Hearing::AnswerLost, bounds)
            }
            Action::Begin(worker, run) => self.worker_begins(worker, run),
            Action::StoreFile(worker, run) => self.worker_stores(worker, run, bounds),
            Action::Settle(worker, run, ending) => self.worker_settles((worker, run), ending, Hearing::Heard, bounds),
            Action::SettleAndAnswerLost(worker, run, ending) => {
                self.worker_settles((worker, run), ending, Hearing::AnswerLost, bounds)
            }
            Action::Beat(_)
            | Action::Pause(_)
            | Action::LeaseEnds(_)
            | Action::Resume(_)
            | Action::LockLost(_)
            | Action::Kill(_) => self.happen_to_workers(action, bounds),
            Action::Sweep
            | Action::RingAgain(_)
            | Action::Lead(_)
            | Action::SweepFile(_)
            | Action::RingDeliveryAgain(_) => self.sweepers_work(action, bounds),
            Action::ClaimDelivery(..)
            | Action::SendMail(_)
            | Action::SettleDelivery(_)
            | Action::MailRefused(_)
            | Action::KillNotifier(_)
            | Action::DeliveryLeaseEnds(_) => self.notifiers_work(action, bounds),
        }
    }

    fn happen_to_callers(&mut self, action: Action, bounds: &Bounds) -> Option<()> {
        match action {
            Action::Submit => self.submit(bounds),
            Action::Cancel(job) => {
                self.allowance.cancels = self.allowance.cancels.checked_sub(1)?;
                self.cancel(job, bounds).then_some(())?;
            }
            Action::ReadCancelNumber(job) => {
                let job = self.job_mut(job);
                job.cancel_number = Some(job.seq + 1);
            }
            Action::Replay(job) => {
                self.allowance.replays = self.allowance.replays.checked_sub(1)?;
                self.replay(job).then_some(())?;
            }
            _ => return None,
        }
        Some(())
    }

    fn happen_to_messages(&mut self, action: Action, bounds: &Bounds) -> Option<()> {
        match action {
            Action::Publish(row) => {
                let doorbell = self.outbox.0.remove(usize::from(row));
                self.arrive(doorbell);
            }
            Action::PublishAndConfirmLost(row) => {
                let doorbell = self.outbox.0[usize::from(row)];
                self.arrive(doorbell);
            }
            // It stays in the outbox, unless somebody was too quick.
            Action::PublishInVain(row) => {
                bounds.is(Mutation::OutboxDeletedBeforeConfirm).then_some(())?;
                self.outbox.0.remove(usize::from(row));
                self.sightings.row_lost = true;
            }
            Action::MessageLost(message) => {
                self.queue.remove(usize::from(message));
            }
            Action::MessageDoubled(message) => {
                let message = self.queue[usize::from(message)];
                self.enqueue(message.doorbell, message.redelivered);
            }
            Action::AllMessagesLost => {
                self.queue.clear();
                for run in self.workers.iter_mut().flat_map(|worker| &mut worker.runs) {
                    run.message = false;
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Dead letters are for people: nobody in here takes them.
    fn arrive(&mut self, doorbell: Doorbell) {
        if !matches!(doorbell, Doorbell::DeadJob(_)) {
            self.enqueue(doorbell, false);
        }
    }

    fn worker_claims(&mut self, worker: u8, message: u8, hearing: Hearing, bounds: &Bounds) -> Option<()> {
        let QueuedMessage { doorbell: Doorbell::RunJob(job), redelivered } = self.queue.remove(usize::from(message))
        else {
            return None;
        };
        let first = self.claim(Wish { job, worker, redelivered, alone: false }, bounds);
        let (reply, alone) = if first == ClaimReply::MustRunAlone {
            (self.claim(Wish { job, worker, redelivered, alone: true }, bounds), true)
        } else {
            (first, false)
        };
        match reply {
            // The broker gives the message to somebody else, or to this one again.
            _ if hearing == Hearing::AnswerLost => self.enqueue(Doorbell::RunJob(job), true),
            ClaimReply::Yes(attempt) => {
                let run = Run { job, attempt, begun: !alone, has_file: false, in_doubt: false, message: true };
                // An older attempt of the same job is told to stop, unless it is past that.
                let older: Vec<Run> = self.workers[usize::from(worker)]
                    .runs
                    .iter()
                    .copied()
                    .filter(|run| run.job == job && !run.in_doubt)
                    .collect();
                for run in older {
                    self.worker_forgets(worker, run, bounds);
                }
                let runs = &mut self.worker_mut(worker).runs;
                runs.push(run);
                runs.sort_unstable();
            }
            ClaimReply::Held | ClaimReply::Gone => {}
            ClaimReply::MustRunAlone | ClaimReply::Unregistered => return None,
        }
        Some(())
    }

    fn run_of(&mut self, worker: u8, run: u8) -> &mut Run {
        &mut self.worker_mut(worker).runs[usize::from(run)]
    }

    fn worker_begins(&mut self, worker: u8, run: u8) -> Option<()> {
        (self.workers[usize::from(worker)].runs.len() == 1).then_some(())?;
        let Run { job, attempt, .. } = *self.run_of(worker, run);
        let row = self.job_mut(job);
        if row.state == JobState::Processing && row.worker == Some(worker) && row.attempt == attempt {
            row.waiting = false;
        }
        self.run_of(worker, run).begun = true;
        Some(())
    }

    fn worker_stores(&mut self, worker: u8, run: u8, bounds: &Bounds) -> Option<()> {
        let run = self.run_of(worker, run);
        run.has_file = true;
        let file = name_file(*run, bounds);
        let is_same = |other: &StoredFile| (other.job, other.attempt) == (file.job, file.attempt);
        if let Some(there) = self.files.iter_mut().find(|other| is_same(other)) {
            *there = file;
            self.sightings.overwritten = true;
        } else {
            let at = self.files.partition_point(|other| *other <= file);
            self.files.insert(at, file);
        }
        Some(())
    }

    fn worker_settles(&mut self, who: (u8, u8), ending: RunEnding, hearing: Hearing, bounds: &Bounds) -> Option<()> {
        let (worker, number) = who;
        let run = *self.run_of(worker, number);
        let is_first = !run.in_doubt;
        match ending {
            RunEnding::RetryLater | RunEnding::Failed if is_first => {
                self.allowance.bad_ends = self.allowance.bad_ends.checked_sub(1)?;
            }
            RunEnding::HandBack if is_first => self.allowance.hand_backs = self.allowance.hand_backs.checked_sub(1)?,
            _ => {}
        }
        let settled = self.settle(Token { job: run.job, worker, attempt: run.attempt }, ending, bounds);
        if settled == Some(JobState::Failed)
            && bounds.is(Mutation::DeadLetterAfterCommit)
            && hearing == Hearing::AnswerLost
        {
            self.outbox.0.retain(|row| *row != Doorbell::DeadJob(run.job));
            self.sightings.letters_owed += 1;
        }
        if hearing == Hearing::AnswerLost {
            self.run_of(worker, number).in_doubt = true;
            return Some(());
        }
        let row = self.job(run.job);
        let has_won = settled == Some(JobState::Done)
            || (run.in_doubt
                && !bounds.is(Mutation::DiscardedInDoubt)
                && row.state == JobState::Done
                && row.attempt == run.attempt);
        if has_won {
            // One that was too quick goes on to store its file, if it lives.
            self.worker_mut(worker).runs.retain(|other| *other != run || !run.has_file);
        } else {
            self.worker_forgets(worker, run, bounds);
        }
        Some(())
    }

    /// A worker drops a run that came to nothing, acknowledges its message and deletes its file.
    fn worker_forgets(&mut self, worker: u8, run: Run, bounds: &Bounds) {
        self.worker_mut(worker).runs.retain(|other| *other != run);
        if run.has_file {
            let file = name_file(run, bounds);
            self.files.retain(|other| (other.job, other.attempt) != (file.job, file.attempt));
        }
    }

    fn happen_to_workers(&mut self, action: Action, bounds: &Bounds) -> Option<()> {
        match action {
            Action::Beat(worker) => self.worker_beats(worker, bounds),
            Action::Pause(worker) => {
                self.sightings.strikes += 1;
                self.worker_mut(worker).life = WorkerLife::Paused;
            }
            Action::LeaseEnds(worker) => self.worker_mut(worker).silent = true,
            Action::Resume(worker) => self.worker_mut(worker).life = WorkerLife::Awake,
            Action::LockLost(worker) => {
                self.sightings.strikes += 1;
                self.worker_mut(worker).locked = false;
            }
            Action::Kill(worker) => {
                self.sightings.strikes += 1;
                let process = self.worker_mut(worker);
                (process.life, process.locked) = (WorkerLife::Dead, false);
                let given_back: Vec<u8> = process.runs.iter().filter(|run| run.message).map(|run| run.job).collect();
                for run in &mut process.runs {
                    run.message = false;
                }
                for job in given_back {
                    self.enqueue(Doorbell::RunJob(job), true);
                }
                self.workers.push(WorkerProcess::started());
            }
            _ => return None,
        }
        Some(())
    }

    /// A heartbeat renews the row, or registers anew; and hears what is no longer the worker's.
    fn worker_beats(&mut self, worker: u8, bounds: &Bounds) {
        let process = self.worker_mut(worker);
        (process.locked, process.silent) = (true, false);
        let runs = process.runs.clone();
        if !process.registered {
            let attempts: Vec<(u8, u8)> = runs.iter().map(|run| (run.job, run.attempt)).collect();
            self.forgive(&attempts);
            self.lose(worker, LossCause::Alive, None);
            self.worker_mut(worker).registered = true;
        }
        for run in runs.into_iter().filter(|run| !run.in_doubt) {
            let row = self.job(run.job);
            let is_ours = row.state == JobState::Processing && row.worker == Some(worker) && row.attempt == run.attempt;
            if !is_ours {
                self.worker_forgets(worker, run, bounds);
            }
        }
        if !bounds.is(Mutation::StraysAreKept) {
            let known: Vec<u8> = self.workers[usize::from(worker)].runs.iter().map(|run| run.job).collect();
            self.give_back(worker, &known);
        }
    }

    fn sweepers_work(&mut self, action: Action, bounds: &Bounds) -> Option<()> {
        match action {
            Action::Sweep => {
                (!bounds.is(Mutation::NobodySweeps)).then_some(())?;
                for worker in 0..u8::try_from(self.workers.len()).unwrap_or(u8::MAX) {
                    let process = &self.workers[usize::from(worker)];
                    let holds = self.jobs.iter().any(|job| job.worker == Some(worker));
                    let is_gone = process.looks_gone() || bounds.is(Mutation::SweepWithoutLiveness);
                    if is_gone && (process.registered || holds) {
                        self.lose(worker, LossCause::Gone, None);
                    }
                }
            }
            Action::RingAgain(job) => {
                (!bounds.is(Mutation::NobodyRingsAgain)).then_some(())?;
                self.outbox.put(Doorbell::RunJob(job));
            }
            Action::Lead(leader) => self.lead(leader, bounds),
            Action::SweepFile(file) => {
                let file = self.files[usize::from(file)];
                let is_named =
                    |row: &crate::JobRow| row.artifact.is_some_and(|a| (a.job, a.attempt) == (file.job, file.attempt));
                let row = self.job(file.job);
                let may_come = row.state == JobState::Processing && row.attempt == file.attempt;
                let is_free = !may_come || bounds.is(Mutation::SweptWhileRunning);
                (is_free && !self.jobs.iter().any(is_named)).then_some(())?;
                self.files.retain(|other| *other != file);
            }
            Action::RingDeliveryAgain(delivery) => self.outbox.put(Doorbell::SendDelivery(delivery)),
            _ => return None,
        }
        Some(())
    }
}

/// Names a file by job and attempt; its content is of the attempt.
fn name_file(run: Run, bounds: &Bounds) -> StoredFile {
    let attempt = if bounds.is(Mutation::FileOverwrittenInPlace) { 0 } else { run.attempt };
    StoredFile { job: run.job, attempt, content: run.attempt }
}
