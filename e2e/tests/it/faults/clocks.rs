//! The clock of a process is set by an hour, forwards and backwards, while jobs run, are retried and are told of.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use model::job::{Caller, Job, JobState};
use store::Store;
use testing::eventually;
use testing::fake_clock::FakeClock;
use testing::process::Process;
use testing::smtp::{Behaviour, Smtp};

use crate::client::{Client, many, quick, slow};
use crate::coverage::Coverage;
use crate::embedded::Embedded;
use crate::history;
use crate::stack::{Options, SOON, Stack, wait_until_all_ended};

/// Where the clock stands, in seconds before the machine's, one after the other: each jump is of an hour or two.
const JUMPS: [i64; 2] = [3_600, -3_600];

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_in_any_process_costs_no_job_an_attempt() {
    let mut stack = Stack::start_with(Options::default()).await;
    let clocks = [FakeClock::new().unwrap(), FakeClock::new().unwrap(), FakeClock::new().unwrap()];
    stack.push_gateway(clocks[0].set_in(stack.process("api")).start_ready().await.unwrap());
    stack.workers.push(clocks[1].set_in(stack.process("report-worker")).start_ready().await.unwrap());
    stack.notifiers.push(clocks[2].set_in(stack.process("notifier")).start_ready().await.unwrap());
    let processes = [&stack.gateways[0], &stack.workers[0], &stack.notifiers[0]];
    for (clock, process) in clocks.iter().zip(processes) {
        for jump in JUMPS {
            let running = stack.client.submit(&slow(1_500).with_mail()).await;
            refuse_the_next(&stack.smtp, 2);
            stack.client.submit_many(3, &quick().with_mail()).await;
            stack.wait_for(running, JobState::Processing).await;
            jump_to(clock, process, jump).await;
            stack.client.submit_many(3, &quick().with_mail()).await;
            wait_until_all_ended(stack.store.as_ref(), &stack.client).await;
        }
    }
    stack.settle().await;
    check_that_nothing_was_lost(stack.store.as_ref(), &stack.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_under_everything_in_one_process_costs_no_job_an_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let (embedded, clock) = (Embedded::prepare(folder.path()).await, FakeClock::new().unwrap());
    let process = clock.set_in(embedded.process()).start_ready().await.unwrap();
    let client = Client::new(embedded.key());
    client.use_gateways(vec![process.url()]);
    let store = embedded.store().await;
    let coverage = Coverage::start(Arc::clone(&store));
    for jump in JUMPS {
        let running = client.submit(&many("many-from-file", 1_500_000)).await;
        refuse_the_next(&embedded.smtp, 2);
        client.submit_many(5, &quick().with_mail()).await;
        eventually(SOON, "the long job runs and mails were refused", async || {
            let job = store.job_by_id(running).await.ok().flatten();
            let state = job.map(|job| job.state);
            if state == Some(JobState::Processing) { Ok(()) } else { Err(format!("{state:?}")) }
        })
        .await;
        jump_to(&clock, &process, jump).await;
        client.submit_many(5, &quick().with_mail()).await;
        wait_until_all_ended(store.as_ref(), &client).await;
    }
    check_that_nothing_was_lost(store.as_ref(), &client).await;
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

/// Sets a clock, and sees that the process lives by it.
async fn jump_to(clock: &FakeClock, process: &Process, seconds: i64) {
    clock.set(seconds).unwrap();
    if seconds < 0 {
        // Servers remember the date until it is older than the clock, so a jump backwards cannot be seen in it.
        return;
    }
    eventually(SOON, "the process lives by its clock", async || {
        let answer = reqwest::get(format!("{}/livez", process.url())).await.map_err(|error| error.to_string())?;
        let date = answer.headers()["date"].to_str().unwrap();
        let ahead = DateTime::parse_from_rfc2822(date).unwrap().timestamp() - Utc::now().timestamp();
        if (ahead - seconds).abs() < 10 { Ok(()) } else { Err(date.to_owned()) }
    })
    .await;
}

/// Mails that are to be sent again wait for a time.
fn refuse_the_next(smtp: &Smtp, mails: usize) {
    smtp.behave(Behaviour::Answer(450), mails);
}

/// Every job was done in its first attempt.
async fn check_that_nothing_was_lost(store: &dyn Store, client: &Client) {
    for id in client.operations().iter().flat_map(crate::client::Operation::accepted) {
        let Job { state, attempt, crashes, interruptions, .. } = store.job_by_id(id).await.unwrap().unwrap();
        assert_eq!((state, attempt, crashes, interruptions), (JobState::Done, 1, 0, 0), "job {id}");
    }
}
