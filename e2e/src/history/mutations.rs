//! The checker is only worth what it sees: a sound history is changed in one way at a time, and each change must be found.

use std::time::Duration;

use model::delivery::DeliveryState;
use model::event::EventKind;
use model::job::JobState;
use serde_json::{Value, json};
use uuid::Uuid;

use super::record::{Contents, FileHistory, History, JobHistory, MailHistory};
use super::verdict::Verdict;
use crate::client::{Answer, Operation};

const AT: &str = "2026-01-31T12:00:00Z";

/// Three jobs: one that lost a worker, one that was handed back, and one that was cancelled while it waited.
fn sound() -> History {
    let jobs = vec![
        job(1, "done", &["submitted", "started", "worker_lost", "started", "done"]),
        job(2, "done", &["submitted", "started", "handed_back", "started", "done"]),
        job(3, "cancelled", &["submitted", "cancelled"]),
    ];
    let mails = jobs.iter().flat_map(|one| &one.deliveries).map(|delivery| MailHistory {
        to: vec![delivery.recipient.clone()],
        message_id: format!("<{}@example.com>", delivery.id),
    });
    History {
        operations: jobs.iter().map(operation).collect(),
        mails: mails.collect(),
        stored: jobs.iter().flat_map(|one| one.job.artifacts.iter().map(|file| file.object_key.clone())).collect(),
        messages: vec![("waitless.work.interactive.v1".to_owned(), 0)],
        watched: vec![(id(1), vec![1, 2, 3, 4, 5])],
        jobs,
        ..History::default()
    }
}

pub(super) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn recipient(number: u128) -> String {
    format!("reader-{number}@example.com")
}

fn operation(one: &JobHistory) -> Operation {
    let number = one.job.id.as_u128();
    Operation {
        key: format!("key {number}"),
        report: "quick",
        params: json!({}),
        formats: &["csv", "jsonl"],
        recipient: Some(recipient(number)),
        expected: one.job.state,
        in_a_storm: true,
        may_be_cancelled: false,
        // The first answer was lost, and the same key asked again.
        answers: vec![
            (Answer::Nothing, Duration::from_millis(9)),
            (Answer::Unavailable(Some(1)), Duration::from_millis(9)),
            (Answer::Accepted(one.job.id), Duration::from_millis(9)),
        ],
    }
}

pub(super) fn job(number: u128, state: &str, kinds: &[&str]) -> JobHistory {
    let mut attempt = 0;
    let mut events = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        attempt += i32::from(*kind == "started");
        let after = match *kind {
            "started" => "processing",
            "done" | "cancelled" => kind,
            _ => "pending",
        };
        events.push(json!({
            "job_id": id(number), "seq": at + 1, "tenant": "acme", "principal": "ana", "kind": kind, "state": after,
            "attempt": attempt, "error": null, "next_attempt_at": null, "at": AT
        }));
    }
    let count = |wanted: &str| kinds.iter().filter(|kind| **kind == wanted).count();
    let artifacts: Vec<Value> =
        if state == "done" { ["csv", "jsonl"].map(|format| artifact(number, attempt, format)).into() } else { vec![] };
    let job = json!({
        "id": id(number), "tenant": "acme", "principal": "ana", "report": "quick", "report_version": "sha256:1",
        "lane": "interactive", "params": {}, "formats": ["csv", "jsonl"], "notify": [], "state": state,
        "attempt": attempt, "errors": 0, "crashes": count("worker_lost"), "interruptions": count("handed_back"),
        "max_attempts": 20, "timeout_ms": 1, "retention_ms": 1, "worker_id": null,
        "progress": serde_json::to_value(model::progress::Progress::default()).unwrap(), "seq": kinds.len(),
        "created_at": AT, "started_at": AT, "finished_at": AT, "next_attempt_at": null, "error": null, "traceparent": null,
        "artifacts": artifacts,
        "sharing": {"served": "cold", "leader": null, "joined": null, "withdrawn_at": null}
    });
    let job: model::job::Job = serde_json::from_value(job).unwrap();
    let files = job.artifacts.iter().map(|artifact| {
        let contents = Contents { bytes: artifact.bytes, sha256: artifact.sha256.clone() };
        FileHistory { stored: Some(contents.clone()), wanted: Some(contents) }
    });
    let deliveries = if state == "done" { vec![delivery(number)] } else { vec![] };
    JobHistory {
        files: files.collect(),
        events: serde_json::from_value(events.into()).unwrap(),
        deliveries: serde_json::from_value(deliveries.into()).unwrap(),
        job,
    }
}

