//! What must hold in every state, and what must be seen in some.

use model::job::JobState;
use model::transitions::Transition;

use crate::{Bounds, Doorbell, JobRow, System, ends_well};

/// A property by its name.
pub type PropertyCheck = (&'static str, fn(&Bounds, &System) -> bool);

/// What holds always.
pub const ALWAYS: [PropertyCheck; 13] = [
    ("every job that is not final is covered", |_, system| (0..system.jobs.len()).all(|at| is_covered(system, at))),
    ("from everywhere all ends well once nothing more goes wrong", |bounds, system| {
        !bounds.recovery || ends_well(system, bounds)
    }),
    ("a row leaves the outbox for the broker only", |_, system| {
        !system.sightings.row_lost && system.sightings.letters_owed == 0
    }),
    ("only the attempt that holds a job changes it", |_, system| !system.sightings.stale_change),
    ("events are numbered without gap and lead along the arrows", |_, system| {
        system
            .jobs
            .iter()
            .all(|job| !job.watcher.is_misled && job.watcher.seq == job.seq && job.watcher.state == job.seen_state())
    }),
    ("done means that the file is there and is the right one", |_, system| {
        let is_there = |job: &JobRow| job.artifact.is_some_and(|file| system.files.contains(&file));
        system.jobs.iter().all(|job| job.state != JobState::Done || (is_there(job) && is_of_its_run(system, job)))
    }),
    ("no file is overwritten", |_, system| !system.sightings.overwritten),
    ("after a cancel come no event and no mail of success", |_, system| {
        !system.sightings.mail_after_cancel && system.jobs.iter().all(|job| !job.watcher.heard_after_cancel)
    }),
    ("every attempt has its reason", |_, system| {
        system.jobs.iter().filter(|job| job.leader.is_none()).all(has_reasons)
    }),
    ("only a lost worker costs a crash", |_, system| {
        system.jobs.iter().all(|job| job.crashes <= system.sightings.strikes)
    }),
    ("no job fails by the loss of a worker that ran others", |_, system| !system.sightings.neighbour_failed),
    ("one mail, and another only where a notifier was lost before it could say so", |_, system| {
        system
            .deliveries
            .iter()
            .all(|delivery| delivery.mails <= 1 + delivery.windows && (!delivery.sent || delivery.mails > 0))
    }),
    ("identical jobs have one run", |_, system| {
        system.jobs.iter().filter(|job| job.joinable && !job.state.is_final()).count() <= 1
    }),
];

/// What is seen in some state, so that nothing of the above holds only because nothing happens.
pub const SOMETIMES: [PropertyCheck; 9] = [
    ("a job is done at its first attempt", |_, system| {
        is_any(system, |job| job.state == JobState::Done && job.attempt == 1)
    }),
    ("a job is done after its worker was lost", |_, system| {
        is_any(system, |job| job.state == JobState::Done && job.crashes > 0)
    }),
    ("a loss is forgiven", |_, system| {
        is_any(system, |job| job.losses != 0 && job.crashes == 0 && job.interruptions > 0)
    }),
    ("two workers run attempts of one job", |_, system| {
        let runs = |job: usize| {
            system.workers.iter().flat_map(|worker| &worker.runs).filter(move |run| usize::from(run.job) == job)
        };
        (0..system.jobs.len()).any(|job| runs(job).count() > 1)
    }),
    ("a job is cancelled while it runs", |_, system| {
        is_any(system, |job| job.state == JobState::Cancelled && job.attempt > 0)
    }),
    ("a job fails by crashes", |_, system| is_any(system, |job| job.state == JobState::Failed && job.errors == 0)),
    ("a follower is done", |_, system| is_any(system, |job| job.state == JobState::Done && job.leader.is_some())),
    ("a run goes on that was withdrawn", |_, system| {
        is_any(system, |job| job.withdrawn && job.state == JobState::Done)
    }),
    ("a mail is sent twice", |_, system| system.deliveries.iter().any(|delivery| delivery.mails > 1)),
];

fn is_any(system: &System, is_so: impl Fn(&JobRow) -> bool) -> bool {
    system.jobs.iter().any(is_so)
}

/// The query of `uncovered_jobs`, on this state.
fn is_covered(system: &System, at: usize) -> bool {
    let job = &system.jobs[at];
    let is_rung = u8::try_from(at).is_ok_and(|at| system.outbox.contains(Doorbell::RunJob(at)));
    let is_held = job.worker.is_some_and(|worker| system.workers[usize::from(worker)].registered);
    match (job.state, job.leader) {
        // The sweeper brings it up to its leader while that one is not cancelled.
        (state, Some(leader)) => state.is_final() || system.jobs[usize::from(leader)].state != JobState::Cancelled,
        (JobState::Processing, None) => is_rung || is_held,
        // The sweeper rings for it, it has a due time, or it is final.
        (_, None) => true,
    }
}

/// The file is that of the attempt that the row tells of, or of the job that it was answered from.
fn is_of_its_run(system: &System, job: &JobRow) -> bool {
    let run = job.leader.map_or(job, |leader| &system.jobs[usize::from(leader)]);
    job.artifact == run.artifact && run.artifact.is_some_and(|file| file.content == run.attempt)
}

/// Attempts are counted by how they ended; one that runs, won or was cancelled is not counted yet.
fn has_reasons(job: &JobRow) -> bool {
    let ended = job.errors + job.crashes + job.interruptions;
    let begun = job.attempt - job.counted_from;
    match job.state {
        JobState::Cancelled => begun == ended || begun == ended + 1,
        JobState::Processing | JobState::Done => begun == ended + 1,
        JobState::Pending | JobState::Retrying | JobState::Failed => begun == ended,
    }
}

const _: () = assert!(Transition::ALL.len() == 9, "an arrow was added: give it its action");
