//! Everything in one process on embedded backends keeps the same promises.

use std::sync::Arc;
use std::time::Duration;

use model::job::{Caller, JobState};
use testing::eventually;

use crate::client::{Client, busy, quick};
use crate::coverage::Coverage;
use crate::embedded::Embedded;
use crate::history;
use crate::stack::{SOON, wait_until_all_ended};

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_one_process_killed_again_and_again_brings_every_job_once() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::prepare(folder.path()).await;
    let mut process = embedded.up().await;
    let client = Client::new(embedded.key());
    client.use_gateways(vec![process.url()]);
    let store = embedded.store().await;
    let coverage = Coverage::start(Arc::clone(&store));
    let submitting = client.clone();
    let submitting = tokio::spawn(async move {
        for _ in 0..20 {
            submitting.submit_many(4, &quick().with_mail()).await;
            submitting.submit(&busy().with_mail()).await;
        }
    });
    for _ in 0..2 {
        eventually(SOON, "a job runs", async || {
            store
                .job_counts()
                .await
                .is_ok_and(|counts| counts.iter().any(|(_, state, _)| *state == JobState::Processing))
        })
        .await;
        process.kill();
        process = embedded.up().await;
        client.use_gateways(vec![process.url()]);
    }
    submitting.await.unwrap();
    wait_until_all_ended(store.as_ref(), &client).await;
    process.terminate().unwrap();
    let status = process.wait(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", process.log());
    let evidence = history::Evidence {
        store,
        mails: embedded.smtp.mails(),
        artifacts: embedded.data.join("artifacts"),
        config: embedded.config(),
        caller: Caller { tenant: "default".to_owned(), principal: "default".to_owned() },
    };
    let verdict = history::judge(&client.operations(), evidence).await;
    println!("{verdict}; every job was covered in {} looks", coverage.judge());
    assert!(verdict.is_clean(), "{verdict:#}");
}
