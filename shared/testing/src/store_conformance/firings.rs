//! Firings that somebody asks for, how jobs of firings end, and who is told of what.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::job::JobState;
use model::schedule::{FiringOutcome, FiringRecord, NoticeKind, ON_EVENT, PauseReason, Schedule, ScheduleSettings};
use store::{AskedFiring, Ending, FireOutcome, NoticeEnding, ScheduleStep, StepOutcome, missed_notice};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, artifact, new_job, problem};
use super::schedules::{LEASE, create, due, next, nominal, read, settings, turn};
use crate::eventually;

pub async fn a_firing_that_is_asked_for_is_the_same_for_its_key_and_its_data(fixture: StoreFixture) {
    let made = due(&fixture).await;
    let asked = |key: Option<&str>, data_version: Option<&str>| AskedFiring {
        schedule_id: made.id,
        key: key.map(str::to_owned),
        data_version: data_version.map(str::to_owned),
        job: new_job(&ana()),
    };
    let fire = async |asked| fixture.store.fire(asked).await.unwrap();
    let FireOutcome::Fired(first) = fire(asked(Some("k1"), Some("v1"))).await else { panic!("the first one fires") };
    assert_eq!((first.nominal, first.data_version.as_deref()), (None, Some("v1")));
    assert_eq!(fire(asked(Some("k1"), Some("v1"))).await, FireOutcome::Known(first.clone()));
    assert_eq!(
        fire(asked(Some("k2"), Some("v1"))).await,
        FireOutcome::Known(first.clone()),
        "the same state of the data"
    );
    assert!(matches!(fire(asked(None, None)).await, FireOutcome::Fired(_)));
    assert!(matches!(fire(asked(None, None)).await, FireOutcome::Fired(_)), "nothing says that it is the same");
    assert_eq!(fixture.store.find_firing(made.id, Some("k1"), None).await.unwrap(), Some(*first.clone()));
    assert_eq!(fixture.store.find_firing(made.id, Some("k9"), Some("v1")).await.unwrap(), Some(*first));
    assert_eq!(fixture.store.find_firing(made.id, Some("k9"), None).await.unwrap(), None);
    let of_none = AskedFiring { schedule_id: Uuid::now_v7(), ..asked(None, None) };
    assert_eq!(fire(of_none).await, FireOutcome::NotFound);
    assert_eq!(fixture.store.count_unfinished("acme", 10).await.unwrap(), 3);
    assert_eq!(read(&fixture, &made).await.next.map(|one| one.nominal), Some(nominal(1)), "its own times stay");
}

/// One whose event was to be there a moment ago.
async fn awaiting(fixture: &StoreFixture) -> Schedule {
    let (when, latest) = (Some(ON_EVENT.to_owned()), Some("07:30".to_owned()));
    let next = next(fixture, 1, -1).await;
    create(fixture, &ana(), ScheduleSettings { when, latest, ..settings() }, Some(next)).await
}

/// Says that the data of a schedule are there, or has it fire without a word of them.
async fn say(fixture: &StoreFixture, of: &Schedule, data_version: Option<&str>) -> DateTime<Utc> {
    let data_version = data_version.map(str::to_owned);
    let asked = AskedFiring { schedule_id: of.id, key: None, data_version, job: new_job(&ana()) };
    let FireOutcome::Fired(firing) = fixture.store.fire(asked).await.unwrap() else { panic!("it fires") };
    firing.at
}

pub async fn whoever_waits_for_an_event_is_given_those_of_the_day_and_of_no_other_schedule(fixture: StoreFixture) {
    let (waits, other, timed) = (awaiting(&fixture).await, awaiting(&fixture).await, due(&fixture).await);
    say(&fixture, &waits, None).await;
    let said = [say(&fixture, &waits, Some("v1")).await, say(&fixture, &waits, Some("v2")).await];
    say(&fixture, &timed, Some("v1")).await;
    let claimed = fixture.store.claim_due_schedules(10, LEASE).await.unwrap();
    let events = |of: &Schedule| claimed.iter().find(|one| one.schedule.id == of.id).map(|one| one.events.clone());
    assert_eq!(events(&waits), Some(said.to_vec()), "what says nothing of the data is no event");
    assert_eq!((events(&other), events(&timed)), (Some(Vec::new()), Some(Vec::new())));
}

