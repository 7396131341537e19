//! Schedules that stand in the catalogue: which edition of each is in force, and who has it.

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::connection::Connection;
use super::errors::unreadable;
use super::millis;
use super::run::StatementResult;
use super::sql::sql;
use store::{CatalogueEdition, HoldTimes, InForce, SAY_ENDED_FOR};

const LIST: &str = "
    select s.id, s.tenant, s.version, s.catalogue, s.editions,
           coalesce(s.held_at > now() - $1 * interval '1 millisecond', false) as is_held,
           coalesce(s.held_at <= now() - $2 * interval '1 millisecond', true) as asks_again,
           s.updated_at > now() - $3 * interval '1 millisecond' as is_new
    from schedules s where s.catalogue is not null order by s.tenant, s.catalogue";

/// In the order of the ids, as everybody who locks several of them; whoever is in the way says something newer.
const HOLD: &str = "
    with held as materialized (select id from schedules where id = any($1) order by id for update skip locked)
    update schedules s set held_at = now() from held where s.id = any(array[held.id])";

#[derive(QueryableByName)]
struct InForceRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Text)]
    catalogue: String,
    #[diesel(sql_type = Text)]
    editions: String,
    #[diesel(sql_type = Bool)]
    is_held: bool,
    #[diesel(sql_type = Bool)]
    asks_again: bool,
    #[diesel(sql_type = Bool)]
    is_new: bool,
}

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
pub(super) async fn list(connection: &mut Connection, times: HoldTimes) -> StatementResult<Vec<InForce>> {
    let rows: Vec<InForceRow> = sql(LIST)
        .bind::<BigInt, _>(millis(times.held_for))
        .bind::<BigInt, _>(millis(times.say_again))
        .bind::<BigInt, _>(millis(SAY_ENDED_FOR))
        .load(connection)
        .await?;
    let read = |row: InForceRow| {
        let edition = read_edition(Some(row.catalogue), Some(row.editions))?;
        let edition = edition.ok_or_else(|| unreadable("a schedule of the catalogue has no edition"))?;
        let asks_again = row.asks_again && (row.is_new || !edition.is_ended());
        let InForceRow { id, tenant, version, is_held, .. } = row;
        Ok(InForce { id, tenant, edition, version, is_held, asks_again })
    };
    rows.into_iter().map(read).collect()
}

/// Says that somebody has what is in force.
pub(super) async fn hold(connection: &mut Connection, ids: Vec<Uuid>) -> StatementResult<()> {
    sql(HOLD).bind::<Array<SqlUuid>, _>(ids).execute(connection).await?;
    Ok(())
}
