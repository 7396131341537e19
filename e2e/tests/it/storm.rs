//! A short storm of all faults at once; `make soak` is the long one.

use std::time::Duration;

use e2e::soak::{self, Plan, StorageKind};

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_everything_at_random_loses_doubles_and_spoils_nothing() {
    let plan = Plan { duration: Duration::from_secs(60), seed: 1, storage: StorageKind::S3, keep: None };
    let report = soak::run(&plan).await.unwrap();
    println!("{} faults, {:?}; {}", report.faults_in_all, report.faults, report.verdict);
    assert!(report.clean, "seed {}: {:#}", report.seed, report.verdict);
    assert!(report.faults_in_all > 20 && report.verdict.jobs > 20, "nothing happened: {report:?}");
}
