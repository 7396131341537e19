//! The scheduler: every gateway runs one, and there is no leader. What is due is claimed in batches; what decides is the write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::job::JobState;
use model::schedule::{FiringOutcome, NextFiring};
use store::{DueSchedule, ScheduleStep, StepOutcome, StoreError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::prepare::Owners;
use super::reconcile::Reconciler;
use super::turn::{plan_turn, refuse_and_count};
use crate::gateway::Gateway;

/// Looks for what is due this often.
const EVERY: Duration = Duration::from_secs(1);
/// Schedules claimed, and written, in one go.
const BATCH: u32 = 250;
/// How long a claim lasts: others take up what a scheduler that died had claimed.
const LEASE: Duration = Duration::from_secs(15);
/// Counts, and looks for silent schedules, this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Removes old firings this often, so many at a time.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
const FORGOTTEN: u32 = 1_000;
/// How long firings are kept.
const KEEP: Duration = Duration::from_secs(400 * 86_400);

/// Has schedules fire until stopped. Nothing that fails ends it.
pub(crate) async fn run_until_stopped(gateway: Arc<Gateway>, stop: CancellationToken) {
    count_from_zero();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looked, mut forgot) = (None::<Instant>, None::<Instant>);
    let mut fails = false;
    let mut reconciler = Reconciler::new(gateway.catalogue.reload_every());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let is_time = |last: &mut Option<Instant>, every| {
            let is_time = last.is_none_or(|last| last.elapsed() >= every);
            if is_time {
                *last = Some(Instant::now());
            }
            is_time
        };
        let (look, forget) = (is_time(&mut looked, LOOK_EVERY), is_time(&mut forgot, FORGET_EVERY));
        let work = async {
            fire_what_is_due(&gateway).await?;
            settle(&gateway).await?;
            reconciler.look(&gateway).await?;
            if look {
                look_around(&gateway).await?;
            }
            if forget {
                gateway.calendars.warn(gateway.store.now().await?);
                while gateway.store.forget_firings(KEEP, FORGOTTEN).await? > 0 {}
            }
            Ok::<(), StoreError>(())
        };
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = work => outcome,
        };
        match outcome {
            Ok(()) => fails = false,
            Err(error) if !fails => {
                fails = true;
                tracing::warn!(%error, "schedules cannot be looked at; they are caught up");
            }
            Err(_) => {}
        }
    }
}

/// Has everything fire that is due, batch by batch.
async fn fire_what_is_due(gateway: &Gateway) -> Result<(), StoreError> {
    loop {
        let due = gateway.store.claim_due_schedules(BATCH, LEASE).await?;
        if due.is_empty() {
            return Ok(());
        }
        let full = due.len() >= BATCH as usize;
        let is_behind = fire(gateway, &due).await?;
        if !full && !is_behind {
            return Ok(());
        }
    }
}

/// Has these fire. True: some are still due, for a later time.
async fn fire(gateway: &Gateway, due: &[DueSchedule]) -> Result<bool, StoreError> {
    let mut owners = Owners::new();
    let mut turns = Vec::with_capacity(due.len());
    let mut of = Vec::with_capacity(due.len());
    for one in due {
        if let Some(turn) = plan_turn(gateway, one, &mut owners).await {
            turns.push(turn);
            of.push(one);
        }
    }
    let outcomes = match gateway.store.take_steps(turns.clone()).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            turns.iter().filter_map(|turn| turn.job.as_ref()).for_each(|firing| leave_queue(gateway, firing.job.id));
            return Err(error);
        }
    };
    let mut is_behind = false;
    for ((due, turn), outcome) in of.into_iter().zip(turns).zip(outcomes) {
        let goes_on = turn.again.is_none() && turn.pause.is_none();
        is_behind |= goes_on && turn.next.is_some_and(|next| next.due <= due.now) && outcome != StepOutcome::TooLate;
        let in_line = matches!(&outcome, StepOutcome::Written(Some(job))
            if job.state == JobState::Pending && job.sharing.leader.is_none());
        if let Some(firing) = turn.job.as_ref().filter(|_| !in_line) {
            leave_queue(gateway, firing.job.id);
        }
        match outcome {
            StepOutcome::Written(job) => count(&turn, job.is_some()),
            StepOutcome::TooLate => {}
            StepOutcome::Refused(why) => refuse(gateway, due, turn, &why).await?,
        }
    }
    Ok(is_behind)
}

