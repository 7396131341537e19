//! A short storm, as `make soak` has long ones.

use std::time::Duration;

use e2e::soak::{self, Plan, StorageKind};

/// So few seconds bring every kind of process down at least once, and some servers.
const SECONDS: u64 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn schedules_in_a_storm_miss_no_nominal_time_double_none_and_are_at_no_wrong_hour() {
    let plan = Plan { duration: Duration::from_secs(SECONDS), seed: 14, storage: StorageKind::Folder, keep: None };
    let report = soak::run(&plan).await.unwrap();
    println!("{} faults: {}", report.faults_in_all, report.verdict);
    assert!(report.clean, "{:#}", report.verdict);
    assert!(report.verdict.firings >= 100 && report.faults_in_all >= 10, "{report:#?}");
}
