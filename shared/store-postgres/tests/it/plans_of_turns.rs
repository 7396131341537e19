//! The part of the walk over all statements that claims by turn and pauses.

use model::job::Lane;
use model::pause::{PauseKind, PauseTarget};
use store::{TurnRequest, TurnRules};
use testing::store_conformance::StoreFixture;
use testing::store_conformance::samples::{self, ana};

use super::plans::unnotified;

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
    store.resume(&target).await.unwrap();
    assert_eq!(store.release(100).await.unwrap(), 1);
}
