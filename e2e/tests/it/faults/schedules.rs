//! Schedules under faults: each nominal time has one firing, whatever schedulers, clocks and the database do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta, Utc};
use model::job::JobState;
use model::schedule::FiringOutcome;
use serde_json::{Value, json};
use store::ScheduleFilter;
use testing::eventually;
use uuid::Uuid;

use crate::stack::{Options, SOON, Stack};

const SCHEDULES: usize = 40;
/// Nominal times that each of them has behind it when it is made.
const MINUTES: i64 = 25;

/// Makes schedules that have some time to catch up with; by whichever gateway answers.
async fn make_schedules(stack: &Stack, urls: &[String]) -> Vec<Uuid> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let starts_at = (Utc::now() - TimeDelta::minutes(MINUTES)).to_rfc3339();
    for n in 0..SCHEDULES {
        let asked = json!({
            "report": "quick", "title": format!("storm {n}"), "when": "* * * * *", "zone": "Australia/Lord_Howe",
            "starts_at": starts_at, "overlap": "allow", "catch_up": "1h",
            "notify": [{"channel": "email", "to": format!("reader-{n}@example.com")}],
        });
        let key = &stack.client.key;
        let made =
            http.post(format!("{}/v1/schedules", urls[n % urls.len()])).bearer_auth(key).json(&asked).send().await;
        let made = made.unwrap().error_for_status().unwrap().json::<Value>().await.unwrap();
        assert_eq!(made["state"], "active");
    }
    let filter = ScheduleFilter { tenant: "acme".to_owned(), principal: None, after: None, limit: 1000 };
    stack.store.schedules(filter).await.unwrap().into_iter().map(|schedule| schedule.id).collect()
}

/// Pauses all, so that there is an end to what has to come, and returns the next nominal time of each that never comes.
async fn pause_all(stack: &Stack, ids: &[Uuid]) -> BTreeMap<Uuid, NaiveDateTime> {
    let mut until = BTreeMap::new();
    for id in ids {
        let next = eventually(SOON * 3, "a schedule has caught up and is paused", async || {
            let schedule = stack.store.schedule("acme", *id).await.map_err(|error| error.to_string())?.ok_or("gone")?;
            let next = schedule.next.filter(|next| next.due > Utc::now());
            let next = next.ok_or_else(|| format!("{:?} is still due", schedule.next))?;
            let change = store::ScheduleChange {
                id: *id,
                version: schedule.version,
                owner: schedule.owner,
                settings: schedule.settings,
                paused_why: Some(model::schedule::PauseReason::Asked),
                next: Some(next),
                catalogue: None,
            };
            let paused = stack.store.change_schedule(change).await.map_err(|error| error.to_string())?;
            // Whoever fires at this moment moves on first, or is too late.
            paused.and_then(|paused| paused.next).filter(|now| *now == next).ok_or_else(|| "it moved".to_owned())
        })
        .await;
        until.insert(*id, next.nominal);
    }
    until
}

#[tokio::test(flavor = "multi_thread")]
async fn each_nominal_time_of_a_schedule_fires_once_though_schedulers_and_the_database_die_and_freeze() {
    let options = Options { gateways: 2, workers: 2, notifiers: 2, ..Options::default() };
    let mut stack = Stack::start_with(options).await;
    let urls: Vec<String> = stack.gateways.iter().map(testing::process::Process::url).collect();
    let ids = make_schedules(&stack, &urls).await;
    assert_eq!(ids.len(), SCHEDULES);
    // Frozen beyond its claims while another one fires, then let go; killed in the middle; the database too.
    stack.gateways[0].freeze().unwrap();
    stack.kill_gateway(1);
    stack.add_gateway().await;
    stack.postgres.kill();
    stack.postgres.start_again().await.unwrap();
    stack.gateways[0].thaw().unwrap();
    stack.kill_gateway(1);
    stack.add_gateway().await;
    stack.add_gateway().await;
    stack.kill_gateway(0);
    let until = pause_all(&stack, &ids).await;
    judge(&stack, &until).await;
}

async fn judge(stack: &Stack, until: &BTreeMap<Uuid, NaiveDateTime>) {
    let (mut fired, mut jobs) = (0, BTreeSet::new());
    let (mut missed, mut doubled) = (0, 0);
    for (id, until) in until {
        let firings = stack.store.firings(*id, 10_000).await.unwrap();
        let nominal: BTreeSet<NaiveDateTime> = firings.iter().map(|firing| firing.nominal.unwrap()).collect();
        let first = *nominal.first().unwrap();
        let wanted: BTreeSet<_> = std::iter::successors(Some(first), |one| Some(*one + TimeDelta::minutes(1)))
            .take_while(|one| one < until)
            .collect();
        assert!(wanted.len() >= usize::try_from(MINUTES).unwrap() - 1, "{id}: only {} times", wanted.len());
        missed += wanted.difference(&nominal).count();
        doubled += firings.len() - nominal.len();
        for firing in &firings {
            assert_eq!(firing.outcome, FiringOutcome::Fired, "{firing:?}");
            doubled += usize::from(!jobs.insert(firing.job_id.unwrap()));
        }
        fired += firings.len();
    }
    let rows = stack.postgres.sql("select count(*) from jobs").await.unwrap();
    let written: usize = rows[0][0].as_deref().unwrap().parse().unwrap();
    println!("{fired} firings: {missed} missed, {doubled} doubled, {written} jobs");
    assert_eq!((missed, doubled, written), (0, 0, fired), "missed, doubled, jobs");
    for job in jobs {
        stack.wait_for(job, JobState::Done).await;
    }
    let mails = eventually(SOON * 3, "every mail", async || {
        let mails = stack.smtp.mails().len();
        if mails >= fired { Ok(mails) } else { Err(format!("{mails} of {fired}")) }
    })
    .await;
    let ids: BTreeSet<String> = stack.smtp.mails().iter().map(testing::smtp::Mail::message_id).collect();
    assert_eq!((mails, ids.len()), (fired, fired), "one mail for each firing");
}