fn artifact(number: u128, attempt: i32, format: &str) -> Value {
    json!({
        "id": Uuid::now_v7(), "job_id": id(number), "attempt": attempt, "format": format,
        "object_key": format!("{number}.{format}"), "filename": "f", "bytes": 10 * number, "rows": 1,
        "sha256": format!("hash of {number}.{format}"), "complete": true, "snapshot_at": AT, "created_at": AT,
        "expires_at": AT, "link_id": Uuid::now_v7()
    })
}

pub(super) fn delivery(number: u128) -> Value {
    json!({
        "id": id(100 + number), "job_id": id(number), "tenant": "acme", "event": "done", "seq": 5, "channel": "email",
        "recipient": recipient(number), "state": "sent", "attempt": 1, "next_attempt_at": null, "error": null,
        "created_at": AT, "sent_at": AT, "late": null
    })
}

#[test]
fn a_sound_history_is_clean() {
    let verdict = sound().judge();
    assert!(verdict.is_clean(), "{verdict:#}");
    assert_eq!((verdict.jobs, verdict.files, verdict.recomputed, verdict.mails), (3, 4, 4, 2));
    assert_eq!((verdict.attempts, verdict.crashes, verdict.interruptions, verdict.cancelled), (4, 1, 1, 1));
}

#[test]
fn a_mail_that_was_tried_twice_may_come_twice_as_one() {
    let mut history = sound();
    history.jobs[0].deliveries[0].attempt = 2;
    history.mails.push(history.mails[0].clone());
    let verdict = history.judge();
    assert!(verdict.is_clean() && verdict.repeated == 1, "{verdict:#}");
}

