//! Judges a whole history: what clients were answered, against what the store, the storage and the mail server hold in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use configuration::{Config, Secret};
use model::delivery::DeliveryState;
use model::event::EventKind;
use model::job::{Caller, Job, JobState};
use model::transitions::MAX_CRASHES;
use runtime::Backends;
use runtime::sweep::Cleanup;
use sha2::{Digest as _, Sha256};
use store::{JobFilter, Store};
use testing::smtp::Mail;
use uuid::Uuid;

use crate::client::{Answer, Operation};

/// What is left when all is over.
pub(crate) struct Evidence {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) mails: Vec<Mail>,
    pub(crate) artifacts: PathBuf,
    pub(crate) config: Config,
    pub(crate) caller: Caller,
}

/// What the checker found. Clean when nothing was lost, doubled or unexpected.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    jobs: usize,
    attempts: i32,
    crashes: i32,
    /// Jobs that ended by the limit of crashes.
    killed_too_often: usize,
    mails: usize,
    /// Mails that came twice with one `Message-ID`, in the documented unknown window.
    repeated: usize,
    orphans: usize,
    lost: Vec<String>,
    doubled: Vec<String>,
    unexpected: Vec<String>,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.unexpected.is_empty()
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.unexpected.push(what());
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [self.lost.len(), self.doubled.len(), self.unexpected.len()];
        write!(
            f,
            "{} jobs, {} attempts, {} crashes ({} too often), {} mails ({} repeated in the unknown window), {} orphans removed: lost {}, \
             doubled {}, unexpected {}",
            self.jobs,
            self.attempts,
            self.crashes,
            self.killed_too_often,
            self.mails,
            self.repeated,
            self.orphans,
            counts[0],
            counts[1],
            counts[2]
        )?;
        if f.alternate() {
            for (kind, found) in [("lost", &self.lost), ("doubled", &self.doubled), ("unexpected", &self.unexpected)] {
                found.iter().try_for_each(|what| write!(f, "\n  {kind}: {what}"))?;
            }
        }
        Ok(())
    }
}

/// Judges the history of `operations` after all jobs and deliveries have ended.
pub(crate) async fn judge(operations: &[Operation], evidence: Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    let mut promised = BTreeSet::new();
    for operation in operations {
        let accepted = operation.accepted();
        if accepted.len() > 1 {
            verdict.doubled.push(format!("key {} made the jobs {accepted:?}", operation.key));
        }
        for (answer, _) in &operation.answers {
            verdict.check(!matches!(answer, Answer::Other(..)), || format!("a submit was answered {answer:?}"));
            verdict.check(*answer != Answer::Unavailable(None), || "a 503 came without Retry-After".to_owned());
        }
        for id in accepted {
            verdict.check(promised.insert(id), || format!("two keys were answered the job {id}"));
            judge_job(&mut verdict, operation, id, &evidence).await;
        }
    }
    judge_leftovers(&mut verdict, &promised, &evidence).await;
    verdict
}

async fn judge_job(verdict: &mut Verdict, operation: &Operation, id: Uuid, evidence: &Evidence) {
    let Some(job) = evidence.store.job_by_id(id).await.unwrap() else {
        verdict.lost.push(format!("job {id} was accepted and is not there"));
        return;
    };
    verdict.jobs += 1;
    verdict.attempts += job.attempt;
    verdict.crashes += job.crashes;
    if !job.state.is_final() {
        verdict.lost.push(format!("job {id} is {} for ever", job.state));
    }
    let state = &job.state;
    let by_crashes = *state == JobState::Failed && job.crashes == MAX_CRASHES && job.errors == 0;
    verdict.killed_too_often += usize::from(by_crashes);
    let expected = *state == operation.expected || (operation.in_a_storm && by_crashes);
    verdict.check(expected, || format!("job {id} is {state}: {:?}, {:?}", job.error, job.crashes));
    // Every attempt ended in exactly one way.
    let ended = job.errors + job.crashes + job.interruptions + i32::from(job.state == JobState::Done);
    let cancelled = job.state == JobState::Cancelled && job.attempt == ended + 1;
    verdict.check(job.attempt == ended || cancelled, || {
        format!("job {id} had {} attempts and {ended} endings", job.attempt)
    });
    judge_events(verdict, &job, evidence).await;
    judge_files(verdict, operation, &job, evidence);
    judge_mails(verdict, operation, &job, evidence).await;
}

