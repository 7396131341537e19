//! Schedules: each nominal time has one firing, whoever tries and whatever happens to them.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use model::delivery::Notify;
use model::event::EventKind;
use model::job::{Caller, JobState, NewJob, Params};
use model::refusal::OnRefusal;
use model::schedule::{
    FiringOutcome, FiringRecord, NewNotice, NextFiring, NoticeKind, NoticeText, OnEmpty, Overlap, PauseReason, Schedule,
    ScheduleSettings, ScheduleState,
};
use store::{
    Asked, AskedFiring, Ending, FiringJob, NewSchedule, NoticeEnding, ScheduleChange, ScheduleFilter, Store, Turn,
    TurnOutcome,
};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, artifact, caller, new_job, problem};
use crate::eventually;

const LEASE: Duration = Duration::from_secs(60);

fn settings() -> ScheduleSettings {
    ScheduleSettings {
        title: Some("Ümsatz".to_owned()),
        report: "pricing-summary".to_owned(),
        params: serde_json::json!({"minimum": 3}).as_object().unwrap().clone(),
        formats: None,
        on_refusal: OnRefusal::Fail,
        notify: vec![Notify::by_email("ana@example.com")],
        alert: Some(vec![Notify::by_email("ops@example.com")]),
        when: Some("every day at 07:30".to_owned()),
        zone: "Europe/Berlin".to_owned(),
        starts_at: None,
        ends_at: None,
        on_empty: OnEmpty::Tell,
        overlap: Overlap::Skip,
        catch_up: Duration::from_secs(3600),
        within: Duration::ZERO,
        alarm_after: None,
        pause_after: 2,
    }
}

fn nominal(day: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2026, 3, day).unwrap().and_hms_opt(7, 30, 0).unwrap()
}

async fn next(fixture: &StoreFixture, day: u32, seconds: i64) -> NextFiring {
    let now = fixture.store.now().await.unwrap();
    NextFiring { nominal: nominal(day), due: now + TimeDelta::seconds(seconds) }
}

async fn create(fixture: &StoreFixture, owner: &Caller, settings: ScheduleSettings, next: Option<NextFiring>) -> Schedule {
    let new = NewSchedule { id: Uuid::now_v7(), owner: owner.clone(), settings, next };
    fixture.store.create_schedule(new).await.unwrap()
}

/// One whose first nominal time has just come.
async fn due(fixture: &StoreFixture) -> Schedule {
    let next = next(fixture, 1, -1).await;
    create(fixture, &ana(), settings(), Some(next)).await
}

async fn read(fixture: &StoreFixture, of: &Schedule) -> Schedule {
    fixture.store.schedule(&of.owner.tenant, of.id).await.unwrap().unwrap()
}

/// A turn that fires and goes on to the next day.
async fn firing(fixture: &StoreFixture, schedule: &Schedule) -> Turn {
    let now = schedule.next.unwrap();
    let later = next(fixture, 2, 3600).await;
    let job = FiringJob { nominal: now.nominal, due: now.due, job: new_job(&schedule.owner) };
    turn(schedule, Some(job), Some(later))
}

fn turn(schedule: &Schedule, job: Option<FiringJob>, next: Option<NextFiring>) -> Turn {
    Turn {
        schedule_id: schedule.id,
        version: schedule.version,
        nominal: schedule.next.unwrap().nominal,
        records: Vec::new(),
        job,
        next,
        again: None,
        waiting: false,
        pause: None,
        failures: 0,
        notices: Vec::new(),
    }
}

/// Makes one that is due, and will be silent in a moment.
pub async fn silent_soon(store: &dyn Store) -> Schedule {
    let due = store.now().await.unwrap();
    let next = Some(NextFiring { nominal: nominal(1), due });
    let settings = ScheduleSettings { alarm_after: Some(Duration::from_millis(1)), ..settings() };
    store.create_schedule(NewSchedule { id: Uuid::now_v7(), owner: ana(), settings, next }).await.unwrap()
}

/// A turn in which it fires and has no further time.
pub fn fires(schedule: &Schedule) -> Turn {
    let now = schedule.next.unwrap();
    turn(schedule, Some(FiringJob { nominal: now.nominal, due: now.due, job: new_job(&schedule.owner) }), None)
}

