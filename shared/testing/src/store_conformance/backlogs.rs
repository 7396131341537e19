//! How much there is to do, as autoscalers are told.

use std::time::Duration;

use model::delivery::{Channel, DeliveryState};
use model::job::{Lane, NewJob};
use store::{BacklogCounts, DeliveryEnding, LaneBacklog};

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, new_job};
use crate::eventually;

const HOUR: Duration = Duration::from_secs(3600);

/// `(ready, running, handed off)` of a lane.
fn of(backlog: &BacklogCounts, lane: Lane) -> (u64, u64, u64) {
    let LaneBacklog { ready, running, handed_off, .. } =
        *backlog.lanes.iter().find(|one| one.lane == lane).expect("every lane is told");
    (ready, running, handed_off)
}

pub async fn a_backlog_counts_each_job_once_by_what_it_needs(fixture: StoreFixture) {
    let backlog = async |hand_off_after| fixture.store.backlog(hand_off_after, 100).await.unwrap();
    let empty = backlog(HOUR).await;
    assert_eq!(empty.lanes.len(), Lane::ALL.len());
    assert!(Lane::ALL.into_iter().all(|lane| of(&empty, lane) == (0, 0, 0)));
    assert_eq!(empty.deliveries, 0);

    let worker = fixture.worker().await;
    for _ in 0..2 {
        fixture.pending().await;
    }
    fixture.submit(NewJob { lane: Lane::Bulk, ..new_job(&ana()) }).await;
    let running = fixture.processing(&worker).await;
    fixture.retrying(&worker, HOUR).await;
    let due = fixture.retrying(&worker, Duration::ZERO).await;
    fixture.failed(&worker).await;
    fixture.done(&worker).await;
    // What is rung twice is one job all the same.
    fixture.store.ring_silent(Lane::Interactive, Duration::ZERO, 10).await.unwrap();
    eventually(SOON, "the retry to be due", async || {
        let interactive = of(&backlog(HOUR).await, Lane::Interactive);
        if interactive == (3, 1, 0) { Ok(()) } else { Err(format!("{interactive:?}")) }
    })
    .await;
    eventually(SOON, "a job to be held for more than no time", async || {
        (of(&backlog(Duration::ZERO).await, Lane::Interactive) == (3, 1, 1)).then_some(())
    })
    .await;
    let told = backlog(HOUR).await;
    assert_eq!(of(&told, Lane::Bulk), (1, 0, 0));
    assert_eq!(told.deliveries, 2, "of the job that failed and of the one that is done");
    assert_eq!((running.lane, due.lane), (Lane::Interactive, Lane::Interactive));
}

pub async fn a_backlog_counts_no_further_than_it_is_asked_to(fixture: StoreFixture) {
    for _ in 0..5 {
        fixture.pending().await;
    }
    let of_interactive = async |limit| of(&fixture.store.backlog(HOUR, limit).await.unwrap(), Lane::Interactive).0;
    assert_eq!((of_interactive(3).await, of_interactive(100).await), (3, 5));
}

pub async fn the_newest_deliveries_are_told_with_their_age(fixture: StoreFixture) {
    assert_eq!(fixture.store.newest_deliveries(10).await.unwrap(), []);
    let worker = fixture.worker().await;
    let first = fixture.done(&worker).await;
    fixture.done(&worker).await;
    let sent = fixture.store.deliveries_of_job(first.id).await.unwrap()[0].id;
    let claimed = fixture.store.claim_deliveries(vec![sent], HOUR).await.unwrap().remove(0).expect("it is due");
    fixture.store.settle_deliveries(vec![(sent, claimed.attempt, DeliveryEnding::Sent)]).await.unwrap();
    let newest = fixture.store.newest_deliveries(10).await.unwrap();
    let states: Vec<DeliveryState> = newest.iter().map(|(_, state, _)| *state).collect();
    assert_eq!(states, [DeliveryState::Pending, DeliveryState::Sent], "the newest first");
    assert!(newest.iter().all(|(channel, ..)| *channel == Channel::Email), "{newest:?}");
    assert!(newest[0].2 <= newest[1].2 && newest[1].2 < HOUR, "{newest:?}");
    assert_eq!(fixture.store.newest_deliveries(1).await.unwrap().len(), 1);
}
