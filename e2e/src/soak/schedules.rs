//! Schedules that fire every minute while all of it happens, each with some time to catch up with.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use model::schedule::{PauseReason, Schedule};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use store::{ScheduleChange, ScheduleFilter};
use testing::eventually;
use testing::webhook_endpoint::WebhookEndpoint;

use super::pause;
use super::plan::{Dice, Plan};
use super::tally::Tally;
use crate::client::Client;
use crate::history::{FiringHistory, ScheduleHistory};
use crate::stack::{SOON, Stack, caller};

/// More are not made: each of them fires every minute to the end.
const MOST: usize = 150;
/// None of them is an hour off now and then, whatever the date; what zones do to hours is held elsewhere.
const ZONES: [&str; 6] =
    ["UTC", "Asia/Kathmandu", "Australia/Darwin", "America/Phoenix", "Asia/Tokyo", "America/Argentina/Buenos_Aires"];
/// The name of the endpoint in the configuration.
pub(super) const ENDPOINT: &str = "storm";

/// The settings by which an endpoint is told.
pub(super) fn settings(endpoint: &WebhookEndpoint) -> Vec<(&'static str, String)> {
    vec![
        ("WAITLESS_WEBHOOKS__STORM__URL", endpoint.url()),
        ("WAITLESS_WEBHOOKS__STORM__SECRETS", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
        ("WAITLESS_WEBHOOKS__STORM__TENANTS", "*".to_owned()),
        ("WAITLESS_WEBHOOKS__STORM__ALLOW_HTTP", "true".to_owned()),
        ("WAITLESS_WEBHOOKS__STORM__ALLOW_PRIVATE", "true".to_owned()),
        ("WAITLESS_WEBHOOKS__STORM__TIMEOUT", "2s".to_owned()),
        ("WAITLESS_WEBHOOKS__STORM__RETRY_DELAYS", "500ms,2s,5s".to_owned()),
        ("WAITLESS_WEBHOOKS__STORM__MAX_ATTEMPTS", "1000".to_owned()),
    ]
}

/// Makes one after the other until the storm is over. What nobody answers may have been made all the same.
pub(super) async fn make(plan: &Plan, client: &Client, tally: &Tally) {
    let mut dice = plan.dice("schedules");
    for number in 0..MOST {
        if tally.is_over() {
            return;
        }
        let body = body(number, &mut dice);
        if client.ask_for_a_schedule(&body).await {
            tally.schedules.fetch_add(1, Ordering::Relaxed);
        }
        pause(tally, dice.millis(1_000..5_000)).await;
    }
}

fn body(number: usize, dice: &mut Dice) -> serde_json::Value {
    let behind = i64::try_from(dice.number(10..40)).unwrap_or(10);
    let minute = Utc::now().duration_trunc(TimeDelta::minutes(1)).unwrap_or_default();
    json!({
        "report": "quick", "title": format!("storm {number}"), "formats": ["csv"], "when": "* * * * *",
        "zone": dice.one_of(&ZONES), "overlap": "allow", "catch_up": "100d", "pause_after": 0,
        "starts_at": (minute - TimeDelta::minutes(behind)).to_rfc3339(),
        "notify": [
            {"channel": "email", "to": format!("scheduled-{number}@example.com")}, {"channel": "webhook", "to": ENDPOINT},
        ],
    })
}

/// Pauses all that there are, once each has caught up, and says when the first nominal time of each would be that never comes.
pub(super) async fn pause_all(stack: &Stack) -> Vec<(Schedule, DateTime<Utc>)> {
    let filter = ScheduleFilter { tenant: caller().tenant, principal: None, after: None, limit: 10_000 };
    let mut paused = Vec::new();
    let all = eventually(SOON, "the schedules", async || stack.store.schedules(filter.clone()).await).await;
    for schedule in all {
        let pause = async || pause_one(stack, &schedule).await;
        let until = eventually(SOON * 3, "a schedule has caught up and is paused", pause).await;
        paused.push((schedule, until));
    }
    paused
}

async fn pause_one(stack: &Stack, schedule: &Schedule) -> Result<DateTime<Utc>, String> {
    let tenant = &schedule.owner.tenant;
    let now = stack.store.schedule(tenant, schedule.id).await.map_err(|error| error.to_string())?.ok_or("gone")?;
    let next = now.next.filter(|next| next.due > Utc::now());
    let next = next.ok_or_else(|| format!("{:?} is still due", now.next))?;
    if now.paused_why.is_some() {
        return Ok(next.due);
    }
    let change = ScheduleChange {
        id: now.id,
        version: now.version,
        owner: now.owner,
        settings: now.settings,
        paused_why: Some(PauseReason::Asked),
        next: Some(next),
        catalogue: None,
    };
    let paused = stack.store.change_schedule(change).await.map_err(|error| error.to_string())?;
    // Whoever fires at this moment moves on first, or is too late.
    paused.and_then(|paused| paused.next).filter(|now| *now == next).map(|next| next.due).ok_or("it moved".to_owned())
}

/// Reads what became of them.
pub(super) async fn gather(stack: &Stack, paused: Vec<(Schedule, DateTime<Utc>)>) -> Vec<ScheduleHistory> {
    let mut all = Vec::new();
    let mut readers = BTreeSet::new();
    for (schedule, until) in paused {
        let reader = schedule.settings.notify[0].to.clone();
        assert!(readers.insert(reader.clone()), "{reader} reads two schedules");
        let firings = stack.store.firings(schedule.id, 1_000_000).await.unwrap();
        let firings = firings.into_iter().map(|firing| FiringHistory {
            nominal: firing.nominal,
            due: firing.due,
            at: firing.at,
            outcome: firing.outcome,
            job: firing.job_id,
        });
        all.push(ScheduleHistory {
            id: schedule.id,
            reader,
            zone: schedule.settings.zone,
            from: schedule.settings.starts_at.unwrap(),
            until,
            firings: firings.collect(),
        });
    }
    all
}