fn change(schedule: &Schedule) -> ScheduleChange {
    ScheduleChange {
        id: schedule.id,
        version: schedule.version,
        owner: schedule.owner.clone(),
        settings: schedule.settings.clone(),
        paused_why: None,
        next: schedule.next,
    }
}

fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

pub async fn a_schedule_is_read_back_as_it_was_written(fixture: StoreFixture) {
    let next = next(&fixture, 1, 3600).await;
    let made = create(&fixture, &ana(), settings(), Some(next)).await;
    assert_eq!((&made.settings, made.state, made.version, made.failures), (&settings(), ScheduleState::Active, 1, 0));
    assert_eq!(made.next.map(|one| (one.nominal, micros(one.due))), Some((next.nominal, micros(next.due))));
    assert_eq!(read(&fixture, &made).await, made);
    assert_eq!(fixture.store.schedule("other", made.id).await.unwrap(), None);
    let by_request = ScheduleSettings { when: None, params: Params::new(), ..settings() };
    assert_eq!(create(&fixture, &ana(), by_request, None).await.next, None);
}

pub async fn schedules_are_listed_by_owner_and_by_tenant_page_by_page(fixture: StoreFixture) {
    let mut mine = Vec::new();
    for owner in [ana(), caller("acme", "ben"), ana(), caller("other", "ana"), ana()] {
        let made = create(&fixture, &owner, settings(), None).await;
        mine.extend((owner == ana()).then_some(made.id));
    }
    let list = async |principal: Option<&str>, after, limit| {
        let filter = ScheduleFilter {
            tenant: "acme".to_owned(),
            principal: principal.map(str::to_owned),
            after,
            limit,
        };
        fixture.store.schedules(filter).await.unwrap().iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Some("ana"), None, 10).await, mine);
    assert_eq!(list(Some("ana"), None, 2).await, mine[..2]);
    assert_eq!(list(Some("ana"), Some(mine[1]), 2).await, mine[2..]);
    assert_eq!(list(None, None, 10).await.len(), 4);
}

pub async fn a_change_to_a_schedule_is_guarded_by_its_version(fixture: StoreFixture) {
    let made = due(&fixture).await;
    let paused = ScheduleChange { paused_why: Some(PauseReason::Asked), ..change(&made) };
    let paused = fixture.store.change_schedule(paused).await.unwrap().unwrap();
    assert_eq!((paused.state, paused.paused_why, paused.version), (ScheduleState::Paused, Some(PauseReason::Asked), 2));
    assert_eq!(fixture.store.change_schedule(change(&made)).await.unwrap(), None, "it has another version now");
    let handed = ScheduleChange { owner: caller("acme", "ben"), ..change(&paused) };
    let handed = fixture.store.change_schedule(handed).await.unwrap().unwrap();
    assert_eq!((handed.owner.principal.as_str(), handed.state, handed.version), ("ben", ScheduleState::Active, 3));
    assert!(fixture.store.delete_schedule("acme", made.id).await.unwrap());
    assert!(!fixture.store.delete_schedule("acme", made.id).await.unwrap());
    assert_eq!(fixture.store.change_schedule(change(&handed)).await.unwrap(), None);
}

pub async fn what_is_due_is_claimed_once_by_many_schedulers_at_once(fixture: StoreFixture) {
    for _ in 0..30 {
        due(&fixture).await;
    }
    let later = next(&fixture, 1, 3600).await;
    create(&fixture, &ana(), settings(), Some(later)).await;
    let claims = (0..6).map(|_| fixture.store.claim_due_schedules(10, LEASE));
    let claimed: Vec<Uuid> = futures_util::future::join_all(claims)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .map(|due| due.schedule.id)
        .collect();
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), claimed.len(), "nobody gets what another one has");
    let mut rest = 0;
    while rest + claimed.len() < 30 {
        let more = fixture.store.claim_due_schedules(10, LEASE).await.unwrap();
        assert!(!more.is_empty(), "{rest} and {} were found", claimed.len());
        rest += more.len();
    }
    assert_eq!(rest + claimed.len(), 30);
    assert!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap().is_empty());
}

