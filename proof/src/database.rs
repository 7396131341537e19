//! The statements: each is one transaction, guarded as those of the stores are. States change along [`Transition`] only.

use model::job::JobState;
use model::reuse::LeaderGap;
use model::transitions::{MAX_CRASHES, Transition};

use crate::action::RunEnding;
use crate::system::StoredFile;
use crate::{Bounds, DeliveryRow, Doorbell, JobRow, Mutation, System};

/// What a claim is answered, as `store::Claimed` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimReply {
    /// It is the worker's, under this fencing token.
    Yes(u8),
    /// Another worker holds it, or it follows another job.
    Held,
    /// Only a worker that runs it alone gets it.
    MustRunAlone,
    /// The worker has no row.
    Unregistered,
    /// Nothing to do.
    Gone,
}

/// Why jobs are taken from a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossCause {
    /// It looks gone.
    Gone,
    /// It lives and says so, after it was taken for gone.
    Alive,
}

/// Who settles, and under which token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) job: u8,
    pub(crate) worker: u8,
    pub(crate) attempt: u8,
}

/// One wish to run a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) job: u8,
    pub(crate) worker: u8,
    pub(crate) redelivered: bool,
    pub(crate) alone: bool,
}

impl System {
    /// Takes a job along an arrow whose guard has been looked at: state, event, deliveries, dead letter.
    fn take(&mut self, at: u8, arrow: Transition) {
        let has_notifiers = !self.notifiers.is_empty();
        let job = self.job_mut(at);
        job.state = arrow.to();
        if job.state != JobState::Processing {
            (job.worker, job.waiting) = (None, false);
        }
        if job.withdrawn {
            return;
        }
        if arrow == Transition::Lose {
            job.losses |= 1 << job.attempt;
        }
        let seq = if arrow == Transition::Cancel { job.cancel_number.take() } else { None }.unwrap_or(job.seq + 1);
        job.seq = seq;
        job.watcher.hear(arrow.event(), seq, job.attempt);
        if has_notifiers && matches!(job.state, JobState::Done | JobState::Failed) {
            let is_failed = job.state == JobState::Failed;
            let delivery = u8::try_from(self.deliveries.len()).unwrap_or(u8::MAX);
            self.deliveries.push(DeliveryRow {
                job: at,
                of_success: !is_failed,
                sending: false,
                sent: false,
                attempt: 0,
                lease_over: false,
                mails: 0,
                windows: 0,
            });
            self.outbox.put(Doorbell::SendDelivery(delivery));
            if is_failed {
                self.outbox.put(Doorbell::DeadJob(at));
            }
        }
    }

    fn ring(&mut self, job: u8) {
        self.outbox.put(Doorbell::RunJob(job));
    }

    /// A submit: a plain job, or one that is answered from a file, joins a run, or leads one.
    pub(crate) fn submit(&mut self, bounds: &Bounds) {
        let at = u8::try_from(self.jobs.len()).unwrap_or(u8::MAX);
        let is_reusing = at >= bounds.plain_jobs;
        let mut row = JobRow::submitted(is_reusing);
        if is_reusing && !bounds.is(Mutation::IdenticalSubmitsTakeNoTurns) {
            let fresh = |job: &JobRow| job.reusable && job.state == JobState::Done && job.artifact.is_some();
            let under_way = |job: &JobRow| job.joinable && !job.state.is_final();
            let found = self.jobs.iter().position(fresh).or_else(|| self.jobs.iter().position(under_way));
            row.leader = found.and_then(|leader| u8::try_from(leader).ok());
            row.joinable = row.leader.is_none();
        }
        let leader = row.leader;
        self.jobs.push(row);
        match leader {
            Some(leader) => self.lead(leader, bounds),
            None => self.ring(at),
        }
    }

