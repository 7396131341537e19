//! The part of the walk over all statements that claims by turn and pauses.

use model::job::{Lane, NewJob};
use model::limits::{LimitKind, LimitName, RunLimit};
use model::pause::{PauseKind, PauseTarget};
use store::{Claimed, TurnRequest, TurnRules};
use testing::store_conformance::StoreFixture;
use testing::store_conformance::samples::{self, ana, caller};

use super::plans::unnotified;

/// Values of keys that somebody has run, and lines of two hundred of them and of their report, with jobs of fifty tenants.
pub(super) const FILL: &str = "
    insert into run_limits (name) select 'key:statement:' || n from generate_series(1, 5000) n on conflict do nothing;
    insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts, timeout_ms, retention_ms,
                      created_at, rung_at, limit_key, set_aside)
        select waitless_uuid_v7(), 't-' || n % 50, 'ana', 'statement', 'v', 'interactive', '{}', '[]', '[]', 3, 60000, 60000,
               now() - (20000 - n) * interval '10 ms', '9999-01-01', 'statement:' || n % 200,
               case when n < 10000 then '=/report:report:statement' else '=/report:key:statement:' || n % 200 end
        from generate_series(0, 19999) n;";

/// Starts jobs that have limits, sets some aside, and rings for those that wait.
async fn limits(fixture: &StoreFixture) {
    let store = fixture.store.as_ref();
    let worker = fixture.worker().await;
    let limit = |kind, most| RunLimit { name: LimitName::new(kind, "statement"), most };
    store.declare_limits(&LimitKind::ALL, &[limit(LimitKind::Report, 2), limit(LimitKind::Key, 1)]).await.unwrap();
    let (mut limited, mut started) = (0, Vec::new());
    for number in 0..4 {
        let job = unnotified(&caller("lone", "ana"));
        let job =
            NewJob { report: "statement".to_owned(), limit_key: Some(format!("statement:own-{}", number % 3)), ..job };
        let hint = fixture.submit(job).await.id;
        let doorbell = TurnRequest { lane: Lane::Interactive, hint, redelivered: false, in_doubt: false };
        store.claim_turns(worker.id, vec![doorbell], &TurnRules::default()).await.unwrap();
        match fixture.try_claim(&worker, hint, false).await {
            Claimed::Yes(job) => started.push(*job),
            Claimed::Limited => limited += 1,
            _ => started.push(fixture.job(hint).await),
        }
    }
    for job in started {
        fixture.settle(&job, store::Ending::HandBack).await;
    }
    assert!(limited > 0, "somebody waits for a place");
    store.fill_places().await.unwrap();
    assert_eq!(store.limits().await.unwrap().len(), 2);
    // Its line is none any more.
    store.declare_limits(&[LimitKind::Report], &[]).await.unwrap();
}

pub(super) async fn walk(fixture: &StoreFixture) {
    let (store, rules) = (fixture.store.as_ref(), TurnRules::default());
    let worker = fixture.worker().await;
    let (target, lane) = (PauseTarget::new(None, PauseKind::Source, "erp"), Lane::Interactive);
    store.note_source(samples::VERSION, "erp").await.unwrap();
    for (again, paused) in [(false, false), (true, false), (false, true)] {
        if paused {
            store.pause(&target, "operator").await.unwrap();
        }
        let hint = fixture.submit(unnotified(&ana())).await.id;
        let doorbell = TurnRequest { lane, hint, redelivered: again, in_doubt: again };
        store.claim_turns(worker.id, vec![doorbell], &rules).await.unwrap();
    }
    assert_eq!(store.pauses().await.unwrap().len(), 1);
    assert_eq!(store.resume(&target, 100).await.unwrap(), Some(1));
    limits(fixture).await;
}
