//! Schedules in the walk over every statement: a hundred thousand of them, of which one is due.

use std::time::Duration;

use store::{AskedFiring, HoldTimes, NoticeEnding, ScheduleChange, ScheduleFilter, StepOutcome, Store};
use testing::store_conformance::samples::ana;
use testing::store_conformance::schedules::{fires, silent_soon};

use super::plans::unnotified;

/// After the fill of the other tables.
pub(crate) const FILL: &str = "
    insert into schedules (id, tenant, principal, settings, state, paused_why, next_nominal, next_due, look_at, alarm_after_ms, alarm_at)
        select id, 'acme', 'p-' || n % 500, '{\"title\":null,\"report\":\"r\",\"params\":{},\"formats\":null,\"on_refusal\":\"fail\",\"notify\":[],
               \"alert\":null,\"when\":null,\"zone\":\"UTC\",\"starts_at\":null,\"ends_at\":null,\"on_empty\":\"send\",\"overlap\":\"skip\",
               \"catch_up\":{\"secs\":3600,\"nanos\":0},\"within\":{\"secs\":0,\"nanos\":0},\"alarm_after\":null,\"pause_after\":5}',
               case when n % 4 = 0 then 'paused' else 'active' end, case when n % 4 = 0 then 'asked' end, '2026-03-08T07:30:00',
               now() + interval '1 day', case when n % 4 <> 0 then now() + interval '1 day' end, 1000, now() + interval '1 day'
        from filled n where n < 100000;
    insert into firings (id, schedule_id, nominal, due_at, outcome, job_id, ended)
        select waitless_uuid_v7(), id, '2026-03-07T07:30:00', now(), 'fired', id, 'done' from filled n where n < 100000;
    insert into schedule_notices (id, schedule_id, tenant, kind, text, recipient, due_at)
        select waitless_uuid_v7(), id, 'acme', 'missed', '{}', '{}', null from filled n where n < 20000;
    drop table filled;";

pub(crate) async fn schedules(store: &dyn Store) {
    let made = silent_soon(store).await;
    let principal = Some("p-3".to_owned());
    for principal in [None, principal] {
        store.schedules(ScheduleFilter { tenant: "acme".to_owned(), principal, after: None, limit: 50 }).await.unwrap();
    }
    store.schedule("acme", made.id).await.unwrap().unwrap();
    let due = store.claim_due_schedules(250, Duration::from_secs(60)).await.unwrap();
    assert_eq!(due.iter().map(|due| due.schedule.id).collect::<Vec<_>>(), [made.id]);
    let turn = fires(&made);
    assert!(matches!(store.take_steps(vec![turn]).await.unwrap()[..], [StepOutcome::Written(Some(_))]));
    let asked = AskedFiring {
        schedule_id: made.id,
        key: Some("k".to_owned()),
        data_version: Some("v".to_owned()),
        job: unnotified(&ana()),
    };
    store.fire(asked).await.unwrap();
    store.find_firing(made.id, Some("k"), Some("v")).await.unwrap().unwrap();
    store.firings(made.id, 50).await.unwrap();
    testing::eventually(Duration::from_secs(20), "silence", async || store.raise_silent(100).await.unwrap().pop())
        .await;
    for firing in store.firings(made.id, 50).await.unwrap() {
        store.cancel(&ana(), firing.job_id.unwrap()).await.unwrap();
    }
    testing::eventually(Duration::from_secs(20), "ends", async || store.settle_firings(250).await.unwrap().pop()).await;
    store.schedule_counts().await.unwrap();
    for notice in store.claim_notices(20, Duration::from_secs(60)).await.unwrap() {
        store.settle_notice(notice.id, notice.attempt, NoticeEnding::Sent).await.unwrap();
    }
    store.forget_firings(Duration::from_secs(86_400), 100).await.unwrap();
    let now = store.schedule("acme", made.id).await.unwrap().unwrap();
    let change = ScheduleChange {
        id: now.id,
        version: now.version,
        owner: now.owner,
        settings: now.settings,
        paused_why: None,
        next: now.next,
        catalogue: None,
    };
    store.change_schedule(change).await.unwrap().unwrap();
    let times = HoldTimes { say_again: Duration::ZERO, held_for: Duration::from_secs(60) };
    assert_eq!(store.schedules_in_force(times).await.unwrap(), []);
    store.hold_schedules(&[made.id]).await.unwrap();
    assert!(store.delete_schedule("acme", made.id).await.unwrap());
}
