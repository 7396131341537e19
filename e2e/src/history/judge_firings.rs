//! Judges what became of the nominal times of schedules: each has one firing, at its minute, with one job that reached everybody once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use model::delivery::{Channel, Delivery, DeliveryEvent, DeliveryState};
use model::job::JobState;
use model::locale::{Tz, time_zone};
use model::schedule::FiringOutcome;
use serde_json::Value;
use uuid::Uuid;

use super::judge::{judge_copies, judge_run};
use super::record::{FiringHistory, History, JobHistory, ScheduleHistory};
use super::verdict::Verdict;
use crate::client::{Answer, Operation};

/// Who was told, as the servers have it.
pub(super) struct Told<'a> {
    /// By recipient.
    pub(super) mails: &'a BTreeMap<&'a str, Vec<&'a str>>,
    pub(super) hooks: Vec<&'a str>,
}

impl History {
    /// Judges every schedule, and returns the jobs that firings account for.
    pub(super) fn judge_schedules(
        &self,
        verdict: &mut Verdict,
        jobs: &BTreeMap<Uuid, &JobHistory>,
        mails: &BTreeMap<&str, Vec<&str>>,
    ) -> BTreeSet<Uuid> {
        let told = Told { mails, hooks: self.hooks.iter().map(String::as_str).collect() };
        let (mut accounted, mut owed) = (BTreeSet::new(), BTreeSet::new());
        for schedule in &self.schedules {
            judge_times(verdict, schedule);
            let mut mine = BTreeSet::new();
            for firing in &schedule.firings {
                let Some(id) = firing.job else { continue };
                if !accounted.insert(id) {
                    verdict.doubled.push(format!("job {id} is that of two firings"));
                    continue;
                }
                match jobs.get(&id) {
                    Some(one) => {
                        judge_told(verdict, schedule, one, &told);
                        mine.extend(one.deliveries.iter().map(|delivery| delivery.id.to_string()));
                    }
                    None => verdict.lost.push(format!("job {id} of a firing is not there")),
                }
            }
            let mails = mails.get(schedule.reader.as_str()).into_iter().flatten();
            for mail in mails.filter(|mail| !mine.iter().any(|id| mail.contains(id.as_str()))) {
                verdict.doubled.push(format!("the mail {mail} of schedule {} is of none of its firings", schedule.id));
            }
            owed.append(&mut mine);
        }
        for hook in told.hooks.iter().filter(|hook| !owed.contains(**hook)) {
            verdict.doubled.push(format!("the endpoint was told {hook}, which is of no firing"));
        }
        accounted
    }
}

/// Holds what is written of a schedule against a clock on the wall of its zone, minute by minute.
fn judge_times(verdict: &mut Verdict, schedule: &ScheduleHistory) {
    let (id, zone) = (schedule.id, time_zone(&schedule.zone).unwrap_or(Tz::UTC));
    let minutes = std::iter::successors(Some(schedule.from), |at| Some(*at + TimeDelta::minutes(1)));
    let wanted: BTreeSet<NaiveDateTime> =
        minutes.take_while(|at| *at < schedule.until).map(|at| at.with_timezone(&zone).naive_local()).collect();
    let mut found = BTreeSet::new();
    for firing in &schedule.firings {
        verdict.firings += 1;
        let Some(nominal) = firing.nominal else {
            verdict.doubled.push(format!("schedule {id} fired though nobody asked for it"));
            continue;
        };
        if !found.insert(nominal) {
            verdict.doubled.push(format!("{nominal} of schedule {id} came twice"));
        }
        judge_hour(verdict, id, firing, moment_of(nominal, zone));
        if firing.outcome != FiringOutcome::Fired || firing.job.is_none() {
            verdict.lost.push(format!("{nominal} of schedule {id} is {}", firing.outcome.as_str()));
        }
    }
    for nominal in wanted.difference(&found) {
        verdict.lost.push(format!("{nominal} of schedule {id} was missed, and nothing says so"));
    }
    for nominal in found.difference(&wanted) {
        verdict.doubled.push(format!("{nominal} of schedule {id} was not to come"));
    }
}

fn moment_of(nominal: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    zone.from_local_datetime(&nominal).earliest().map(|at| at.to_utc())
}

fn judge_hour(verdict: &mut Verdict, id: Uuid, firing: &FiringHistory, moment: Option<DateTime<Utc>>) {
    let (due, at) = (firing.due, firing.at);
    verdict.check(moment == Some(due), || format!("a firing of schedule {id} was due at {due}, not at {moment:?}"));
    verdict.check(at >= due, || format!("a firing of schedule {id} came at {at}, before it was due at {due}"));
}

/// Its job ran as any other, and reader and endpoint were told of its end once each.
fn judge_told(verdict: &mut Verdict, schedule: &ScheduleHistory, one: &JobHistory, told: &Told<'_>) {
    let JobHistory { job, deliveries, .. } = one;
    let asked = Operation {
        key: String::new(),
        report: "quick",
        params: Value::Null,
        formats: &["csv"],
        recipient: Some(schedule.reader.clone()),
        expected: JobState::Done,
        in_a_storm: true,
        may_be_cancelled: false,
        answers: vec![(Answer::Accepted(job.id), std::time::Duration::ZERO)],
    };
    judge_run(verdict, &asked, one);
    let of_the_end = |channel| -> Vec<&Delivery> {
        deliveries.iter().filter(|one| one.event != DeliveryEvent::Late && one.channel == channel).collect()
    };
    for channel in [Channel::Email, Channel::Webhook] {
        let once = matches!(of_the_end(channel)[..], [one] if one.state == DeliveryState::Sent);
        verdict.check(once, || format!("deliveries of job {} of schedule {}: {deliveries:?}", job.id, schedule.id));
    }
    let mails = told.mails.get(schedule.reader.as_str()).map(Vec::as_slice).unwrap_or_default();
    for delivery in deliveries {
        if delivery.channel == Channel::Webhook {
            judge_requests(verdict, delivery, &told.hooks);
        } else {
            judge_copies(verdict, job, delivery, mails);
        }
    }
}

/// The endpoint was told once, but for tries whose outcome nobody could know.
fn judge_requests(verdict: &mut Verdict, delivery: &Delivery, hooks: &[&str]) {
    let name = delivery.id.to_string();
    let copies = hooks.iter().filter(|hook| **hook == name).count();
    verdict.requests += copies;
    if copies == 0 && delivery.state == DeliveryState::Sent {
        verdict.lost.push(format!("the request {name} of job {}", delivery.job_id));
    }
    if copies > usize::try_from(delivery.attempt).unwrap_or_default() {
        verdict.doubled.push(format!("the request {name} of job {} came {copies} times", delivery.job_id));
    }
}
