//! Judges a history. It only looks at what it is given, so that tests can show it histories that no system should have.

use std::collections::{BTreeMap, BTreeSet};

use model::delivery::{Delivery, DeliveryEvent, DeliveryState};
use model::event::EventKind;
use model::job::{Job, JobState};
use model::problem::ProblemKind;
use model::transitions::MAX_CRASHES;
use uuid::Uuid;

use super::record::{History, JobHistory};
use super::verdict::Verdict;
use crate::client::{Answer, Operation};

/// The head or the body of a request took too long.
const REQUEST_TIMED_OUT: u16 = 408;

impl History {
    /// Holds what is there against what was promised.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let mut verdict = Verdict { orphans: self.orphans, ..Verdict::default() };
        let jobs: BTreeMap<Uuid, &JobHistory> = self.jobs.iter().map(|one| (one.job.id, one)).collect();
        verdict.check(jobs.len() == self.jobs.len(), || "two jobs have one id".to_owned());
        let mails = self.mails_by_recipient();
        let mut promised = BTreeSet::new();
        for operation in &self.operations {
            let accepted = operation.accepted();
            if accepted.len() > 1 {
                verdict.doubled.push(format!("key {} made the jobs {accepted:?}", operation.key));
            }
            for (answer, _) in &operation.answers {
                // A gateway that was frozen while a request came in says that it came too slowly, and promises nothing.
                let odd = matches!(answer, Answer::Other(status, _) if *status != REQUEST_TIMED_OUT);
                verdict.check(!odd, || format!("a submit was answered {answer:?}"));
                verdict.check(*answer != Answer::Unavailable(None), || "a 503 came without Retry-After".to_owned());
            }
            for id in accepted {
                verdict.check(promised.insert(id), || format!("two keys were answered the job {id}"));
                let to = operation.recipient.as_deref().unwrap_or_default();
                let mails = mails.get(to).map(Vec::as_slice).unwrap_or_default();
                match jobs.get(&id) {
                    Some(one) => judge_job(&mut verdict, operation, one, mails),
                    None => verdict.lost.push(format!("job {id} was accepted and is not there")),
                }
            }
        }
        promised.extend(self.judge_schedules(&mut verdict, &jobs, &mails));
        self.judge_leftovers(&mut verdict, &promised);
        verdict
    }

    fn mails_by_recipient(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut by_recipient: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for mail in &self.mails {
            for to in &mail.to {
                by_recipient.entry(to).or_default().push(&mail.message_id);
            }
        }
        by_recipient
    }

    /// Nothing is there that nobody asked for.
    fn judge_leftovers(&self, verdict: &mut Verdict, promised: &BTreeSet<Uuid>) {
        verdict.check(self.uncovered.is_empty(), || format!("jobs that nothing covered: {:?}", self.uncovered));
        for one in self.jobs.iter().filter(|one| !promised.contains(&one.job.id)) {
            verdict.doubled.push(format!("job {} was answered to nobody", one.job.id));
        }
        let readers = self.schedules.iter().map(|one| one.reader.as_str());
        let asked: BTreeSet<&str> =
            self.operations.iter().filter_map(|one| one.recipient.as_deref()).chain(readers).collect();
        for to in self.mails.iter().flat_map(|mail| &mail.to).filter(|to| !asked.contains(to.as_str())) {
            verdict.doubled.push(format!("a mail went to {to}, who is nobody's recipient"));
        }
        let rows = self.jobs.iter().flat_map(|one| &one.job.artifacts);
        let referenced: BTreeSet<String> = rows.map(|artifact| artifact.object_key.clone()).collect();
        verdict.check(self.stored == referenced, || {
            let odd: Vec<_> = self.stored.symmetric_difference(&referenced).collect();
            format!("files without a row, or rows without a file: {odd:?}")
        });
        for (queue, messages) in &self.messages {
            verdict.check(*messages == 0, || format!("{messages} messages are left in {queue}"));
        }
        verdict.check(self.connections.is_empty(), || format!("connections are left: {:?}", self.connections));
        for (id, seqs) in &self.watched {
            let last = self.jobs.iter().find(|one| one.job.id == *id).map(|one| one.job.seq);
            let whole = seqs.iter().copied().eq(1..=last.unwrap_or_default());
            verdict.check(whole, || format!("a watcher of job {id} saw the events {seqs:?} of {last:?}"));
        }
        verdict.wrong.extend(self.endings.iter().cloned());
    }
}

fn judge_job(verdict: &mut Verdict, operation: &Operation, one: &JobHistory, mails: &[&str]) {
    judge_run(verdict, operation, one);
    judge_mails(verdict, operation, one, mails);
}

/// Judges a job apart from who was told of it.
pub(super) fn judge_run(verdict: &mut Verdict, operation: &Operation, one: &JobHistory) {
    let (job, id, state) = (&one.job, one.job.id, one.job.state);
    verdict.jobs += 1;
    verdict.attempts += job.attempt;
    verdict.crashes += job.crashes;
    verdict.interruptions += job.interruptions;
    verdict.errors += job.errors;
    verdict.cancelled += usize::from(state == JobState::Cancelled);
    verdict.check(job.report == operation.report, || format!("job {id} is of the report {}", job.report));
    if !state.is_final() {
        verdict.lost.push(format!("job {id} is {state} for ever"));
    }
    let lost_too_often = job.error.as_ref().is_some_and(|error| error.kind == ProblemKind::WorkersLost);
    let by_crashes = state == JobState::Failed && job.crashes == MAX_CRASHES && lost_too_often;
    verdict.killed_too_often += usize::from(by_crashes);
    let cancelled = state == JobState::Cancelled && operation.may_be_cancelled;
    let expected = state == operation.expected || cancelled || (operation.in_a_storm && by_crashes);
    verdict.check(expected, || format!("job {id} is {state}: {:?}, {:?}", job.error, job.crashes));
    // Every attempt ended in exactly one way.
    let ended = job.errors + job.crashes + job.interruptions + i32::from(state == JobState::Done);
    let running = state == JobState::Cancelled && job.attempt == ended + 1;
    verdict.check(job.attempt == ended || running, || {
        format!("job {id} had {} attempts and {ended} endings", job.attempt)
    });
    judge_events(verdict, one);
    judge_files(verdict, operation, one);
}