pub async fn a_claim_that_is_over_is_anothers(fixture: StoreFixture) {
    let made = due(&fixture).await;
    assert_eq!(fixture.store.claim_due_schedules(1, Duration::from_millis(50)).await.unwrap().len(), 1);
    let again = eventually(SOON, "the claim to be over", async || {
        fixture.store.claim_due_schedules(1, LEASE).await.unwrap().pop()
    })
    .await;
    assert_eq!((again.schedule.id, again.last_job), (made.id, None));
}

pub async fn a_turn_writes_firing_job_event_and_outbox_row_together(fixture: StoreFixture) {
    let made = due(&fixture).await;
    let turn = firing(&fixture, &made).await;
    let (job, next) = (turn.job.clone().unwrap().job, turn.next.unwrap());
    fixture.recorder.take();
    let outcomes = fixture.store.take_turns(vec![turn]).await.unwrap();
    let [TurnOutcome::Written(Some(written))] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!((written.id, written.state), (job.id, JobState::Pending));
    let (outbox, events) = fixture.recorder.take();
    assert_eq!((outbox.len(), events.len(), events[0].kind), (1, 1, EventKind::Submitted));
    assert!(fixture.store.job(&ana(), job.id).await.unwrap().is_some());
    let firings = fixture.store.firings(made.id, 10).await.unwrap();
    assert_eq!((firings.len(), firings[0].nominal, firings[0].job_id), (1, Some(nominal(1)), Some(job.id)));
    assert_eq!(firings[0].outcome, FiringOutcome::Fired);
    let after = read(&fixture, &made).await;
    assert_eq!(after.next.map(|one| (one.nominal, micros(one.due))), Some((next.nominal, micros(next.due))));
    assert_eq!((after.last_job_id, after.version), (Some(job.id), 1));
}

pub async fn a_turn_that_comes_too_late_writes_nothing(fixture: StoreFixture) {
    let made = due(&fixture).await;
    let (first, second) = (firing(&fixture, &made).await, firing(&fixture, &made).await);
    let late = second.job.clone().unwrap().job.id;
    assert!(matches!(fixture.store.take_turns(vec![first]).await.unwrap()[..], [TurnOutcome::Written(Some(_))]));
    fixture.recorder.take();
    assert_eq!(fixture.store.take_turns(vec![second]).await.unwrap(), [TurnOutcome::TooLate]);
    assert_eq!(fixture.recorder.take(), (Vec::new(), Vec::new()));
    assert_eq!(fixture.store.job(&ana(), late).await.unwrap(), None);
    let now = read(&fixture, &made).await;
    fixture.store.change_schedule(change(&now)).await.unwrap().unwrap();
    let stale = firing(&fixture, &now).await;
    assert_eq!(fixture.store.take_turns(vec![stale]).await.unwrap(), [TurnOutcome::TooLate], "it was changed");
    assert_eq!(fixture.store.firings(made.id, 10).await.unwrap().len(), 1);
}

pub async fn a_nominal_time_fires_once_however_many_try_at_once(fixture: StoreFixture) {
    let made: Vec<Schedule> = futures_util::future::join_all((0..5).map(|_| due(&fixture))).await;
    let mut tries = Vec::new();
    for _ in 0..8 {
        let mut turns = Vec::new();
        for schedule in &made {
            turns.push(firing(&fixture, schedule).await);
        }
        tries.push(fixture.store.take_turns(turns));
    }
    let outcomes = futures_util::future::join_all(tries).await.into_iter().flat_map(Result::unwrap);
    let fired = outcomes.filter(|outcome| matches!(outcome, TurnOutcome::Written(Some(_)))).count();
    assert_eq!(fired, 5);
    for schedule in &made {
        assert_eq!(fixture.store.firings(schedule.id, 10).await.unwrap().len(), 1);
    }
    assert_eq!(fixture.store.count_unfinished("acme", 100).await.unwrap(), 5);
}

