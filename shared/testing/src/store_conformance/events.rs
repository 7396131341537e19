//! Events of a job and the feed of all of a caller's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

use model::event::Event;
use store::{Ending, FeedCursor};

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, caller, new_job, settlement};
use crate::eventually;

pub async fn events_of_a_job_are_read_after_a_number(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.done(&worker).await;
    let all = fixture.events(&job).await;
    assert_eq!(all.len(), 3);
    let read = async |after, limit| fixture.store.events_of_job(&ana(), job.id, after, limit).await.unwrap();
    assert_eq!(read(1, 10).await, all[1..]);
    assert_eq!(read(0, 2).await, all[..2]);
    assert!(read(3, 10).await.is_empty());
}

pub async fn events_are_read_only_by_their_caller(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    fixture.done(&worker).await;
    for stranger in [caller("acme", "bob"), caller("globex", "ana")] {
        fixture.submit(new_job(&stranger)).await;
        let feed = eventually(SOON, "the stranger's own event", async || {
            let feed = fixture.store.events_of_caller(&stranger, FeedCursor::default(), 100).await.unwrap();
            (!feed.is_empty()).then_some(feed)
        })
        .await;
        assert_eq!(feed.len(), 1);
        assert_eq!(feed[0].1.caller, stranger);
    }
}

/// Follows the caller's feed until `enough`.
async fn follow(
    fixture: &StoreFixture,
    from: FeedCursor,
    enough: impl Fn(&[(FeedCursor, Event)]) -> bool,
) -> Vec<Event> {
    let seen = Mutex::new((from, Vec::new()));
    eventually(SOON, "the feed to hold everything", async || {
        let after = seen.lock().unwrap().0;
        let page = fixture.store.events_of_caller(&ana(), after, 17).await.unwrap();
        let mut seen = seen.lock().unwrap();
        seen.0 = page.last().map_or(after, |(cursor, _)| *cursor);
        seen.1.extend(page);
        enough(&seen.1).then_some(())
    })
    .await;
    let events = seen.into_inner().unwrap().1;
    assert!(events.is_sorted_by(|(a, _), (b, _)| a < b), "the feed went back");
    events.into_iter().map(|(_, event)| event).collect()
}

pub async fn the_feed_is_complete_and_in_order_under_concurrent_writers(fixture: StoreFixture) {
    const WRITERS: usize = 8;
    const JOBS: usize = 15;
    let worker = fixture.worker().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (store, worker_id) = (Arc::clone(&fixture.store), worker.id);
            tokio::spawn(async move {
                for _ in 0..JOBS {
                    let job = new_job(&ana());
                    let request = store::ClaimRequest { job_id: job.id, redelivered: false, alone: false };
                    store.submit(vec![job, new_job(&caller("globex", "ana"))]).await.unwrap();
                    let claimed = store.claim(worker_id, vec![request]).await.unwrap().remove(0);
                    let store::Claimed::Yes(job) = claimed else { panic!("{claimed:?}") };
                    store.settle(vec![settlement(&job, Ending::HandBack)]).await.unwrap();
                }
            })
        })
        .collect();
    let events = follow(&fixture, FeedCursor::default(), |seen| seen.len() >= WRITERS * JOBS * 3).await;
    for writer in writers {
        writer.await.unwrap();
    }
    let distinct: BTreeSet<_> = events.iter().map(|event| (event.job_id, event.seq)).collect();
    assert_eq!((events.len(), distinct.len()), (WRITERS * JOBS * 3, WRITERS * JOBS * 3));
    assert!(events.iter().all(|event| event.caller == ana()));
    let jobs: BTreeSet<_> = events.iter().map(|event| event.job_id).collect();
    for job in jobs {
        let numbers: Vec<_> = events.iter().filter(|event| event.job_id == job).map(|event| event.seq).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}

pub async fn the_feed_is_read_page_by_page(fixture: StoreFixture) {
    let jobs: Vec<_> = (0..50).map(|_| new_job(&ana())).collect();
    let mut expected: Vec<_> = jobs.iter().map(|job| job.id).collect();
    fixture.store.submit(jobs).await.unwrap();
    let mut seen: Vec<_> = follow(&fixture, FeedCursor::default(), |seen| seen.len() >= 50)
        .await
        .iter()
        .map(|event| event.job_id)
        .collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

pub async fn a_feed_from_its_end_holds_everything_that_follows(fixture: StoreFixture) {
    for _ in 0..10 {
        fixture.pending().await;
    }
    let end = fixture.store.feed_end().await.unwrap();
    let mut expected = Vec::new();
    for _ in 0..10 {
        expected.push(fixture.pending().await.id);
    }
    let contains_all =
        |seen: &[(FeedCursor, Event)]| expected.iter().all(|id| seen.iter().any(|(_, event)| event.job_id == *id));
    let events = follow(&fixture, end, contains_all).await;
    let last: Vec<_> = events.iter().rev().take(10).rev().map(|event| event.job_id).collect();
    assert_eq!(last, expected);
}