async fn judge_events(verdict: &mut Verdict, job: &Job, evidence: &Evidence) {
    let id = job.id;
    let events = evidence.store.events_of_job(&job.caller, id, 0, 10_000).await.unwrap();
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

fn judge_files(verdict: &mut Verdict, operation: &Operation, job: &Job, evidence: &Evidence) {
    let (id, wanted) = (job.id, if job.state == JobState::Done { operation.formats } else { 0 });
    let formats: BTreeSet<_> = job.artifacts.iter().map(|artifact| artifact.format).collect();
    if job.artifacts.len() > wanted || formats.len() < job.artifacts.len() {
        verdict.doubled.push(format!("job {id} has {} files in place of {wanted}", job.artifacts.len()));
    } else if job.artifacts.len() < wanted {
        verdict.lost.push(format!("job {id} has {} files in place of {wanted}", job.artifacts.len()));
    }
    for artifact in &job.artifacts {
        verdict.check(artifact.attempt == job.attempt, || {
            format!("a file of job {id} is of attempt {}", artifact.attempt)
        });
        match std::fs::read(evidence.artifacts.join(&artifact.object_key)) {
            Ok(bytes) => {
                let hash = hex::encode(Sha256::digest(&bytes));
                let same = bytes.len() as u64 == artifact.bytes && hash == artifact.sha256;
                verdict.check(same, || format!("{} is not what its row says", artifact.object_key));
            }
            Err(error) => verdict.lost.push(format!("{}: {error}", artifact.object_key)),
        }
    }
}

async fn judge_mails(verdict: &mut Verdict, operation: &Operation, job: &Job, evidence: &Evidence) {
    let id = job.id;
    let deliveries = evidence.store.deliveries_of_job(id).await.unwrap();
    let Some(recipient) = &operation.recipient else {
        verdict.check(deliveries.is_empty(), || format!("job {id} tells somebody nobody named"));
        return;
    };
    let sent = deliveries.iter().filter(|one| one.state == DeliveryState::Sent && one.recipient == *recipient).count();
    verdict.check(deliveries.len() == 1 && sent == 1, || format!("deliveries of job {id}: {deliveries:?}"));
    let mails = evidence.mails.iter().filter(|mail| mail.to.contains(recipient));
    let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
    for mail in mails {
        *by_id.entry(mail.message_id()).or_default() += 1;
    }
    match by_id.len() {
        0 => verdict.lost.push(format!("the mail of job {id}")),
        1 => verdict.mails += 1,
        _ => verdict.doubled.push(format!("the mail of job {id} came as {by_id:?}")),
    }
    let more: usize = by_id.values().map(|count| count - 1).sum();
    verdict.repeated += more;
    // Only a try whose outcome nobody could know may be made again.
    let tries = deliveries.first().map_or(0, |one| one.attempt);
    verdict.check(more == 0 || tries > 1, || format!("the mail of job {id} came {} times in one try", more + 1));
}

/// Nothing is there that nobody asked for.
async fn judge_leftovers(verdict: &mut Verdict, promised: &BTreeSet<Uuid>, evidence: &Evidence) {
    let uncovered = evidence.store.uncovered_jobs().await.unwrap();
    verdict.check(uncovered.is_empty(), || format!("jobs nothing covers: {uncovered:?}"));
    let filter = JobFilter {
        caller: evidence.caller.clone(),
        whole_tenant: true,
        state: None,
        report: None,
        before: None,
        limit: 100_000,
    };
    let jobs = evidence.store.jobs(filter).await.unwrap();
    for job in jobs.iter().filter(|job| !promised.contains(&job.id)) {
        verdict.doubled.push(format!("job {} was answered to nobody", job.id));
    }
    let referenced: BTreeSet<String> =
        jobs.iter().flat_map(|job| job.artifacts.iter().map(|artifact| artifact.object_key.clone())).collect();
    verdict.orphans = stored_keys(&evidence.artifacts).iter().filter(|key| !referenced.contains(*key)).count();
    tidy(evidence).await;
    let stored: BTreeSet<String> = stored_keys(&evidence.artifacts).into_iter().collect();
    verdict.check(stored == referenced, || {
        let odd: Vec<_> = stored.symmetric_difference(&referenced).collect();
        format!("files without a row, or rows without a file: {odd:?}")
    });
}

/// Does what the sweeper does a day later.
async fn tidy(evidence: &Evidence) {
    let mut config = evidence.config.clone();
    config.broker.url = Secret::new("in-process:");
    config.sweeper.orphan_grace = Duration::ZERO;
    let (backends, _background) = Backends::open(&config).await.unwrap();
    Cleanup::new(backends, &config.sweeper).clean_up().await;
}

/// Every stored file below `folder`, as a key; files that are still being written are not stored.
pub(crate) fn stored_keys(folder: &Path) -> Vec<String> {
    let mut keys = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Some(key) = path.strip_prefix(folder).ok().and_then(Path::to_str) {
                keys.push(key.to_owned());
            }
        }
    }
    keys
}
