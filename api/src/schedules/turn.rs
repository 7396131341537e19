//! What becomes of one schedule that is due: planned, its job made, and what its people are told.

use std::time::Duration;

use chrono::TimeDelta;
use model::schedule::{FiringOutcome, FiringRecord, NewNotice, NextFiring, NoticeKind, PauseReason};
use store::{DueSchedule, FiringJob, ScheduleStep, fails_too_often, missed_notice, notice_text, paused_notice};

use super::plan::{NoPlan, Plan};
use super::prepare::{NoJob, Owners, prepare};
use crate::gateway::Gateway;

/// A firing that waits for the job of the one before, or for room in its tenant's limits, is looked at again after this time.
const AGAIN: Duration = Duration::from_secs(2);
/// One whose calendar is not known here is left to other gateways for so long.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// Plans the turn of a schedule that is due. `None`: nothing can be said now; it is claimed again when the lease is over.
pub(super) async fn plan_turn(gateway: &Gateway, due: &DueSchedule, owners: &mut Owners) -> Option<ScheduleStep> {
    let schedule = &due.schedule;
    let mut turn = ScheduleStep {
        schedule_id: schedule.id,
        version: schedule.version,
        nominal: schedule.next?.nominal,
        records: Vec::new(),
        job: None,
        next: schedule.next,
        again: None,
        waiting: schedule.waiting,
        pause: None,
        failures: 0,
        notices: Vec::new(),
    };
    let plan = match Plan::of(schedule.id, &schedule.settings, &gateway.calendars) {
        Ok(Some(plan)) => plan,
        Ok(None) => return Some(ScheduleStep { next: None, waiting: false, ..turn }),
        // A gateway of another configuration may know it, in a rollout.
        Err(NoPlan::NoCalendar(why)) if due.now - schedule.next?.due < PATIENCE => {
            tracing::warn!(schedule = %schedule.id, %why, "a firing waits for a gateway that has its calendar");
            return None;
        }
        Err(why) => {
            // Written by a version that knew more, or before time zones changed: nobody knows when it fires next.
            refuse(&mut turn, due, schedule.next?, &why.to_string());
            pause(&mut turn, due, PauseReason::Failures);
            return Some(turn);
        }
    };
    let decision = plan.decide(due);
    turn.notices.extend(decision.missed().map(|missed| missed_notice(schedule, missed)));
    (turn.records, turn.next, turn.waiting) = (decision.records, decision.next, decision.waits);
    turn.again = decision.waits.then_some(AGAIN);
    let Some(fire) = decision.fire else { return Some(turn) };
    match prepare(gateway, schedule, fire.nominal, owners).await {
        Ok(job) => turn.job = Some(FiringJob { nominal: fire.nominal, due: fire.due, job }),
        Err(NoJob::Later(error)) => {
            tracing::debug!(schedule = %schedule.id, %error, "a firing waits");
            // What came after it comes after it.
            turn.records.retain(|record| record.nominal < fire.nominal);
            (turn.next, turn.again, turn.waiting) = (Some(fire), Some(AGAIN), schedule.waiting);
        }
        Err(NoJob::OwnerGone) => {
            refuse(&mut turn, due, fire, "its owner may not run reports any more");
            pause(&mut turn, due, PauseReason::OwnerGone);
        }
        Err(NoJob::Refused(why)) => refuse_and_count(&mut turn, due, fire, &why),
    }
    Some(turn)
}

/// Notes that a firing has no job, and pauses what fails too often.
pub(super) fn refuse_and_count(turn: &mut ScheduleStep, due: &DueSchedule, fire: NextFiring, why: &str) {
    refuse(turn, due, fire, why);
    if fails_too_often(&due.schedule, turn.failures) {
        pause(turn, due, PauseReason::Failures);
    }
}

fn refuse(turn: &mut ScheduleStep, due: &DueSchedule, fire: NextFiring, why: &str) {
    let NextFiring { nominal, due: at } = fire;
    let why: String = why.chars().take(500).collect();
    turn.job = None;
    turn.failures += 1;
    turn.notices.push(NewNotice {
        kind: NoticeKind::Refused,
        text: notice_text(&due.schedule, Some(nominal), Some(nominal), 1, Some(why.clone())),
        to: due.schedule.settings.alerted().to_vec(),
    });
    turn.records.push(FiringRecord { nominal, due: at, outcome: FiringOutcome::Refused, detail: Some(why) });
}

fn pause(turn: &mut ScheduleStep, due: &DueSchedule, why: PauseReason) {
    (turn.pause, turn.waiting, turn.again) = (Some(why), false, None);
    turn.notices.push(paused_notice(&due.schedule, why));
}
