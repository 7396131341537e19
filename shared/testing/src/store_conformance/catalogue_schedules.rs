//! Schedules of the catalogue: one for each place, whoever writes it, and what became of it stays.

use std::time::Duration;

use model::job::JobState;
use model::schedule::{CataloguePlace, Schedule};
use store::{CatalogueEdition, HoldTimes, InForce, NewSchedule, ScheduleChange, StepOutcome};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, caller};
use super::schedules::{LEASE, change, firing, next, read, settings};
use crate::eventually;

const A_MINUTE: HoldTimes = HoldTimes { say_again: Duration::from_secs(20), held_for: Duration::from_secs(60) };
const NO_TIME: HoldTimes = HoldTimes { say_again: Duration::ZERO, held_for: Duration::ZERO };

fn edition(editions: &[&str]) -> CatalogueEdition {
    let place = CataloguePlace { report: "pricing-summary".to_owned(), name: "daily".to_owned() };
    CatalogueEdition { place, editions: editions.iter().map(ToString::to_string).collect() }
}

async fn place(fixture: &StoreFixture, tenant: &str, editions: &[&str]) -> Option<Schedule> {
    let next = Some(next(fixture, 1, -1).await);
    let (owner, catalogue) = (caller(tenant, "ana"), Some(edition(editions)));
    let new = NewSchedule { id: Uuid::now_v7(), owner, settings: settings(), next, catalogue };
    fixture.store.create_schedule(new).await.unwrap()
}

async fn in_force(fixture: &StoreFixture, id: Uuid, times: HoldTimes) -> InForce {
    let all = fixture.store.schedules_in_force(times).await.unwrap();
    all.into_iter().find(|one| one.id == id).unwrap()
}

/// Of two tenants each has its own; somebody's own schedule has no place at all.
pub async fn a_place_in_the_catalogue_has_one_schedule_of_a_tenant_however_many_write_it_at_once(
    fixture: StoreFixture,
) {
    let fixture = &fixture;
    let tries = (0..8).map(|_| place(fixture, "acme", &["a", ""]));
    let made: Vec<Schedule> = futures_util::future::join_all(tries).await.into_iter().flatten().collect();
    let [made] = &made[..] else { panic!("{} were made", made.len()) };
    assert_eq!((made.catalogue.as_ref(), made.ended), (Some(&edition(&[]).place), false));
    assert_eq!(read(fixture, made).await, *made);
    let other = place(fixture, "other", &["a", ""]).await.unwrap();
    super::schedules::create(fixture, &ana(), settings(), None).await;
    let all = fixture.store.schedules_in_force(A_MINUTE).await.unwrap();
    let ids: Vec<(Uuid, &str)> = all.iter().map(|one| (one.id, one.tenant.as_str())).collect();
    assert_eq!(ids, [(made.id, "acme"), (other.id, "other")]);
    assert!(all.iter().all(|one| one.edition == edition(&["a", ""]) && one.version == 1));
}

/// Who writes it has it, and each word counts from when it was said.
pub async fn what_is_in_force_is_held_for_a_while_by_whoever_says_so(fixture: StoreFixture) {
    let fixture = &fixture;
    let made = place(fixture, "acme", &["a", ""]).await.unwrap();
    let held = async |times| {
        let now = in_force(fixture, made.id, times).await;
        (now.is_held, now.asks_again)
    };
    assert_eq!((held(A_MINUTE).await, held(NO_TIME).await), ((true, false), (false, true)));
    let half = Duration::from_millis(500);
    let short = HoldTimes { say_again: half, held_for: half };
    eventually(SOON, "the word to be old", async || (held(short).await == (false, true)).then_some(())).await;
    fixture.store.hold_schedules(&[made.id, Uuid::now_v7()]).await.unwrap();
    assert_eq!(held(HoldTimes { say_again: SOON, held_for: SOON }).await, (true, false));
    assert_eq!(read(fixture, &made).await.version, 1, "a word is no change");
}

/// Neither its alarm nor the end of its last job has it go on.
pub async fn a_schedule_that_left_the_catalogue_fires_no_more_and_keeps_its_history_until_it_comes_back(
    fixture: StoreFixture,
) {
    let fixture = &fixture;
    let made = place(fixture, "acme", &["a", ""]).await.unwrap();
    let due = fixture.store.claim_due_schedules(10, LEASE).await.unwrap();
    let turn = firing(fixture, &due[0].schedule).await;
    let written = fixture.store.take_steps(vec![turn]).await.unwrap();
    let [StepOutcome::Written(Some(job))] = &written[..] else { panic!("{written:?}") };
    let silent = Some(Duration::from_secs(1));
    let with_alarm = |now: &Schedule| {
        let mut settings = now.settings.clone();
        settings.alarm_after = silent;
        settings
    };
    let now = read(fixture, &made).await;
    let settings = with_alarm(&now);
    let left = ScheduleChange { next: None, settings, catalogue: Some(edition(&["", "a"])), ..change(&now) };
    let ended = fixture.store.change_schedule(left).await.unwrap().unwrap();
    assert!(ended.ended && ended.next.is_none() && ended.catalogue == made.catalogue, "{ended:?}");
    fixture.store.cancel(&made.owner, job.id).await.unwrap();
    let end = eventually(SOON, "the end of its job", async || fixture.store.settle_firings(10).await.unwrap().pop());
    assert_eq!(end.await.state, JobState::Cancelled);
    assert_eq!(fixture.store.firings(made.id, 10).await.unwrap().len(), 1);
    assert_eq!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap(), []);
    assert!(place(fixture, "acme", &["b", ""]).await.is_none(), "its place is kept");
    let later = HoldTimes { say_again: Duration::from_secs(20), held_for: Duration::from_secs(60) };
    assert!(in_force(fixture, made.id, later).await.is_held);
    eventually(SOON, "the alarm's time to pass", async || {
        let now = fixture.store.now().await.unwrap();
        (now - ended.updated_at > chrono::TimeDelta::milliseconds(1200)).then_some(())
    })
    .await;
    assert_eq!(fixture.store.raise_silent(10).await.unwrap(), []);
    let back = ScheduleChange {
        next: Some(next(fixture, 2, -1).await),
        catalogue: Some(edition(&["b", "", "a"])),
        ..change(&ended)
    };
    let back = fixture.store.change_schedule(back).await.unwrap().unwrap();
    assert_eq!((back.id, back.ended, back.version), (made.id, false, 3));
    assert_eq!(fixture.store.claim_due_schedules(10, LEASE).await.unwrap().len(), 1);
}
