//! The machine's clock, and what to do when it is set. Whoever waits for a time goes on waiting as long as before.
//!
//! RunTimes in the file are those of the machine's wall clock, which may be set by hours, or stand still while a laptop sleeps.
//! Leases, retries and heartbeats mean durations: they are moved by what the clock jumped. A worker would be taken for dead
//! otherwise, or a retry would wait for an hour. What is shown to people, and what ends on a date, stays as it is.

use std::sync::{Arc, Weak};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection as _;

use super::errors::StatementResult;
use super::owner::Owner;
use super::sql::{now, sql};

/// A smaller difference to the monotonic clock is none: every lease is longer.
const JUMP: TimeDelta = TimeDelta::seconds(1);

/// Every time that something waits for, or is silent since.
const WAITING: [&str; 12] = [
    "update workers set heartbeat_at = heartbeat_at + ?1",
    "update jobs set next_attempt_at = next_attempt_at + ?1 where state = 'retrying'",
    concat!("update jobs set rung_at = rung_at + ?1 where state in ", store::waiting_states!()),
    "update jobs set late_at = late_at + ?1 where late_at is not null",
    // 0: nobody has it.
    "update outbox set leased_until = leased_until + ?1 where leased_until > 0",
    "update deliveries set next_attempt_at = next_attempt_at + ?1 where state = 'pending' and next_attempt_at is not null",
    "update deliveries set leased_until = leased_until + ?1 where state = 'sending'",
    "update deliveries set rung_at = rung_at + ?1 where state in ('pending', 'sending')",
    // A schedule that is not claimed is due at a time of the calendar.
    "update schedules set look_at = look_at + ?1 where look_at > next_due",
    "update schedules set held_at = held_at + ?1 where held_at is not null",
    "update firings set look_at = look_at + ?1 where look_at is not null",
    "update schedule_notices set due_at = due_at + ?1 where due_at is not null",
];

/// Compares the wall clock with the monotonic one, from transaction to transaction.
#[derive(Debug)]
pub(super) struct Clock {
    /// Gone with the store: whoever opens the file next may own it at once.
    owner: Weak<Owner>,
    /// Both clocks at the last commit.
    known: Option<ClockReading>,
    /// Both at the transaction under way.
    read: Option<ClockReading>,
}

type ClockReading = (DateTime<Utc>, Instant);

impl Clock {
    pub(super) fn new(owner: &Arc<Owner>) -> Self {
        Self { owner: Arc::downgrade(owner), known: None, read: None }
    }

    /// Reads the clocks, in a transaction that has just begun, and moves what waits if one has jumped. Only the process that owns
    /// the file does so: the jump is one, however many look at it.
    pub(super) fn look(&mut self, connection: &mut SqliteConnection) -> StatementResult<()> {
        let (wall, steady) = (now(connection)?, Instant::now());
        self.read = Some((wall, steady));
        let Some((known, since)) = self.known else { return Ok(()) };
        let passed = TimeDelta::from_std(steady - since).unwrap_or(TimeDelta::MAX);
        let jump = wall - known - passed;
        if jump.abs() < JUMP || !self.owner.upgrade().is_some_and(|owner| owner.owns()) {
            return Ok(());
        }
        tracing::warn!(seconds = jump.num_seconds(), "the clock was set; leases and retries are moved with it");
        move_by(connection, jump)
    }

    /// The transaction is committed.
    pub(super) fn keep(&mut self) {
        self.known = self.read.take().or(self.known);
    }
}

fn move_by(connection: &mut SqliteConnection, jump: TimeDelta) -> StatementResult<()> {
    connection.batch_execute("savepoint clock")?;
    let moved = WAITING
        .into_iter()
        .try_for_each(|text| sql!(text, jump.num_microseconds().unwrap_or(0)).run(connection).map(drop));
    connection.batch_execute(if moved.is_ok() { "release clock" } else { "rollback to clock; release clock" })?;
    moved
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::super::connect::{File, migrate};
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// A file with one worker that beat just now, and a clock that believes that `ahead` microseconds of the wall clock have gone by.
    fn after_a_jump(folder: &tempfile::TempDir, ahead: i64) -> (SqliteConnection, Clock, Arc<Owner>, i64) {
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let file = File::new(&url, Duration::from_secs(1)).unwrap();
        let mut connection = file.writer().unwrap();
        migrate(&mut connection).unwrap();
        let now = now(&mut connection).unwrap();
        let insert = "insert into workers values (zeroblob(16), 'h', 1, '[]', 1, ?1, ?1)";
        sql!(insert, now).run(&mut connection).unwrap();
        let owner = Arc::new(Owner::new(&file.path));
        let mut clock = Clock::new(&owner);
        clock.known = Some((now - TimeDelta::microseconds(ahead), Instant::now()));
        (connection, clock, owner, now.timestamp_micros())
    }

    fn last_beat(connection: &mut SqliteConnection) -> i64 {
        sql!("select heartbeat_at from workers").number(connection).unwrap()
    }

    #[test]
    fn what_waits_is_moved_by_a_jump_and_by_no_small_difference() {
        for (ahead, moved) in [(HOUR, true), (-HOUR, true), (500_000, false), (0, false)] {
            let folder = tempfile::tempdir().unwrap();
            let (mut connection, mut clock, owner, beat) = after_a_jump(&folder, ahead);
            owner.enter(Uuid::nil()).unwrap();
            clock.look(&mut connection).unwrap();
            let by = last_beat(&mut connection) - beat;
            let expected = if moved { ahead } else { 0 };
            assert!((by - expected).abs() < 1_000_000, "{ahead}: moved by {by}");
            clock.keep();
            let before = last_beat(&mut connection);
            clock.look(&mut connection).unwrap();
            assert_eq!(last_beat(&mut connection), before, "one jump is one");
        }
    }

    #[test]
    fn a_jump_whose_transaction_was_lost_is_seen_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut connection, mut clock, owner, beat) = after_a_jump(&folder, HOUR);
        owner.enter(Uuid::nil()).unwrap();
        connection.batch_execute("begin immediate").unwrap();
        clock.look(&mut connection).unwrap();
        connection.batch_execute("rollback").unwrap();
        assert_eq!(last_beat(&mut connection), beat);
        clock.look(&mut connection).unwrap();
        assert!(last_beat(&mut connection) > beat + HOUR / 2);
    }

    #[test]
    fn whoever_only_looks_into_the_file_moves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut connection, mut clock, _owner, beat) = after_a_jump(&folder, HOUR);
        clock.look(&mut connection).unwrap();
        assert_eq!(last_beat(&mut connection), beat);
    }
}