fn leave_queue(gateway: &Gateway, id: uuid::Uuid) {
    gateway.forecaster.leave_queue(id);
}

/// The job cannot be written: that is written in its place.
async fn refuse(gateway: &Gateway, due: &DueSchedule, mut turn: ScheduleStep, why: &str) -> Result<(), StoreError> {
    let Some(firing) = turn.job.take() else {
        tracing::error!(schedule = %due.schedule.id, %why, "what became of a schedule cannot be written");
        return Ok(());
    };
    refuse_and_count(&mut turn, due, NextFiring { nominal: firing.nominal, due: firing.due }, why);
    count(&turn, false);
    gateway.store.take_steps(vec![turn]).await.map(drop)
}

/// What an alert waits for is there before it happens: the first of a series is no increase.
fn count_from_zero() {
    for outcome in FiringOutcome::ALL {
        metrics::counter!("waitless_firings_total", "outcome" => outcome.as_str()).increment(0);
    }
}

fn count(turn: &ScheduleStep, fired: bool) {
    let counted = |outcome: FiringOutcome, number: usize| {
        if number > 0 {
            metrics::counter!("waitless_firings_total", "outcome" => outcome.as_str()).increment(number as u64);
        }
    };
    counted(FiringOutcome::Fired, usize::from(fired));
    for outcome in [FiringOutcome::Missed, FiringOutcome::Skipped, FiringOutcome::Refused] {
        counted(outcome, turn.records.iter().filter(|record| record.outcome == outcome).count());
    }
    for record in turn.records.iter().filter(|record| record.outcome != FiringOutcome::Skipped) {
        tracing::warn!(schedule = %turn.schedule_id, nominal = %record.nominal, outcome = record.outcome.as_str(),
            why = record.detail.as_deref(), "a firing has no job");
    }
    if let Some(why) = turn.pause {
        count_pause(turn.schedule_id, why.as_str());
    }
}

fn count_pause(id: uuid::Uuid, why: &'static str) {
    tracing::warn!(schedule = %id, why, "a schedule is paused");
    metrics::counter!("waitless_schedules_paused_total", "why" => why).increment(1);
}

/// Looks how the jobs of firings ended.
async fn settle(gateway: &Gateway) -> Result<(), StoreError> {
    loop {
        let ended = gateway.store.settle_firings(BATCH).await?;
        for one in ended.iter().filter(|one| one.paused) {
            count_pause(one.schedule.id, "failures");
        }
        for one in &ended {
            metrics::counter!("waitless_firings_ended_total", "state" => one.state.as_str()).increment(1);
        }
        if ended.len() < BATCH as usize {
            return Ok(());
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 schedules")]
async fn look_around(gateway: &Gateway) -> Result<(), StoreError> {
    for silent in gateway.store.raise_silent(BATCH).await? {
        tracing::warn!(schedule = %silent.id, tenant = %silent.owner.tenant, report = %silent.settings.report,
            "a schedule has sent nothing for longer than it may");
    }
    let counts = gateway.store.schedule_counts().await?;
    metrics::gauge!("waitless_schedules_silent").set(counts.silent as f64);
    metrics::gauge!("waitless_schedules_stopped").set(counts.stopped as f64);
    metrics::gauge!("waitless_schedules_overdue_seconds").set(counts.overdue);
    metrics::gauge!("waitless_schedule_notices_waiting").set(counts.notices as f64);
    Ok(())
}