pub async fn that_an_event_did_not_come_is_written_and_told_once(fixture: StoreFixture) {
    let waits = awaiting(&fixture).await;
    let at = waits.next.unwrap();
    let notice = missed_notice(&waits, (at.nominal, at.nominal, 1));
    assert!(notice.text.no_event);
    let (nominal, due) = (at.nominal, at.due);
    let records = vec![FiringRecord { nominal, due, outcome: FiringOutcome::Missed, detail: None }];
    let later = next(&fixture, 2, 3600).await;
    let step = ScheduleStep { records, notices: vec![notice], ..turn(&waits, None, Some(later)) };
    // Two schedulers that both have it, and one that has been frozen.
    let store = &fixture.store;
    let (one, other) = tokio::join!(store.take_steps(vec![step.clone()]), store.take_steps(vec![step.clone()]));
    let written = [one.unwrap().remove(0), other.unwrap().remove(0)];
    assert_eq!(written.iter().filter(|outcome| **outcome == StepOutcome::Written(None)).count(), 1, "{written:?}");
    assert_eq!(store.take_steps(vec![step]).await.unwrap(), [StepOutcome::TooLate]);
    let firings = store.firings(waits.id, 10).await.unwrap();
    assert_eq!(
        firings.iter().map(|one| (one.nominal, one.outcome)).collect::<Vec<_>>(),
        [(Some(nominal), FiringOutcome::Missed)]
    );
    let told = store.claim_notices(10, LEASE).await.unwrap();
    assert_eq!(told.iter().map(|one| (one.kind, one.text.no_event)).collect::<Vec<_>>(), [(NoticeKind::Missed, true)]);
}

/// Fires a schedule on request and brings the job to its end.
async fn run(fixture: &StoreFixture, of: &Schedule, ok: bool) -> Uuid {
    let asked = AskedFiring { schedule_id: of.id, key: None, data_version: None, job: new_job(&of.owner) };
    let FireOutcome::Fired(firing) = fixture.store.fire(asked).await.unwrap() else { panic!("it fires") };
    let job = firing.job_id.unwrap();
    let worker = fixture.worker().await;
    let claimed = fixture.claim(&worker, job).await;
    let ending = if ok { Ending::Done(vec![artifact(&claimed)]) } else { Ending::Failed(problem()) };
    fixture.settle(&claimed, ending).await;
    job
}

/// Looks until the end of one firing is seen.
async fn settled(fixture: &StoreFixture) -> store::EndedFiring {
    eventually(SOON, "the end of a firing to be seen", async || fixture.store.settle_firings(10).await.unwrap().pop())
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
    let raised =
        eventually(SOON, "the silence to be noticed", async || fixture.store.raise_silent(10).await.unwrap().pop())
            .await;
    assert_eq!((raised.id, raised.silent), (made.id, true));
    assert!(fixture.store.raise_silent(10).await.unwrap().is_empty());
    assert_eq!(fixture.store.schedule_counts().await.unwrap().silent, 1);
    assert_eq!(fixture.store.claim_notices(10, LEASE).await.unwrap()[0].kind, NoticeKind::Silent);
    run(&fixture, &made, true).await;
    assert!(!settled(&fixture).await.schedule.silent);
    assert_eq!(fixture.store.schedule_counts().await.unwrap().silent, 0);
    eventually(SOON, "the next silence to be noticed", async || fixture.store.raise_silent(10).await.unwrap().pop())
        .await;
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
        eventually(SOON, "it to be due again", async || fixture.store.claim_notices(10, LEASE).await.unwrap().pop())
            .await;
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
