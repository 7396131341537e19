//! What no schedule must ever do, as a change to a sound history, each of which the checker must find.

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use model::delivery::{Channel, DeliveryState};
use model::job::JobState;
use model::schedule::FiringOutcome;

use super::mutations::{Found, delivery, id, job};
use super::record::{FiringHistory, History, MailHistory, ScheduleHistory};

const READER: &str = "scheduled@example.com";

fn at(minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 31, 18, minute, 0).unwrap()
}

/// One schedule in Kathmandu, where it is 23:55 then, that fired three times.
fn sound() -> History {
    let mut history = History::default();
    let mut firings = Vec::new();
    for number in 1..=3_u128 {
        let due = at(9 + u32::try_from(number).unwrap());
        let mut one = job(number, "done", &["submitted", "started", "done"]);
        one.job.artifacts.truncate(1);
        one.files.truncate(1);
        let mut mail = delivery(number);
        mail["recipient"] = READER.into();
        let mut hook = delivery(number);
        (hook["id"], hook["recipient"], hook["channel"]) =
            (id(200 + number).to_string().into(), "storm".into(), "webhook".into());
        one.deliveries = serde_json::from_value(vec![mail, hook].into()).unwrap();
        history.mails.push(MailHistory {
            to: vec![READER.to_owned()],
            message_id: format!("<{}@example.com>", id(100 + number)),
        });
        history.hooks.push(id(200 + number).to_string());
        history.stored.insert(one.job.artifacts[0].object_key.clone());
        let nominal = (due + TimeDelta::minutes(345)).naive_utc();
        let (outcome, job) = (FiringOutcome::Fired, Some(one.job.id));
        firings.push(FiringHistory { nominal: Some(nominal), due, at: due + TimeDelta::seconds(1), outcome, job });
        history.jobs.push(one);
    }
    let zone = "Asia/Kathmandu".to_owned();
    let (from, until) = (firings[0].due, firings[2].due + TimeDelta::minutes(1));
    history.schedules = vec![ScheduleHistory { id: id(900), reader: READER.to_owned(), zone, from, until, firings }];
    history
}

type Mutation = (&'static str, Found, fn(&mut History));

const MUTATIONS: &[Mutation] = &[
    ("a nominal time has no firing", Found::Lost, |h| {
        let gone = h.schedules[0].firings.remove(1);
        forget(h, gone.job.unwrap());
    }),
    ("the first nominal time has none", Found::Lost, |h| h.schedules[0].from -= TimeDelta::minutes(1)),
    ("the last one has none", Found::Lost, |h| h.schedules[0].until += TimeDelta::minutes(1)),
    ("a nominal time is recorded as missed", Found::Lost, |h| {
        h.schedules[0].firings[1].outcome = FiringOutcome::Missed;
        let gone = h.schedules[0].firings[1].job.take().unwrap();
        forget(h, gone);
    }),
    ("a nominal time is recorded as skipped, and has its job", Found::Lost, |h| {
        h.schedules[0].firings[1].outcome = FiringOutcome::Skipped;
    }),
    ("the job of a firing is gone", Found::Lost, |h| drop(h.jobs.remove(1))),
    ("the job of a firing never ends", Found::Lost, |h| h.jobs[1].job.state = JobState::Processing),
    ("a firing is mailed to nobody", Found::Lost, |h| drop(h.mails.remove(1))),
    ("the endpoint is not told of a firing", Found::Lost, |h| drop(h.hooks.remove(1))),
    ("the file of a firing is gone", Found::Lost, |h| h.jobs[1].files[0].stored = None),
    ("a nominal time fires twice", Found::Doubled, |h| {
        let again = h.schedules[0].firings[1].clone();
        h.schedules[0].firings.push(again);
    }),
    ("two firings have one job", Found::Doubled, |h| h.schedules[0].firings[1].job = h.schedules[0].firings[0].job),
    ("a job is of no firing", Found::Doubled, |h| h.jobs.push(job(4, "cancelled", &["submitted", "cancelled"]))),
    ("a firing comes after the last", Found::Doubled, |h| h.schedules[0].until -= TimeDelta::minutes(1)),
    ("a firing comes before the first", Found::Doubled, |h| h.schedules[0].from += TimeDelta::minutes(1)),
    ("it fires though nobody asked", Found::Doubled, |h| h.schedules[0].firings[1].nominal = None),
    ("a firing is mailed twice in one try", Found::Doubled, |h| h.mails.push(h.mails[1].clone())),
    ("its reader gets a mail of nothing", Found::Doubled, |h| {
        h.mails.push(MailHistory { to: vec![READER.to_owned()], message_id: format!("<{}@example.com>", id(999)) });
    }),
    ("the endpoint is told twice in one try", Found::Doubled, |h| h.hooks.push(h.hooks[1].clone())),
    ("the endpoint is told of nothing", Found::Doubled, |h| h.hooks.push(id(999).to_string())),
    ("a firing is an hour late", Found::Wrong, |h| h.schedules[0].firings[1].due += TimeDelta::hours(1)),
    ("a firing is by the clock of another zone", Found::Wrong, |h| h.schedules[0].zone = "Asia/Kolkata".to_owned()),
    ("a firing comes before it is due", Found::Wrong, |h| {
        h.schedules[0].firings[1].at = h.schedules[0].firings[1].due - TimeDelta::seconds(1);
    }),
    ("a mail of a firing is given up", Found::Wrong, |h| h.jobs[1].deliveries[0].state = DeliveryState::Failed),
    ("a firing is told to the reader alone", Found::Wrong, |h| {
        let hook = h.jobs[1].deliveries.iter().position(|one| one.channel == Channel::Webhook).unwrap();
        h.jobs[1].deliveries.remove(hook);
        h.hooks.remove(1);
    }),
    ("the job of a firing failed", Found::Wrong, |h| h.jobs[1].job.state = JobState::Failed),
];

/// As if there had never been such a job.
fn forget(history: &mut History, gone: uuid::Uuid) {
    let at = history.jobs.iter().position(|one| one.job.id == gone).unwrap();
    let one = history.jobs.remove(at);
    history.stored.remove(&one.job.artifacts[0].object_key);
    history.mails.remove(at);
    history.hooks.remove(at);
}

#[test]
fn a_sound_history_of_firings_is_clean() {
    let verdict = sound().judge();
    assert!(verdict.is_clean(), "{verdict:#}");
    assert_eq!((verdict.firings, verdict.jobs, verdict.mails, verdict.requests), (3, 3, 3, 3));
}

#[test]
fn every_change_to_a_sound_history_of_firings_is_found_and_found_as_what_it_is() {
    let mut missed = Vec::new();
    for (what, found, change) in MUTATIONS {
        let mut history = sound();
        change(&mut history);
        let verdict = history.judge();
        if found.of(&verdict).is_empty() {
            missed.push(format!("{what}, as {found:?}: {verdict:#}"));
        }
    }
    assert!(missed.is_empty(), "the checker did not see: {missed:#?}");
}
