//! When a schedule fires: its nominal times, spread over the time it may take, and what becomes of those that are due. Pure.

use std::str::FromStr as _;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use model::job::JobState;
use model::locale::{Tz, time_zone};
use model::schedule::{FiringOutcome, FiringRecord, NextFiring, Overlap, Schedule, ScheduleSettings};
use schedule::{When, read_latest, shown};
use store::DueSchedule;
use uuid::Uuid;

use super::calendars::{Calendars, NoCalendar};

/// When that fires which has no times of its own.
pub(super) const BY_EVENT: &str = "when its event comes";

/// Nominal times that one turn says something about at most: a year of downtime is told of in several turns.
const MOST_RECORDS: usize = 500;

/// What fires by event waits for it so long beyond its latest time: whoever says in the last moment that the data are there is heard.
const PATIENCE: TimeDelta = TimeDelta::seconds(5);

/// The times of one schedule that has some.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    when: When,
    zone: Tz,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    catch_up: TimeDelta,
    /// How long after its nominal time this schedule is due, each time.
    offset: TimeDelta,
    /// At these times it does not fire: its event is there by then, or its people are told.
    awaits_event: bool,
}

/// Why nobody can say when a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlan {
    /// What it says means nothing here.
    #[error("{0}")]
    Never(String),
    /// This gateway has no such calendar. Others may.
    #[error(transparent)]
    NoCalendar(#[from] NoCalendar),
}

/// What becomes of a schedule that is due, apart from its job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    /// Nominal times that are missed or skipped.
    pub(super) records: Vec<FiringRecord>,
    /// The one that fires.
    pub(super) fire: Option<NextFiring>,
    /// What it looks to from then on.
    pub(super) next: Option<NextFiring>,
    /// `next` waits for the job of the one before.
    pub(super) waits: bool,
}

impl Plan {
    /// Reads the times of a schedule, or those at which its event is there at the latest. `None`: it has none.
    ///
    /// # Errors
    /// What is wrong with them, which was right when they were written.
    pub(super) fn of(id: Uuid, settings: &ScheduleSettings, calendars: &Calendars) -> Result<Option<Self>, NoPlan> {
        let awaits_event = settings.is_by_event();
        let read = match if awaits_event { &settings.latest } else { &settings.when } {
            None => return Ok(None),
            Some(latest) if awaits_event => read_latest(latest),
            Some(when) => When::from_str(when),
        };
        let when = read.map_err(|fault| NoPlan::Never(fault.detail))?;
        let no_zone = || NoPlan::Never(format!("there is no time zone {}", settings.zone));
        let zone = time_zone(&settings.zone).ok_or_else(no_zone)?;
        let when = when.by_calendar(calendars.of(settings.calendar.as_deref())?, settings.on_holiday);
        Ok(Some(Self {
            when,
            zone,
            starts_at: settings.starts_at,
            ends_at: settings.ends_at,
            catch_up: delta(settings.catch_up),
            offset: if awaits_event { PATIENCE } else { spread(id, settings.within) },
            awaits_event,
        }))
    }

    /// Returns the first time after a moment, the spread left out of both.
    fn after(&self, after: DateTime<Utc>) -> Option<NextFiring> {
        let instant = TimeDelta::microseconds(1);
        let after = self.starts_at.map_or(after, |starts_at| after.max(starts_at - instant));
        let found = self.when.next_after(after, self.zone)?;
        let in_time = self.ends_at.is_none_or(|ends_at| found.at <= ends_at);
        in_time.then_some(NextFiring { nominal: found.nominal, due: found.at + self.offset })
    }

    /// Returns the time after this one.
    pub(super) fn following(&self, one: NextFiring) -> Option<NextFiring> {
        self.after(one.due - self.offset)
    }

    /// Returns the first time of a schedule that is new, or goes on, at `now`: with a start in the past it catches up as it would have
    /// after an outage.
    pub(super) fn first(&self, now: DateTime<Utc>, is_new: bool) -> Option<NextFiring> {
        let from = match self.starts_at {
            Some(starts_at) if is_new && starts_at < now => {
                starts_at.max(now - self.catch_up) - TimeDelta::microseconds(1)
            }
            _ => now,
        };
        self.after(from)
    }

