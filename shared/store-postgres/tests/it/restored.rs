//! A dump that was restored into another cluster.

use store::FeedCursor;
use testing::eventually;
use testing::store_conformance::{SOON, samples};

use crate::store_postgres::set;

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_dump_restored_into_a_younger_cluster_are_told_again_after_one_update() {
    let page = include_str!("../../../../docs/OPERATIONS.md");
    let cure = "update events set xid = '3'";
    assert!(page.contains(cure), "the statement that is tried here is that of the page");
    let (fixture, database) = set().await;
    let restored = fixture.pending().await;
    // Of a cluster that had come further than this one will for years.
    database.sql("update events set xid = '9000000000000'").await.unwrap();
    let told = async || {
        let events = fixture.store.events_of_caller(&samples::ana(), FeedCursor::default(), 10).await.unwrap();
        events.into_iter().map(|(_, event)| event.job_id).collect::<Vec<_>>()
    };
    assert!(told().await.is_empty(), "such events stand behind everything that is to come");
    database.sql(cure).await.unwrap();
    let new = fixture.pending().await;
    eventually(SOON, "both events", async || (told().await == [restored.id, new.id]).then_some(())).await;
}