pub async fn a_job_that_cannot_be_written_costs_its_neighbours_no_firing(fixture: StoreFixture) {
    let (good, bad, other) = (due(&fixture).await, due(&fixture).await, due(&fixture).await);
    let mut turns = Vec::new();
    for schedule in [&good, &bad, &other] {
        turns.push(firing(&fixture, schedule).await);
    }
    let job = &mut turns[1].job.as_mut().unwrap().job;
    *job = NewJob { max_attempts: 0, ..job.clone() };
    let outcomes = fixture.store.take_turns(turns).await.unwrap();
    assert!(matches!(outcomes[0], TurnOutcome::Written(Some(_))) && matches!(outcomes[2], TurnOutcome::Written(Some(_))));
    assert!(matches!(outcomes[1], TurnOutcome::Refused(_)), "{outcomes:?}");
    assert_eq!(fixture.store.firings(bad.id, 10).await.unwrap(), []);
    assert_eq!(read(&fixture, &bad).await.next.unwrap().nominal, nominal(1), "it is still to come");
}

pub async fn what_gets_no_job_is_recorded_once_and_told(fixture: StoreFixture) {
    let made = due(&fixture).await;
    let record = |day, outcome| FiringRecord {
        nominal: nominal(day),
        due: made.created_at,
        outcome,
        detail: Some("why".to_owned()),
    };
    let text = NoticeText { title: "t".to_owned(), from: None, until: None, count: 2, why: None };
    let notice = NewNotice { kind: NoticeKind::Missed, text, to: made.settings.alerted().to_vec() };
    let later = next(&fixture, 4, 3600).await;
    let missed = Turn {
        records: vec![record(1, FiringOutcome::Missed), record(2, FiringOutcome::Missed), record(3, FiringOutcome::Skipped)],
        notices: vec![notice],
        ..turn(&made, None, Some(later))
    };
    let outcomes = fixture.store.take_turns(vec![missed.clone(), missed]).await.unwrap();
    assert_eq!(outcomes[0], TurnOutcome::Written(None));
    let firings = fixture.store.firings(made.id, 10).await.unwrap();
    let told: Vec<_> = firings.iter().map(|one| (one.nominal.unwrap(), one.outcome)).collect();
    let (missed, skipped) = (FiringOutcome::Missed, FiringOutcome::Skipped);
    assert_eq!(told, [(nominal(3), skipped), (nominal(2), missed), (nominal(1), missed)]);
    let notices = fixture.store.claim_notices(10, LEASE).await.unwrap();
    assert!(notices.iter().all(|notice| notice.kind == NoticeKind::Missed && notice.to.to == "ops@example.com"));
    assert_eq!(notices[0].text.count, 2);
}

pub async fn a_paused_schedule_is_not_due_and_begins_anew(fixture: StoreFixture) {
    let made = due(&fixture).await;
    let pause = Turn { pause: Some(PauseReason::OwnerGone), failures: 1, ..turn(&made, None, made.next) };
    assert_eq!(fixture.store.take_turns(vec![pause]).await.unwrap(), [TurnOutcome::Written(None)]);
    let paused = read(&fixture, &made).await;
    assert_eq!((paused.paused_why, paused.failures), (Some(PauseReason::OwnerGone), 1));
    assert!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap().is_empty());
    let try_to_fire = firing(&fixture, &paused).await;
    assert_eq!(fixture.store.take_turns(vec![try_to_fire]).await.unwrap(), [TurnOutcome::TooLate]);
    assert_eq!(fixture.store.schedule_counts().await.unwrap().stopped, 1);
    let resumed = fixture.store.change_schedule(change(&paused)).await.unwrap().unwrap();
    assert_eq!((resumed.state, resumed.paused_why, resumed.failures), (ScheduleState::Active, None, 0));
    assert_eq!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap().len(), 1);
}

pub async fn a_firing_that_waits_is_looked_at_again(fixture: StoreFixture) {
    let made = due(&fixture).await;
    assert_eq!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap().len(), 1);
    let wait = Turn { again: Some(Duration::from_millis(20)), waiting: true, ..turn(&made, None, made.next) };
    fixture.store.take_turns(vec![wait]).await.unwrap();
    let again = eventually(SOON, "it to be looked at again", async || {
        fixture.store.claim_due_schedules(10, LEASE).await.unwrap().pop()
    })
    .await;
    assert!(again.schedule.waiting);
    assert_eq!(again.schedule.next.unwrap().nominal, nominal(1));
}

