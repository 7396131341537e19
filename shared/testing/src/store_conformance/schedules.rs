//! Schedules: each nominal time has one firing, whoever tries and whatever happens to them.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use model::delivery::Notify;
use model::event::EventKind;
use model::job::{Caller, JobState, NewJob, Params};
use model::refusal::OnRefusal;
use model::schedule::{
    FiringOutcome, FiringRecord, NewNotice, NextFiring, NoticeKind, NoticeText, ON_EVENT, OnEmpty, OnHoliday, Overlap,
    PauseReason, Schedule, ScheduleSettings, ScheduleState,
};
use store::{FiringJob, NewSchedule, ScheduleChange, ScheduleFilter, ScheduleStep, StepOutcome, Store};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, caller, new_job};
use crate::eventually;

pub(super) const LEASE: Duration = Duration::from_secs(60);

pub(super) fn settings() -> ScheduleSettings {
    ScheduleSettings {
        title: Some("Ümsatz".to_owned()),
        report: "pricing-summary".to_owned(),
        params: serde_json::json!({"minimum": 3}).as_object().unwrap().clone(),
        formats: None,
        on_refusal: OnRefusal::Fail,
        notify: vec![Notify::by_email("ana@example.com")],
        alert: Some(vec![Notify::by_email("ops@example.com")]),
        when: Some("every day at 07:30".to_owned()),
        latest: None,
        zone: "Europe/Berlin".to_owned(),
        calendar: None,
        on_holiday: OnHoliday::Run,
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

pub(super) fn nominal(day: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2026, 3, day).unwrap().and_hms_opt(7, 30, 0).unwrap()
}

pub(super) async fn next(fixture: &StoreFixture, day: u32, seconds: i64) -> NextFiring {
    let now = fixture.store.now().await.unwrap();
    NextFiring { nominal: nominal(day), due: now + TimeDelta::seconds(seconds) }
}

pub(super) async fn create(
    fixture: &StoreFixture,
    owner: &Caller,
    settings: ScheduleSettings,
    next: Option<NextFiring>,
) -> Schedule {
    let new = NewSchedule { id: Uuid::now_v7(), owner: owner.clone(), settings, next, catalogue: None };
    fixture.store.create_schedule(new).await.unwrap().unwrap()
}

/// One whose first nominal time has just come.
pub(super) async fn due(fixture: &StoreFixture) -> Schedule {
    let next = next(fixture, 1, -1).await;
    create(fixture, &ana(), settings(), Some(next)).await
}

pub(super) async fn read(fixture: &StoreFixture, of: &Schedule) -> Schedule {
    fixture.store.schedule(&of.owner.tenant, of.id).await.unwrap().unwrap()
}

/// A turn that fires and goes on to the next day.
pub(super) async fn firing(fixture: &StoreFixture, schedule: &Schedule) -> ScheduleStep {
    let now = schedule.next.unwrap();
    let later = next(fixture, 2, 3600).await;
    let job = FiringJob { nominal: now.nominal, due: now.due, job: new_job(&schedule.owner) };
    turn(schedule, Some(job), Some(later))
}

pub(super) fn turn(schedule: &Schedule, job: Option<FiringJob>, next: Option<NextFiring>) -> ScheduleStep {
    ScheduleStep {
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
    let (when, latest) = (Some(ON_EVENT.to_owned()), Some("07:30".to_owned()));
    let settings = ScheduleSettings { alarm_after: Some(Duration::from_millis(1)), when, latest, ..settings() };
    store
        .create_schedule(NewSchedule { id: Uuid::now_v7(), owner: ana(), settings, next, catalogue: None })
        .await
        .unwrap()
        .unwrap()
}

/// A turn in which it fires and has no further time.
pub fn fires(schedule: &Schedule) -> ScheduleStep {
    let now = schedule.next.unwrap();
    turn(schedule, Some(FiringJob { nominal: now.nominal, due: now.due, job: new_job(&schedule.owner) }), None)
}

pub(super) fn change(schedule: &Schedule) -> ScheduleChange {
    ScheduleChange {
        id: schedule.id,
        version: schedule.version,
        owner: schedule.owner.clone(),
        settings: schedule.settings.clone(),
        paused_why: None,
        next: schedule.next,
        catalogue: None,
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
        let filter =
            ScheduleFilter { tenant: "acme".to_owned(), principal: principal.map(str::to_owned), after, limit };
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
    let outcomes = fixture.store.take_steps(vec![turn]).await.unwrap();
    let [StepOutcome::Written(Some(written))] = outcomes.as_slice() else { panic!("{outcomes:?}") };
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
    assert!(matches!(fixture.store.take_steps(vec![first]).await.unwrap()[..], [StepOutcome::Written(Some(_))]));
    fixture.recorder.take();
    assert_eq!(fixture.store.take_steps(vec![second]).await.unwrap(), [StepOutcome::TooLate]);
    assert_eq!(fixture.recorder.take(), (Vec::new(), Vec::new()));
    assert_eq!(fixture.store.job(&ana(), late).await.unwrap(), None);
    let now = read(&fixture, &made).await;
    fixture.store.change_schedule(change(&now)).await.unwrap().unwrap();
    let stale = firing(&fixture, &now).await;
    assert_eq!(fixture.store.take_steps(vec![stale]).await.unwrap(), [StepOutcome::TooLate], "it was changed");
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
        tries.push(fixture.store.take_steps(turns));
    }
    let outcomes = futures_util::future::join_all(tries).await.into_iter().flat_map(Result::unwrap);
    let fired = outcomes.filter(|outcome| matches!(outcome, StepOutcome::Written(Some(_)))).count();
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
    let outcomes = fixture.store.take_steps(turns).await.unwrap();
    assert!(
        matches!(outcomes[0], StepOutcome::Written(Some(_))) && matches!(outcomes[2], StepOutcome::Written(Some(_)))
    );
    assert!(matches!(outcomes[1], StepOutcome::Refused(_)), "{outcomes:?}");
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
    let text = NoticeText { title: "t".to_owned(), from: None, until: None, count: 2, why: None, no_event: false };
    let notice = NewNotice { kind: NoticeKind::Missed, text, to: made.settings.alerted().to_vec() };
    let later = next(&fixture, 4, 3600).await;
    let missed = ScheduleStep {
        records: vec![
            record(1, FiringOutcome::Missed),
            record(2, FiringOutcome::Missed),
            record(3, FiringOutcome::Skipped),
        ],
        notices: vec![notice],
        ..turn(&made, None, Some(later))
    };
    let outcomes = fixture.store.take_steps(vec![missed.clone(), missed]).await.unwrap();
    assert_eq!(outcomes[0], StepOutcome::Written(None));
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
    let pause = ScheduleStep { pause: Some(PauseReason::OwnerGone), failures: 1, ..turn(&made, None, made.next) };
    assert_eq!(fixture.store.take_steps(vec![pause]).await.unwrap(), [StepOutcome::Written(None)]);
    let paused = read(&fixture, &made).await;
    assert_eq!((paused.paused_why, paused.failures), (Some(PauseReason::OwnerGone), 1));
    assert!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap().is_empty());
    let try_to_fire = firing(&fixture, &paused).await;
    assert_eq!(fixture.store.take_steps(vec![try_to_fire]).await.unwrap(), [StepOutcome::TooLate]);
    assert_eq!(fixture.store.schedule_counts().await.unwrap().stopped, 1);
    let resumed = fixture.store.change_schedule(change(&paused)).await.unwrap().unwrap();
    assert_eq!((resumed.state, resumed.paused_why, resumed.failures), (ScheduleState::Active, None, 0));
    assert_eq!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap().len(), 1);
}

pub async fn a_firing_that_waits_is_looked_at_again(fixture: StoreFixture) {
    let made = due(&fixture).await;
    assert_eq!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap().len(), 1);
    let wait = ScheduleStep { again: Some(Duration::from_millis(20)), waiting: true, ..turn(&made, None, made.next) };
    fixture.store.take_steps(vec![wait]).await.unwrap();
    let again = eventually(SOON, "it to be looked at again", async || {
        fixture.store.claim_due_schedules(10, LEASE).await.unwrap().pop()
    })
    .await;
    assert!(again.schedule.waiting);
    assert_eq!(again.schedule.next.unwrap().nominal, nominal(1));
}
