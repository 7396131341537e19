//! Below what time nothing is left, for the queries that look again and again from the oldest on.
//!
//! Whatever has waited and waits no more leaves an entry in an index, which can be cleared only when the oldest transaction of the
//! whole cluster is younger. As long as one is held open, who starts at the low end walks over all of them. So each process
//! remembers how far down there was anything when it last looked, and looks from there.
//!
//! A time that is looked by is the beginning of the transaction that wrote it, and becomes visible at its commit. So a floor never
//! comes closer to now than a transaction of ours can last: the caller gives up after a statement's time, and the server ends what
//! still runs after another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use model::delivery::Channel;
use model::job::Lane;

/// What is looked for by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TimedLine {
    /// Pending jobs of a lane, by `rung_at`.
    Pending(Lane),
    /// Jobs that are due again, by `next_attempt_at`.
    Retrying,
    /// Unfinished deliveries of a channel, by `rung_at`.
    Deliveries(Channel),
    /// Outbox rows, by `leased_until`.
    Outbox,
    /// Schedules, by `look_at`.
    Schedules,
    /// Firings whose job has not ended, by `look_at`.
    Firings,
    /// Entries of the audit log that wait to be linked, by `at`.
    Audit,
}

/// The floors that this process knows. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Floors {
    known: Arc<Mutex<KnownFloors>>,
    /// How long after it began a transaction of ours may commit.
    longest: TimeDelta,
    /// How long a floor is believed.
    believed: Duration,
}

#[derive(Debug, Default)]
struct KnownFloors {
    floors: HashMap<TimedLine, Floor>,
    /// Newest database time that was heard.
    heard: Option<DateTime<Utc>>,
}

/// Below it nothing was left when all was last looked at.
#[derive(Debug, Clone, Copy)]
struct Floor {
    time: DateTime<Utc>,
    /// When all was looked at.
    looked: Instant,
}

/// A server that was frozen as a whole commits later than any time-out allows. What it did is found this much later at the latest.
const BELIEVED: Duration = Duration::from_secs(600);

/// Longer than this behind what was heard before: the database's clock was set.
const SET_BACK: TimeDelta = TimeDelta::milliseconds(500);

impl Floors {
    /// Knows nothing yet, so that the first look is at everything.
    pub(super) fn new(statement_timeout: Duration) -> Self {
        let longest = TimeDelta::from_std(longest_write(statement_timeout)).unwrap_or(TimeDelta::MAX);
        Self { known: Arc::default(), longest, believed: BELIEVED }
    }

    /// Returns the time below which nothing is left.
    pub(super) fn of(&self, line: TimedLine) -> DateTime<Utc> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let floor = known.floors.get(&line).filter(|floor| floor.looked.elapsed() < self.believed);
        floor.map_or(DateTime::UNIX_EPOCH, |floor| floor.time)
    }

    /// Takes in what a look at everything above the floor has found: the oldest there is, and database time.
    pub(super) fn raise(&self, line: TimedLine, oldest: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.heard.is_some_and(|heard| now < heard - SET_BACK) {
            // Times begin anew below all floors.
            known.floors.clear();
            known.heard = Some(now);
            return;
        }
        known.heard = Some(known.heard.map_or(now, |heard| heard.max(now)));
        let settled = now.checked_sub_signed(self.longest).unwrap_or(DateTime::UNIX_EPOCH);
        let time = oldest.map_or(settled, |oldest| oldest.min(settled));
        let before = known.floors.get(&line).map(|floor| floor.looked);
        let looked = before.filter(|looked| looked.elapsed() < self.believed).unwrap_or_else(Instant::now);
        known.floors.insert(line, Floor { time, looked });
    }
}

/// How long after it began a transaction of this version may commit: its caller gives up after a statement's time and a second,
/// and the server ends the statement that still runs after its time.
pub(super) fn longest_write(statement_timeout: Duration) -> Duration {
    statement_timeout * 2 + Duration::from_secs(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    const LINE: TimedLine = TimedLine::Pending(Lane::Bulk);

    #[test]
    fn a_floor_stays_below_the_oldest_and_below_what_may_still_commit() {
        let floors = Floors::new(Duration::from_secs(10));
        assert_eq!(floors.of(LINE), DateTime::UNIX_EPOCH);
        floors.raise(LINE, Some(at(7)), at(100));
        assert_eq!(floors.of(LINE), at(7));
        floors.raise(LINE, None, at(100));
        assert_eq!(floors.of(LINE), at(78), "a transaction lasts at most 22 seconds");
        floors.raise(LINE, Some(at(90)), at(101));
        assert_eq!((floors.of(LINE), floors.of(TimedLine::Outbox)), (at(79), DateTime::UNIX_EPOCH));
    }

    #[test]
    fn all_is_looked_at_once_in_a_while_whatever_was_raised() {
        let floors = Floors { believed: Duration::ZERO, ..Floors::new(Duration::from_secs(10)) };
        floors.raise(LINE, Some(at(7)), at(100));
        assert_eq!(floors.of(LINE), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_all_floors_with_it() {
        let floors = Floors::new(Duration::from_secs(10));
        floors.raise(LINE, None, at(1000));
        floors.raise(TimedLine::Outbox, None, at(1000));
        floors.raise(TimedLine::Outbox, None, at(400));
        assert_eq!((floors.of(LINE), floors.of(TimedLine::Outbox)), (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH));
        floors.raise(LINE, None, at(401));
        assert_eq!(floors.of(LINE), at(379));
    }
}
