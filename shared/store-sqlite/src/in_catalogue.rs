//! Schedules that stand in the catalogue: which edition of each is in force, and who has it.

use diesel::SqliteConnection;
use uuid::Uuid;

use super::errors::{StatementResult, unreadable};
use super::sql::{Cells, earlier, now, sql};
use super::writer::Transaction;
use store::{CatalogueEdition, HoldTimes, InForce, SAY_ENDED_FOR};

/// Reads a place and its editions; `None`: somebody made the schedule.
pub(super) fn read_edition(
    place: Option<String>,
    editions: Option<String>,
) -> StatementResult<Option<CatalogueEdition>> {
    let (Some(place), Some(editions)) = (place, editions) else { return Ok(None) };
    let place = place.parse().map_err(unreadable)?;
    Ok(Some(CatalogueEdition { place, editions: serde_json::from_str(&editions).map_err(unreadable)? }))
}

/// Lists all of them.
pub(super) fn list(connection: &mut SqliteConnection, times: HoldTimes) -> StatementResult<Vec<InForce>> {
    let now = now(connection)?;
    // A clock that was set back makes what was said old, and not young for ever.
    let text = "select id, tenant, version, coalesce(held_at > ?2 and held_at <= ?1, 0), coalesce(held_at <= ?3 or held_at > ?1, 1), \
                updated_at > ?4, catalogue, editions from schedules where catalogue is not null order by tenant, catalogue";
    let found =
        sql!(text, now, earlier(now, times.held_for), earlier(now, times.say_again), earlier(now, SAY_ENDED_FOR));
    found.rows(connection, |cells: &mut Cells| {
        let (id, tenant, version) = (cells.id()?, cells.text()?, cells.integer()?);
        let (is_held, asks_again, is_new) = (cells.flag()?, cells.flag()?, cells.flag()?);
        let edition = read_edition(cells.maybe_text()?, cells.maybe_text()?)?;
        let edition = edition.ok_or_else(|| unreadable("a schedule of the catalogue has no edition"))?;
        let asks_again = asks_again && (is_new || !edition.is_ended());
        Ok(InForce { id, tenant, edition, version, is_held, asks_again })
    })
}

/// Says that somebody has what is in force.
pub(super) fn hold(transaction: &mut Transaction<'_>, ids: &[Uuid]) -> StatementResult<()> {
    let now = transaction.now;
    ids.iter().try_for_each(|id| {
        sql!("update schedules set held_at = ?2 where id = ?1", *id, now).run(transaction.connection).map(drop)
    })
}