    /// Lists the next times from one on.
    pub(super) fn upcoming(&self, first: Option<NextFiring>, count: usize) -> Vec<NextFiring> {
        std::iter::successors(first, |one| self.following(*one)).take(count).collect()
    }

    /// Decides what becomes of a schedule that is due.
    pub(super) fn decide(&self, due: &DueSchedule) -> Decision {
        let (schedule, now) = (&due.schedule, due.now);
        let mut decision = Decision { records: Vec::new(), fire: None, next: schedule.next, waits: false };
        // What waits for the job of the one before is not late, nor is what came meanwhile.
        let waited = schedule.waiting;
        while let Some(one) = decision.next.filter(|one| one.due <= now) {
            if decision.records.len() >= MOST_RECORDS {
                return decision;
            }
            if self.awaits_event {
                if !self.has_come(&due.events, one) {
                    decision.record(one, FiringOutcome::Missed, "its event had not come by then");
                }
            } else if now - one.due > self.catch_up && !waited {
                decision.record(one, FiringOutcome::Missed, "later than the catch-up window allows");
            } else {
                match self.answer(schedule, due.last_job) {
                    _ if decision.fire.is_some() => {
                        // It came while another one waited.
                        if !waited {
                            return decision;
                        }
                        decision.record(one, FiringOutcome::Skipped, "came while another one waited");
                    }
                    NextStep::Fire => decision.fire = Some(one),
                    NextStep::Wait => {
                        decision.waits = true;
                        return decision;
                    }
                    NextStep::Skip => {
                        decision.record(one, FiringOutcome::Skipped, "the job of the one before has not ended");
                    }
                }
            }
            decision.next = self.following(one);
        }
        decision
    }

    /// Tells whether an event came on the day of a time, by the clock of the zone.
    fn has_come(&self, events: &[DateTime<Utc>], one: NextFiring) -> bool {
        events.iter().any(|at| shown(*at, self.zone).date() == one.nominal.date())
    }

    fn answer(&self, schedule: &Schedule, last_job: Option<JobState>) -> NextStep {
        let busy = last_job.is_some_and(|state| !state.is_final());
        match schedule.settings.overlap {
            Overlap::Skip if busy => NextStep::Skip,
            Overlap::QueueOne if busy => NextStep::Wait,
            Overlap::Skip | Overlap::QueueOne | Overlap::Allow => NextStep::Fire,
        }
    }

    /// Says when it fires, for people.
    pub(super) fn sentence(&self) -> String {
        let sentence = self.when.sentence();
        if self.awaits_event { format!("{BY_EVENT}, {sentence} at the latest") } else { sentence }
    }

    /// Returns a time as people know it, whose moment is that of the clock.
    pub(super) fn without_offset(&self, one: NextFiring) -> NextFiring {
        NextFiring { due: one.due - self.offset, ..one }
    }

    /// Tells whether it does not fire at its times, but waits for its event until then.
    pub(super) const fn awaits_event(&self) -> bool {
        self.awaits_event
    }
}

enum NextStep {
    Fire,
    Wait,
    Skip,
}

impl Decision {
    fn record(&mut self, one: NextFiring, outcome: FiringOutcome, detail: &str) {
        let NextFiring { nominal, due } = one;
        self.records.push(FiringRecord { nominal, due, outcome, detail: Some(detail.to_owned()) });
    }

    /// Returns the first and last of those that were missed, and how many.
    pub(super) fn missed(&self) -> Option<(NaiveDateTime, NaiveDateTime, u32)> {
        let missed = || self.records.iter().filter(|record| record.outcome == FiringOutcome::Missed);
        let (first, last) = (missed().next()?, missed().next_back()?);
        Some((first.nominal, last.nominal, u32::try_from(missed().count()).unwrap_or(u32::MAX)))
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// The same for one schedule each time, and evenly spread over schedules: made of the random part of its id.
fn spread(id: Uuid, within: Duration) -> TimeDelta {
    let (_, low) = id.as_u64_pair();
    let seconds = within.as_secs();
    // The two highest bits say which kind of UUID it is.
    let share = if seconds == 0 { 0 } else { (low & (u64::MAX >> 2)) % seconds };
    TimeDelta::seconds(i64::try_from(share).unwrap_or(0))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