    /// A claim. A redelivered message is a reason to look whether the holder is gone.
    pub(crate) fn claim(&mut self, wish: Wish, bounds: &Bounds) -> ClaimReply {
        let holder = self.job(wish.job).worker.filter(|holder| *holder != wish.worker && wish.redelivered);
        if let Some(holder) = holder.filter(|holder| !self.workers[usize::from(*holder)].locked) {
            self.lose(holder, LossCause::Gone, (!bounds.rings_what_it_rescues).then_some(wish.job));
        }
        let is_guarded = !bounds.is(Mutation::ClaimWithoutStateGuard);
        let job = self.job(wish.job);
        if job.leader.is_some() {
            return if job.state.is_final() { ClaimReply::Gone } else { ClaimReply::Held };
        }
        if is_guarded && !Transition::Claim.from().contains(&job.state) {
            return if job.state.is_final() { ClaimReply::Gone } else { ClaimReply::Held };
        }
        if job.must_run_alone() && !wish.alone && !bounds.is(Mutation::PoisonRunsBesideOthers) {
            return ClaimReply::MustRunAlone;
        }
        if !self.workers[usize::from(wish.worker)].registered && !bounds.is(Mutation::UnregisteredClaims) {
            return ClaimReply::Unregistered;
        }
        let job = self.job_mut(wish.job);
        job.attempt += 1;
        let attempt = job.attempt;
        self.take(wish.job, Transition::Claim);
        let job = self.job_mut(wish.job);
        (job.worker, job.waiting) =
            (Some(wish.worker), job.must_run_alone() && !bounds.is(Mutation::PoisonRunsBesideOthers));
        ClaimReply::Yes(attempt)
    }

    /// The end of an attempt. None: too late.
    pub(crate) fn settle(&mut self, token: Token, ending: RunEnding, bounds: &Bounds) -> Option<JobState> {
        let job = self.job(token.job);
        let (is_worker, is_attempt) = (job.worker == Some(token.worker), job.attempt == token.attempt);
        let is_processing = job.state == JobState::Processing;
        let holds = is_processing && is_worker && is_attempt;
        let is_let_in = holds
            || (bounds.is(Mutation::FenceRemoved) && is_processing)
            || (bounds.is(Mutation::SettleWithoutAttempt) && is_processing && is_worker)
            || (bounds.is(Mutation::CancelDoesNotFence)
                && job.state == JobState::Cancelled
                && is_attempt
                && !job.withdrawn);
        if !is_let_in {
            return None;
        }
        self.sightings.stale_change |= !holds;
        let job = self.job_mut(token.job);
        let arrow = match ending {
            RunEnding::Done => {
                let content = token.attempt;
                let attempt = if bounds.is(Mutation::FileOverwrittenInPlace) { 0 } else { token.attempt };
                job.artifact = Some(StoredFile { job: token.job, attempt, content });
                Transition::Finish
            }
            RunEnding::RetryLater => {
                job.errors += 1;
                if job.errors >= bounds.max_attempts { Transition::Fail } else { Transition::RetryLater }
            }
            RunEnding::Failed => {
                job.errors += 1;
                Transition::Fail
            }
            RunEnding::HandBack => {
                job.interruptions += 1;
                Transition::HandBack
            }
        };
        self.take(token.job, arrow);
        if matches!(arrow, Transition::RetryLater | Transition::HandBack) {
            self.ring(token.job);
        }
        Some(arrow.to())
    }

    /// All jobs of a worker are taken from it, and its row goes. `claimed_next` needs no doorbell.
    pub(crate) fn lose(&mut self, worker: u8, cause: LossCause, claimed_next: Option<u8>) {
        self.worker_mut(worker).registered = false;
        for at in 0..u8::try_from(self.jobs.len()).unwrap_or(u8::MAX) {
            let job = self.job_mut(at);
            if job.worker != Some(worker) || job.state != JobState::Processing {
                continue;
            }
            let has_crashed = cause == LossCause::Gone && !job.waiting;
            let arrow = if has_crashed {
                job.crashes += 1;
                if i32::from(job.crashes) >= MAX_CRASHES { Transition::LoseTooOften } else { Transition::Lose }
            } else {
                job.interruptions += 1;
                Transition::HandBack
            };
            if arrow == Transition::LoseTooOften {
                let ran_others = |run: &crate::Run| run.job != at && run.begun;
                self.sightings.neighbour_failed |= self.workers[usize::from(worker)].runs.iter().any(ran_others);
            }
            self.take(at, arrow);
            if arrow.to() == JobState::Pending && claimed_next != Some(at) {
                self.ring(at);
            }
        }
    }