fn judge_events(verdict: &mut Verdict, JobHistory { job, events, .. }: &JobHistory) {
    let id = job.id;
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    verdict
        .check(seqs.iter().copied().eq(1..=job.seq), || format!("job {id} ends at {} with events {seqs:?}", job.seq));
    let finals = events.iter().filter(|event| event.kind.is_final()).count();
    if finals > 1 {
        verdict.doubled.push(format!("job {id} has {finals} final events"));
    }
    let last = events.last().map(|event| (event.kind.is_final(), event.state, event.attempt));
    verdict.check(last == Some((true, job.state, job.attempt)), || format!("the last event of job {id} is {last:?}"));
    let attempts: Vec<i32> = events.iter().map(|event| event.attempt).collect();
    verdict.check(attempts.is_sorted(), || format!("attempts of job {id} go back: {attempts:?}"));
    let started: Vec<i32> = events.iter().filter(|e| e.kind == EventKind::Started).map(|e| e.attempt).collect();
    verdict.check(started.iter().copied().eq(1..=job.attempt), || format!("attempts of job {id} began: {started:?}"));
}

fn judge_files(verdict: &mut Verdict, operation: &Operation, JobHistory { job, files, .. }: &JobHistory) {
    let (id, wanted) = (job.id, if job.state == JobState::Done { operation.formats.len() } else { 0 });
    let formats: BTreeSet<_> = job.artifacts.iter().map(|artifact| artifact.format).collect();
    if job.artifacts.len() > wanted || formats.len() < job.artifacts.len() {
        verdict.doubled.push(format!("job {id} has {} files in place of {wanted}", job.artifacts.len()));
    } else if job.artifacts.len() < wanted {
        verdict.lost.push(format!("job {id} has {} files in place of {wanted}", job.artifacts.len()));
    }
    for (at, artifact) in job.artifacts.iter().enumerate() {
        let key = &artifact.object_key;
        verdict.check(artifact.attempt == job.attempt, || {
            format!("a file of job {id} is of attempt {}", artifact.attempt)
        });
        let Some((file, stored)) = files.get(at).and_then(|file| Some((file, file.stored.as_ref()?))) else {
            verdict.lost.push(format!("{key} is not stored"));
            continue;
        };
        verdict.files += 1;
        let same = stored.bytes == artifact.bytes && stored.sha256 == artifact.sha256;
        verdict.check(same, || format!("{key} is not what its row says"));
        if let Some(wanted) = &file.wanted {
            verdict.recomputed += 1;
            verdict.check(wanted == stored, || {
                format!("{key} has {} bytes, and is not what the rows of its source make: {wanted:?}", stored.bytes)
            });
        }
    }
}

fn judge_mails(verdict: &mut Verdict, operation: &Operation, one: &JobHistory, mails: &[&str]) {
    let JobHistory { job, deliveries, .. } = one;
    let id = job.id;
    let Some(recipient) = &operation.recipient else {
        verdict.check(deliveries.is_empty(), || format!("job {id} tells somebody nobody named"));
        return;
    };
    let (late, of_the_end): (Vec<_>, Vec<_>) = deliveries.iter().partition(|one| one.event == DeliveryEvent::Late);
    // Whoever cancels a job knows that it has ended.
    let wanted = usize::from(job.state != JobState::Cancelled);
    let sent = of_the_end.iter().filter(|one| one.state == DeliveryState::Sent && one.recipient == *recipient).count();
    let once = of_the_end.len() == wanted && sent == wanted && late.len() <= 1;
    verdict.check(once, || format!("deliveries of job {id}: {deliveries:?}"));
    for delivery in deliveries {
        judge_copies(verdict, job, delivery, mails);
    }
    let owed = |mail: &&&str| deliveries.iter().any(|one| mail.contains(&one.id.to_string()));
    for mail in mails.iter().filter(|mail| !owed(mail)) {
        verdict.doubled.push(format!("the mail {mail} of job {id} is of none of its deliveries"));
    }
}

/// A mail that was sent is there; and as often as it was tried at most, for only a try whose outcome nobody could know is made again.
pub(super) fn judge_copies(verdict: &mut Verdict, job: &Job, delivery: &Delivery, mails: &[&str]) {
    let name = delivery.id.to_string();
    let copies = mails.iter().filter(|mail| mail.contains(&name)).count();
    if copies == 0 {
        if delivery.state == DeliveryState::Sent {
            verdict.lost.push(format!("the mail {name} of job {}", job.id));
        }
        return;
    }
    verdict.mails += 1;
    verdict.repeated += copies - 1;
    if copies > usize::try_from(delivery.attempt).unwrap_or_default() {
        verdict
            .doubled
            .push(format!("the mail {name} of job {} came {copies} times in {} tries", job.id, delivery.attempt));
    }
}
