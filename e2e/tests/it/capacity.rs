//! The model of capacity is held against what was measured, and its page against both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::capacity::{Costs, MeasuredJobs, Pods, Prediction, System, page, simulate};
use e2e::scaling::{CONCURRENCY, DAY, GRACE, Plan, Rules, planned};
use serde_json::Value;

const PAGE: &str = "docs/CAPACITY.md";
/// The computed part of the page stands between these.
const MARKS: [&str; 2] = ["<!-- computed from here -->", "<!-- to here -->"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What the model says of the very jobs of the scale test, with a process that takes as long to start as a real one.
fn predict(measured: &Value, fixed: Option<usize>) -> Prediction {
    let duration = Duration::from_secs_f64(measured["minutes"].as_f64().unwrap() * 60.0);
    let plan = Plan { duration, seed: measured["seed"].as_u64().unwrap(), peak: measured["peak"].as_f64().unwrap() };
    let jobs = planned(plan);
    assert_eq!(jobs.len() as u64, measured["jobs"].as_u64().unwrap(), "the same jobs as were measured");
    let squeezed = Rules::interactive().squeezed(DAY.div_duration_f64(duration));
    let system = System {
        pods: fixed.map_or(Pods::Scaled(squeezed), Pods::Fixed),
        concurrency: CONCURRENCY as usize,
        start_up: Duration::from_millis(300),
        grace: GRACE,
        overhead: Duration::from_millis(20),
        source: None,
    };
    simulate(&jobs, &system, duration)
}

/// Predicted and measured differ by less than so much of the measured, or by less than so much at all.
fn assert_near(what: &str, predicted: f64, measured: f64, (share, at_least): (f64, f64)) {
    let bound = (measured * share).max(at_least);
    println!("{what}: predicted {predicted:.2}, measured {measured:.2}, may differ by {bound:.2}");
    assert!((predicted - measured).abs() <= bound, "{what}: predicted {predicted:.2}, measured {measured:.2}");
}

#[test]
fn the_model_predicts_what_the_scale_test_measured() {
    let measured: Value = serde_json::from_str(&read("e2e/fixtures/scaling.json")).unwrap();
    for pool in measured["pools"].as_array().unwrap() {
        let name = pool["name"].as_str().unwrap();
        let number = |key: &str| pool[key].as_f64().unwrap();
        let fixed = (name == "fixed").then(|| number("peak_workers") as usize);
        let prediction = predict(&measured, fixed);
        // Waits are to the second: real processes and looks at the queue are no metronomes. What whoever pays sees is to a sixth.
        assert_near(&format!("{name} wait p50"), prediction.wait(50), number("wait_p50"), (0.25, 1.0));
        assert_near(&format!("{name} wait p95"), prediction.wait(95), number("wait_p95"), (0.25, 1.5));
        assert_near(&format!("{name} worker-hours"), prediction.worker_hours(), number("worker_hours"), (0.17, 0.0));
        assert_near(&format!("{name} workers at most"), prediction.peak as f64, number("peak_workers"), (0.0, 1.0));
        assert_eq!(prediction.handed_back as u64, pool["handed_back"].as_u64().unwrap(), "{name}");
    }
}

#[test]
fn a_model_without_its_rules_would_be_found_out() {
    let measured: Value = serde_json::from_str(&read("e2e/fixtures/scaling.json")).unwrap();
    let scaled = predict(&measured, None);
    let hours = |name: &str| {
        let pools = measured["pools"].as_array().unwrap();
        pools.iter().find(|pool| pool["name"] == name).unwrap()["worker_hours"].as_f64().unwrap()
    };
    // A worker more all day, or none that is ever stopped, is beyond the bound of a sixth.
    let more = predict(&measured, Some(scaled.peak));
    assert!((more.worker_hours() - hours("autoscaled")).abs() > hours("autoscaled") * 0.17, "{}", more.worker_hours());
    let fewer = predict(&measured, Some(1));
    assert!(fewer.wait(50) > scaled.wait(50) + 1.0, "{}", fewer.wait(50));
}

#[test]
fn the_tables_of_the_capacity_page_are_computed_from_what_was_measured() {
    let costs = Costs::read(&read("bench/README.md")).unwrap();
    let jobs: MeasuredJobs = serde_json::from_str(&read("e2e/fixtures/job-costs.json")).unwrap();
    let text = read(PAGE);
    let (before, rest) = text.split_once(MARKS[0]).expect("the first mark");
    let (written, after) = rest.split_once(MARKS[1]).expect("the second mark");
    let computed = format!("\n{}\n", page(&costs, &jobs).trim_end());
    if written != computed && std::env::var_os("WAITLESS_TEST_REFRESH").is_some() {
        std::fs::write(root().join(PAGE), [before, MARKS[0], &computed, MARKS[1], after].concat()).unwrap();
    }
    assert_eq!(written, computed, "run the test once with WAITLESS_TEST_REFRESH=1 to write the page anew");
}