/// A change, and under what it is found.
type Mutation = (&'static str, Found, fn(&mut History));

/// What a system must never do, as a change to a sound history, and under what it is found.
const MUTATIONS: &[Mutation] = &[
    ("a job is gone", Found::Lost, |h| drop(h.jobs.remove(0))),
    ("a job never ends", Found::Lost, |h| h.jobs[0].job.state = JobState::Processing),
    ("a file is gone", Found::Lost, |h| h.jobs[0].files[1].stored = None),
    ("a done job has one file too few", Found::Lost, |h| {
        let gone = h.jobs[0].job.artifacts.remove(1);
        h.stored.remove(&gone.object_key);
    }),
    ("a mail never came", Found::Lost, |h| drop(h.mails.remove(0))),
    ("a key made two jobs", Found::Doubled, |h| {
        let second = job(4, "done", &["submitted", "started", "done"]);
        h.operations[0].answers.push((Answer::Accepted(second.job.id), Duration::ZERO));
        h.jobs.push(second);
    }),
    ("a job nobody was told of", Found::Doubled, |h| {
        h.jobs.push(job(4, "cancelled", &["submitted", "cancelled"]));
    }),
    ("a job is done twice", Found::Doubled, |h| {
        let mut again = h.jobs[0].events[4].clone();
        again.seq = 6;
        h.jobs[0].events.push(again);
        h.jobs[0].job.seq = 6;
    }),
    ("a job is done and then fails", Found::Doubled, |h| {
        let mut again = h.jobs[0].events[4].clone();
        (again.seq, again.kind, again.state) = (6, EventKind::Failed, JobState::Failed);
        h.jobs[0].events.push(again);
        (h.jobs[0].job.seq, h.jobs[0].job.state) = (6, JobState::Failed);
    }),
    ("a mail comes twice in one try", Found::Doubled, |h| h.mails.push(h.mails[0].clone())),
    ("a mail comes again under another name", Found::Doubled, |h| {
        let mut again = h.mails[0].clone();
        again.message_id = format!("<{}@example.com>", id(999));
        h.mails.push(again);
    }),
    ("a mail goes to a stranger", Found::Doubled, |h| {
        let mut astray = h.mails[0].clone();
        astray.to = vec!["stranger@example.com".to_owned()];
        h.mails.push(astray);
    }),
    ("a mail goes to the reader of another job", Found::Doubled, |h| {
        let astray = MailHistory { to: vec![recipient(2)], ..h.mails[0].clone() };
        h.mails.push(astray);
    }),
    ("two files of one format", Found::Doubled, |h| {
        let format = h.jobs[0].job.artifacts[0].format;
        h.jobs[0].job.artifacts[1].format = format;
    }),
    ("a cancelled job has a file", Found::Doubled, |h| {
        let (artifact, file) = (h.jobs[0].job.artifacts[0].clone(), h.jobs[0].files[0].clone());
        h.jobs[2].job.artifacts.push(artifact);
        h.jobs[2].files.push(file);
    }),
    ("two hashes are swapped in the rows", Found::Wrong, |h| {
        let [one, other] = [0, 1].map(|at: usize| h.jobs[at].job.artifacts[0].sha256.clone());
        (h.jobs[0].job.artifacts[0].sha256, h.jobs[1].job.artifacts[0].sha256) = (other, one);
    }),
    ("two files are swapped with their rows", Found::Wrong, |h| {
        for at in [0, 1] {
            let other = artifact(2 - at as u128, 2, "csv");
            let contents = Contents {
                bytes: other["bytes"].as_u64().unwrap(),
                sha256: other["sha256"].as_str().unwrap().to_owned(),
            };
            let row = &mut h.jobs[at].job.artifacts[0];
            (row.bytes, row.sha256) = (contents.bytes, contents.sha256.clone());
            h.jobs[at].files[0].stored = Some(contents);
        }
    }),
    ("a byte of a file is missing", Found::Wrong, |h| {
        h.jobs[0].files[0].stored.as_mut().unwrap().bytes -= 1;
    }),
    ("an event number is skipped", Found::Wrong, |h| h.jobs[0].events[3].seq = 7),
    ("an event is gone", Found::Wrong, |h| drop(h.jobs[0].events.remove(1))),
    ("an event is there twice", Found::Wrong, |h| {
        let again = h.jobs[0].events[1].clone();
        h.jobs[0].events.insert(1, again);
    }),
    ("the last event is not the job's state", Found::Wrong, |h| h.jobs[0].events[4].state = JobState::Failed),
    ("an attempt goes back", Found::Wrong, |h| h.jobs[0].events[4].attempt = 1),
    ("an attempt began twice", Found::Wrong, |h| h.jobs[0].events[3].attempt = 1),
    ("an attempt has no end", Found::Wrong, |h| h.jobs[0].job.crashes = 0),
    ("an attempt has two ends", Found::Wrong, |h| h.jobs[0].job.errors = 1),
    ("a file is of a former attempt", Found::Wrong, |h| h.jobs[0].job.artifacts[0].attempt = 1),
    ("a job ends otherwise than it should", Found::Wrong, |h| h.operations[0].expected = JobState::Cancelled),
    ("a cancelled job is done after all", Found::Wrong, |h| {
        h.operations[1].expected = JobState::Cancelled;
        h.operations[1].may_be_cancelled = true;
    }),
    ("a job is of another report", Found::Wrong, |h| h.jobs[0].job.report = "slow".to_owned()),
    ("two submits are answered one job", Found::Wrong, |h| {
        h.operations[1].answers = h.operations[0].answers.clone();
    }),
    ("a submit fails with 500", Found::Wrong, |h| {
        h.operations[0].answers.push((Answer::Other(500, String::new()), Duration::ZERO));
    }),
    ("a 503 does not say when to come back", Found::Wrong, |h| {
        h.operations[0].answers.push((Answer::Unavailable(None), Duration::ZERO));
    }),
    ("a delivery is given up", Found::Wrong, |h| h.jobs[0].deliveries[0].state = DeliveryState::Failed),
    ("nobody is to be told", Found::Wrong, |h| h.jobs[0].deliveries.clear()),
    ("somebody is told whom nobody named", Found::Wrong, |h| h.operations[0].recipient = None),
    ("a file has no row", Found::Wrong, |h| {
        h.stored.insert("stray".to_owned());
    }),
    ("a job was not covered", Found::Wrong, |h| h.uncovered.push(id(1))),
    ("a message is left", Found::Wrong, |h| h.messages[0].1 = 1),
    ("a connection is left", Found::Wrong, |h| h.connections.push("PostgreSQL: one".to_owned())),
    ("a watcher missed an event", Found::Wrong, |h| {
        h.watched[0].1.remove(2);
    }),
    ("a watcher saw an event twice", Found::Wrong, |h| h.watched[0].1.insert(2, 2)),
    ("a watcher missed the end", Found::Wrong, |h| {
        h.watched[0].1.pop();
    }),
    ("a process died by itself", Found::Wrong, |h| h.endings.push("api ended".to_owned())),
];

/// Where a change shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    Lost,
    Doubled,
    Wrong,
}

impl Found {
    pub(super) fn of(self, verdict: &Verdict) -> &[String] {
        match self {
            Self::Lost => &verdict.lost,
            Self::Doubled => &verdict.doubled,
            Self::Wrong => &verdict.wrong,
        }
    }
}

#[test]
fn every_change_to_a_sound_history_is_found_and_found_as_what_it_is() {
    let mut missed = Vec::new();
    for (what, found, change) in MUTATIONS {
        let mut history = sound();
        change(&mut history);
        let verdict = history.judge();
        if found.of(&verdict).is_empty() || verdict.is_clean() {
            missed.push(format!("{what}, as {found:?}: {verdict:#}"));
        }
    }
    assert!(missed.is_empty(), "the checker did not see: {missed:#?}");
    assert!(MUTATIONS.len() > 40);
}