pub async fn a_firing_that_is_asked_for_is_the_same_for_its_key_and_its_data(fixture: StoreFixture) {
    let made = due(&fixture).await;
    let asked = |key: Option<&str>, data_version: Option<&str>| AskedFiring {
        schedule_id: made.id,
        key: key.map(str::to_owned),
        data_version: data_version.map(str::to_owned),
        job: new_job(&ana()),
    };
    let fire = async |asked| fixture.store.fire(asked).await.unwrap();
    let Asked::Fired(first) = fire(asked(Some("k1"), Some("v1"))).await else { panic!("the first one fires") };
    assert_eq!((first.nominal, first.data_version.as_deref()), (None, Some("v1")));
    assert_eq!(fire(asked(Some("k1"), Some("v1"))).await, Asked::Known(first.clone()));
    assert_eq!(fire(asked(Some("k2"), Some("v1"))).await, Asked::Known(first.clone()), "the same state of the data");
    assert!(matches!(fire(asked(None, None)).await, Asked::Fired(_)));
    assert!(matches!(fire(asked(None, None)).await, Asked::Fired(_)), "nothing says that it is the same");
    assert_eq!(fixture.store.find_firing(made.id, Some("k1"), None).await.unwrap(), Some(*first.clone()));
    assert_eq!(fixture.store.find_firing(made.id, Some("k9"), Some("v1")).await.unwrap(), Some(*first));
    assert_eq!(fixture.store.find_firing(made.id, Some("k9"), None).await.unwrap(), None);
    let of_none = AskedFiring { schedule_id: Uuid::now_v7(), ..asked(None, None) };
    assert_eq!(fire(of_none).await, Asked::NotFound);
    assert_eq!(fixture.store.count_unfinished("acme", 10).await.unwrap(), 3);
    assert_eq!(read(&fixture, &made).await.next.map(|one| one.nominal), Some(nominal(1)), "its own times stay");
}

/// Fires a schedule on request and brings the job to its end.
async fn run(fixture: &StoreFixture, of: &Schedule, ok: bool) -> Uuid {
    let asked = AskedFiring { schedule_id: of.id, key: None, data_version: None, job: new_job(&of.owner) };
    let Asked::Fired(firing) = fixture.store.fire(asked).await.unwrap() else { panic!("it fires") };
    let job = firing.job_id.unwrap();
    let worker = fixture.worker().await;
    let claimed = fixture.claim(&worker, job).await;
    let ending = if ok { Ending::Done(vec![artifact(&claimed)]) } else { Ending::Failed(problem()) };
    fixture.settle(&claimed, ending).await;
    job
}

/// Looks until the end of one firing is seen.
async fn settled(fixture: &StoreFixture) -> store::EndedFiring {
    eventually(SOON, "the end of a firing to be seen", async || {
        fixture.store.settle_firings(10).await.unwrap().pop()
    })
    .await
}

pub async fn failures_in_a_row_pause_a_schedule_and_a_good_end_forgives_them(fixture: StoreFixture) {
    let alarmed = ScheduleSettings { alarm_after: Some(Duration::from_secs(3600)), ..settings() };
    let later = next(&fixture, 1, 3600).await;
    let made = create(&fixture, &ana(), alarmed, Some(later)).await;
    run(&fixture, &made, false).await;
    let ended = settled(&fixture).await;
    assert_eq!((ended.state, ended.paused, ended.schedule.failures), (JobState::Failed, false, 1));
    let job = run(&fixture, &made, true).await;
    let ended = settled(&fixture).await;
    assert_eq!((ended.firing.job_id, ended.firing.ended), (Some(job), Some(JobState::Done)));
    let after = read(&fixture, &made).await;
    assert_eq!((after.failures, after.last_sent_at.is_some(), after.silent), (0, true, false));
    for paused in [false, true] {
        run(&fixture, &made, false).await;
        assert_eq!(settled(&fixture).await.paused, paused);
    }
    assert_eq!(read(&fixture, &made).await.paused_why, Some(PauseReason::Failures));
    let mut kinds: Vec<_> = fixture.store.claim_notices(20, LEASE).await.unwrap().iter().map(|one| one.kind).collect();
    kinds.sort_by_key(|kind| kind.as_str());
    assert_eq!(kinds, [NoticeKind::Failed, NoticeKind::Failed, NoticeKind::Failed, NoticeKind::Paused]);
    assert!(fixture.store.settle_firings(10).await.unwrap().is_empty(), "each end is seen once");
}

