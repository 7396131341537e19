//! A time on the wall becomes a moment.

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

/// One time at which a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// What the clock on the wall is to show, in the schedule's zone. It names the firing: no two of a schedule have the same.
    pub nominal: NaiveDateTime,
    /// The first moment at which the zone's clock shows that time or a later one.
    pub at: DateTime<Utc>,
}

/// No zone is further from Greenwich, nor moves its clocks by more than this: a day, where a border moved.
const FURTHEST: TimeDelta = TimeDelta::hours(50);

/// Returns the first moment at which a zone's clock shows `nominal` or a later time.
#[must_use]
pub fn moment_of(nominal: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    if let Some(first) = zone.from_local_datetime(&nominal).earliest() {
        return first.to_utc();
    }
    // The clocks skip it. Somewhere between there is the moment at which they do.
    let (mut before, mut after) = (nominal.and_utc() - FURTHEST, nominal.and_utc() + FURTHEST);
    while after - before > TimeDelta::seconds(1) {
        // To whole seconds, as clocks are moved.
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if shown(middle, zone) >= nominal { after = middle } else { before = middle }
    }
    after
}

/// Returns what a zone's clock shows at a moment.
#[must_use]
pub fn shown(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}
