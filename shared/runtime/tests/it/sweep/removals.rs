//! Jobs whose time is over.

use std::time::Duration;

use runtime::sweep::Cleanup;
use testing::broker_conformance::SOON;
use testing::eventually;

use super::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn jobs_whose_time_is_over_are_removed_with_their_files_and_others_stay() {
    let stage = Stage::set(|config| config.sweeper.job_retention = Some(Duration::from_millis(1))).await;
    let (ended, file) = stage.done(Duration::from_secs(3_600)).await;
    let waiting = stage.submit(1).await.remove(0);
    let mut cleanup = Cleanup::new(stage.backends.clone(), &stage.config);
    eventually(SOON, "the job to be removed", async || {
        cleanup.clean_up().await;
        stage.backends.store.job_by_id(ended.id).await.unwrap().is_none()
    })
    .await;
    assert!(!stage.has_file(&file).await);
    assert!(stage.backends.store.job_by_id(waiting).await.unwrap().is_some());
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_that_is_set_jobs_and_the_audit_log_stay() {
    let stage = Stage::set(|_| {}).await;
    let (ended, file) = stage.done(Duration::from_secs(3_600)).await;
    let who = model::audit::Person::named("ana");
    let entry = model::audit::NewAuditEntry::new("acme", model::audit::AuditAct::SignIn, String::new(), &who);
    stage.backends.store.note(vec![entry]).await.unwrap();
    let mut sweeper = stage.sweeper().await;
    eventually(SOON, "the entry to be linked", async || {
        sweeper.sweep().await;
        stage.backends.store.audit_entries("acme", 0, 1).await.unwrap().len() == 1
    })
    .await;
    Cleanup::new(stage.backends.clone(), &stage.config).clean_up().await;
    assert!(stage.backends.store.job_by_id(ended.id).await.unwrap().is_some() && stage.has_file(&file).await);
    assert_eq!(stage.backends.store.audit_entries("acme", 0, 1).await.unwrap().len(), 1);
    stage.strike().await;
}
