//! To every process at once.

use std::sync::Arc;

use broker::{BroadcastReceiver, Broker};
use model::event::{Broadcast, Event, EventKind};
use model::job::JobState;
use tokio::sync::broadcast::error::RecvError;

use super::fixture::{BrokerFixture, SOON, broadcast};

/// Listens, and returns once broadcasts of `from` really arrive: a queue is made for it meanwhile.
async fn listen(to: &Arc<dyn Broker>, from: &Arc<dyn Broker>) -> BroadcastReceiver {
    let mut receiver = to.subscribe();
    crate::eventually(SOON, "a broadcast to arrive", async || {
        from.broadcast(broadcast(0));
        receiver.try_recv().is_ok()
    })
    .await;
    receiver
}

/// Takes the next one that is not a left-over of [`listen`].
async fn hear(receiver: &mut BroadcastReceiver) -> Arc<Broadcast> {
    loop {
        let heard = match tokio::time::timeout(SOON, receiver.recv()).await.unwrap() {
            Ok(heard) => heard,
            // Said when the broker begins to send.
            Err(RecvError::Lagged(_)) => continue,
            Err(closed) => panic!("{closed}"),
        };
        if !matches!(heard.as_ref(), Broadcast::Progress { progress, .. } if progress.rows == 0) {
            return heard;
        }
    }
}

pub async fn a_broadcast_reaches_every_process_once(fixture: BrokerFixture) {
    let mut here = listen(&fixture.here, &fixture.there).await;
    let mut there = listen(&fixture.there, &fixture.here).await;
    let (one, two) = (broadcast(1), broadcast(2));
    fixture.here.broadcast(one.clone());
    fixture.here.broadcast(two.clone());
    for receiver in [&mut here, &mut there] {
        assert_eq!(*hear(receiver).await, one);
        assert_eq!(*hear(receiver).await, two);
    }
}

pub async fn a_broadcast_without_listeners_is_no_error(fixture: BrokerFixture) {
    for rows in 0..100 {
        fixture.here.broadcast(broadcast(rows));
    }
    assert_eq!(fixture.here.check().await, Ok(()));
}

pub async fn a_broadcast_comes_as_it_was_sent(fixture: BrokerFixture) {
    let mut receiver = listen(&fixture.there, &fixture.here).await;
    let mut sent = broadcast(7);
    if let Broadcast::Progress { caller, .. } = &mut sent {
        // Neither is fit for a routing key.
        caller.tenant = "acme.eu/été #1 ".repeat(30);
        caller.principal = "ana@example.com".to_owned();
    }
    fixture.here.broadcast(sent.clone());
    assert_eq!(*hear(&mut receiver).await, sent);
}

pub async fn a_late_listener_hears_only_what_comes_later(fixture: BrokerFixture) {
    let mut early = listen(&fixture.there, &fixture.here).await;
    fixture.here.broadcast(broadcast(1));
    hear(&mut early).await;
    let mut late = listen(&fixture.there, &fixture.here).await;
    let later = broadcast(2);
    fixture.here.broadcast(later.clone());
    assert_eq!(*hear(&mut late).await, later);
}

pub async fn who_listens_for_cancels_hears_them_and_everything_once_somebody_else_wants_it(fixture: BrokerFixture) {
    let mut cancels = fixture.there.subscribe_cancels();
    let Broadcast::Progress { job_id, caller, attempt, .. } = broadcast(0) else { unreachable!("made so") };
    let cancelled = Broadcast::Event(Event {
        job_id,
        seq: 3,
        caller,
        kind: EventKind::Cancelled,
        state: JobState::Cancelled,
        attempt,
        error: None,
        refused: Vec::new(),
        next_attempt_at: None,
        at: chrono::DateTime::UNIX_EPOCH,
        leader: None,
    });
    crate::eventually(SOON, "a cancel to arrive", async || {
        fixture.here.broadcast(cancelled.clone());
        cancels.try_recv().is_ok_and(|heard| *heard == cancelled)
    })
    .await;
    let mut all = listen(&fixture.there, &fixture.here).await;
    let later = broadcast(2);
    fixture.here.broadcast(later.clone());
    while *hear(&mut all).await != later {}
}
