//! When it was said that the data of a schedule are there.

use chrono::{DateTime, Utc};
use diesel::SqliteConnection;

use super::errors::StatementResult;
use super::sql::{Cells, earlier, sql};
use model::schedule::Schedule;
use store::EVENTS_WITHIN;

/// Reads those on the day of its next nominal time and since, oldest first; none of what has no latest time.
pub(super) fn events_of(connection: &mut SqliteConnection, schedule: &Schedule) -> StatementResult<Vec<DateTime<Utc>>> {
    let Some(next) = schedule.next.filter(|_| schedule.settings.latest.is_some()) else { return Ok(Vec::new()) };
    let text = "select at from firings where schedule_id = ?1 and data_version is not null and at >= ?2 order by at";
    sql!(text, schedule.id, earlier(next.due, EVENTS_WITHIN)).rows(connection, Cells::time)
}
