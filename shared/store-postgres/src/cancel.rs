//! Cancelling: at once where nobody else waits for the run; else only whoever submitted the job leaves it.

use diesel::QueryableByName;
use diesel::sql_types::{Bool, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use uuid::Uuid;

use super::audit::note_change;
use super::connection::Connection;
use super::effects::{EffectRow, Effects, with_effects};
use super::errors::Failure;
use super::jobs::{change_one, changed};
use super::run::StatementResult;
use super::sql::sql;
use model::audit::{Actor, AuditAct};
use model::job::Caller;
use store::Changed;

/// Who joins a job holds its row, and so does whoever cancels it: in between nobody comes or goes. The leader's row first, so
/// that nobody waits in a circle.
const LEADER: &str = "
    select leader_id as id, leader_id is not null as yes from jobs
    where id = $1 and tenant = $2 and principal = $3 and (leader_id is not null or joined is not null)";

const LOCK: &str = "select id, true as yes from jobs where id = $1 for no key update";

/// A job whose run others wait for is withdrawn: its event says that it is cancelled, its row goes on.
const CANCEL: &str = with_effects!(
    concat!("with followed as materialized (
        select exists (select from jobs f where f.leader_id = $1 and f.state in ", store::unfinished_states!(), ") as yes
    ), changed as (
        update jobs j
        set state = case when followed.yes then j.state else 'cancelled' end,
            set_aside = case when followed.yes then j.set_aside end,
            worker_id = case when followed.yes then j.worker_id end,
            next_attempt_at = case when followed.yes then j.next_attempt_at end,
            finished_at = case when followed.yes then null else now() end,
            withdrawn_at = case when followed.yes then now() end,
            seq = j.seq + 1
        from followed
        where j.id = $1 and j.tenant = $2 and j.principal = $3 and j.state in ", store::unfinished_states!(), "
          and j.withdrawn_at is null
        returning j.id, j.seq, j.tenant, j.principal, 'cancelled' as kind, 'cancelled' as state, j.attempt,
                  null::json as event_error, null::timestamptz as next_attempt_at, j.notify, j.lane, j.report, j.traceparent,
                  null::bigint as delay_ms, false as ring, false as led, false as quiet, j.leader_id, null::json as refused
    )")
);

/// Ends the run of a job that was withdrawn, when the last one who waited for it has gone.
const ABANDON: &str = with_effects!(
    concat!("with changed as (
        update jobs j
        set state = 'cancelled', set_aside = null, worker_id = null, next_attempt_at = null, finished_at = now()
        where j.id = $1 and j.withdrawn_at is not null and j.state in ", store::unfinished_states!(), "
          and not exists (select from jobs f where f.leader_id = j.id and f.state in ", store::unfinished_states!(), ")
        returning j.id, j.seq, j.tenant, j.principal, 'cancelled' as kind, j.state, j.attempt, null::json as event_error,
                  j.next_attempt_at, j.notify, j.lane, j.report, j.traceparent, null::bigint as delay_ms, false as ring,
                  false as led, true as quiet, j.leader_id, null::json as refused
    )")
);

#[derive(QueryableByName)]
struct FoundRow {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    id: Option<Uuid>,
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// Cancels a job of the caller's.
pub(super) async fn cancel(
    connection: &mut Connection,
    id: Uuid,
    caller: Caller,
    by: Option<Actor>,
) -> StatementResult<(Changed, Effects)> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let shared: Vec<FoundRow> = sql(LEADER)
                .bind::<SqlUuid, _>(id)
                .bind::<Text, _>(caller.tenant.as_str())
                .bind::<Text, _>(caller.principal.as_str())
                .load(connection)
                .await?;
            let shared = shared.into_iter().next();
            let leader = shared.as_ref().filter(|found| found.yes).and_then(|found| found.id);
            if shared.is_some() {
                let _locked: Vec<FoundRow> =
                    sql(LOCK).bind::<SqlUuid, _>(leader.unwrap_or(id)).load(connection).await?;
            }
            let mut effects = change_one(connection, CANCEL, id, &caller).await?;
            let outcome = changed(connection, id, &caller, &effects).await?;
            note_change(connection, AuditAct::JobCancelled, &outcome, by.as_ref()).await?;
            if let Some(leader) = leader {
                let rows: Vec<EffectRow> = sql(ABANDON).bind::<SqlUuid, _>(leader).load(connection).await?;
                effects.append(Effects::read(rows)?);
            }
            Ok((outcome, effects))
        })
        .await
}