pub async fn a_silent_schedule_is_told_of_once_until_it_sends_again(fixture: StoreFixture) {
    let silent = ScheduleSettings { alarm_after: Some(Duration::from_millis(20)), ..settings() };
    let made = create(&fixture, &ana(), silent, None).await;
    let raised = eventually(SOON, "the silence to be noticed", async || {
        fixture.store.raise_silent(10).await.unwrap().pop()
    })
    .await;
    assert_eq!((raised.id, raised.silent), (made.id, true));
    assert!(fixture.store.raise_silent(10).await.unwrap().is_empty());
    assert_eq!(fixture.store.schedule_counts().await.unwrap().silent, 1);
    assert_eq!(fixture.store.claim_notices(10, LEASE).await.unwrap()[0].kind, NoticeKind::Silent);
    run(&fixture, &made, true).await;
    assert!(!settled(&fixture).await.schedule.silent);
    assert_eq!(fixture.store.schedule_counts().await.unwrap().silent, 0);
    eventually(SOON, "the next silence to be noticed", async || fixture.store.raise_silent(10).await.unwrap().pop()).await;
}

pub async fn a_notice_is_claimed_once_and_tried_again_when_it_is_due(fixture: StoreFixture) {
    let silent = ScheduleSettings { alarm_after: Some(Duration::from_millis(1)), ..settings() };
    create(&fixture, &ana(), silent, None).await;
    eventually(SOON, "a notice to be written", async || fixture.store.raise_silent(10).await.unwrap().pop()).await;
    let first = fixture.store.claim_notices(10, LEASE).await.unwrap().pop().unwrap();
    assert_eq!((first.attempt, first.tenant.as_str(), first.text.title.as_str()), (1, "acme", "Ümsatz"));
    assert!(fixture.store.claim_notices(10, LEASE).await.unwrap().is_empty());
    let later = NoticeEnding::RetryLater("full".to_owned(), Duration::from_millis(20));
    assert!(!fixture.store.settle_notice(first.id, 7, NoticeEnding::Sent).await.unwrap());
    assert!(fixture.store.settle_notice(first.id, 1, later).await.unwrap());
    let again =
        eventually(SOON, "it to be due again", async || fixture.store.claim_notices(10, LEASE).await.unwrap().pop()).await;
    assert_eq!((again.id, again.attempt), (first.id, 2));
    assert!(fixture.store.settle_notice(first.id, 2, NoticeEnding::Sent).await.unwrap());
    assert!(!fixture.store.settle_notice(first.id, 2, NoticeEnding::Sent).await.unwrap());
    assert_eq!(fixture.store.schedule_counts().await.unwrap().notices, 0);
}

pub async fn firings_go_with_their_schedule_and_with_time(fixture: StoreFixture) {
    let (kept, gone) = (due(&fixture).await, due(&fixture).await);
    for schedule in [&kept, &gone] {
        run(&fixture, schedule, true).await;
        settled(&fixture).await;
    }
    assert!(fixture.store.delete_schedule("acme", gone.id).await.unwrap());
    assert_eq!(fixture.store.firings(gone.id, 10).await.unwrap(), []);
    assert_eq!(fixture.store.forget_firings(Duration::from_secs(3600), 100).await.unwrap(), 0);
    let forgotten = eventually(SOON, "the firing to be old", async || {
        let forgotten = fixture.store.forget_firings(Duration::from_millis(1), 100).await.unwrap();
        (forgotten > 0).then_some(forgotten)
    })
    .await;
    assert_eq!((forgotten, fixture.store.firings(kept.id, 10).await.unwrap().len()), (1, 0));
}