    /// The crashes of these attempts, whose worker lives, become interruptions.
    pub(crate) fn forgive(&mut self, attempts: &[(u8, u8)]) {
        for (job, attempt) in attempts {
            let job = self.job_mut(*job);
            if !job.state.is_final() && job.crashes > 0 && job.losses & (1 << attempt) != 0 {
                job.crashes -= 1;
                job.interruptions += 1;
            }
        }
    }

    /// Claims that their worker does not know of are handed back.
    pub(crate) fn give_back(&mut self, worker: u8, known: &[u8]) {
        for at in 0..u8::try_from(self.jobs.len()).unwrap_or(u8::MAX) {
            let job = self.job_mut(at);
            if job.worker == Some(worker) && job.state == JobState::Processing && !known.contains(&at) {
                job.interruptions += 1;
                self.take(at, Transition::HandBack);
                self.ring(at);
            }
        }
    }

    fn is_followed(&self, leader: u8) -> bool {
        self.jobs.iter().any(|job| job.leader == Some(leader) && !job.state.is_final())
    }

    /// A cancel: of the job, or only of its submitter where others wait for its run. False: its state does not allow it.
    pub(crate) fn cancel(&mut self, at: u8, bounds: &Bounds) -> bool {
        let job = self.job(at);
        if job.withdrawn || !Transition::Cancel.from().contains(&job.state) {
            return false;
        }
        if self.is_followed(at) && !bounds.is(Mutation::CancelForgetsFollowers) {
            let job = self.job_mut(at);
            job.seq += 1;
            job.watcher.hear(Transition::Cancel.event(), job.seq, job.attempt);
            job.withdrawn = true;
            return true;
        }
        let leader = job.leader;
        self.take(at, Transition::Cancel);
        if let Some(leader) = leader {
            let run = self.job(leader);
            if run.withdrawn && Transition::Cancel.from().contains(&run.state) && !self.is_followed(leader) {
                self.take(leader, Transition::Cancel);
            }
        }
        true
    }

    /// A replay. False: its state does not allow it.
    pub(crate) fn replay(&mut self, at: u8) -> bool {
        let job = self.job_mut(at);
        if job.withdrawn || !Transition::Replay.from().contains(&job.state) {
            return false;
        }
        (job.errors, job.crashes, job.interruptions, job.counted_from) = (0, 0, 0, job.attempt);
        (job.leader, job.joinable, job.reusable) = (None, false, false);
        self.take(at, Transition::Replay);
        self.ring(at);
        true
    }

    /// Followers take the arrows that their leader took, as `model::reuse` says.
    pub(crate) fn lead(&mut self, leader: u8, bounds: &Bounds) {
        let leading = self.job(leader).clone();
        let is_early = bounds.is(Mutation::FollowersReleasedEarly) && leading.state == JobState::Processing;
        for at in 0..u8::try_from(self.jobs.len()).unwrap_or(u8::MAX) {
            if self.job(at).leader != Some(leader) || self.job(at).state.is_final() {
                continue;
            }
            let crashed = leading.crashes > self.job(at).crashes;
            loop {
                let job = self.job(at);
                let state = if is_early { JobState::Done } else { leading.state };
                let gap =
                    LeaderGap { follower: job.state, leader: state, behind: leading.attempt > job.attempt, crashed };
                let Some(arrow) = gap.next_step() else { break };
                let job = self.job_mut(at);
                (job.errors, job.crashes, job.interruptions) = (leading.errors, leading.crashes, leading.interruptions);
                if arrow == Transition::Claim {
                    job.attempt = leading.attempt;
                }
                if arrow == Transition::Finish {
                    job.artifact = leading.artifact;
                }
                self.take(at, arrow);
            }
        }
    }
}
