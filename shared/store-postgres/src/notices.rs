//! What the people of schedules are told beside their reports: one row a recipient.

use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::connection::Connection;
use super::rows::to_json;
use super::run::StatementResult;
use super::schedule_rows::NoticeRow;
use super::sql::sql;
use super::{column, millis};
use model::job::Caller;
use model::schedule::NewNotice;
use store::NoticeEnding;

const WRITE: &str = "
    insert into schedule_notices (id, schedule_id, tenant, kind, text, recipient)
    select id, schedule_id, tenant, kind, text::json, recipient::json
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
        as n(id, schedule_id, tenant, kind, text, recipient)";

const CLAIM: &str = "
    with due as materialized (
        select id from schedule_notices where due_at <= now() order by due_at, id limit $1 for update skip locked
    )
    update schedule_notices n set due_at = now() + $2 * interval '1 millisecond', attempt = n.attempt + 1
    from due where n.id = any(array[due.id])
    returning n.id, n.schedule_id, n.tenant, n.kind, n.text::text as text, n.recipient::text as recipient, n.attempt, n.created_at";

/// `$3`: it was sent. `$5`: after how long it is due again.
const SETTLE: &str = "
    update schedule_notices set error = $4, sent_at = case when $3 = 'sent' then now() end,
        due_at = now() + $5 * interval '1 millisecond'
    where id = $1 and attempt = $2 and due_at is not null";

/// Writes one row for each recipient of each notice.
pub(super) async fn write(connection: &mut Connection, told: &[(Uuid, &Caller, &NewNotice)]) -> StatementResult<()> {
    let mut rows = Vec::new();
    for (schedule_id, owner, notice) in told {
        let text = to_json(&notice.text)?;
        for to in &notice.to {
            rows.push((*schedule_id, owner.tenant.as_str(), notice.kind.as_str(), text.clone(), to_json(to)?));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    sql(WRITE)
        .bind::<Array<SqlUuid>, _>(column(&rows, |_| Uuid::now_v7()))
        .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.0))
        .bind::<Array<Text>, _>(column(&rows, |row| row.1))
        .bind::<Array<Text>, _>(column(&rows, |row| row.2))
        .bind::<Array<Text>, _>(column(&rows, |row| row.3.as_str()))
        .bind::<Array<Text>, _>(column(&rows, |row| row.4.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn claim(connection: &mut Connection, limit: u32, lease: Duration) -> StatementResult<Vec<NoticeRow>> {
    let statement = sql(CLAIM).bind::<BigInt, _>(i64::from(limit)).bind::<BigInt, _>(millis(lease));
    Ok(statement.load(connection).await?)
}

pub(super) async fn settle(
    connection: &mut Connection,
    id: Uuid,
    attempt: i32,
    ending: NoticeEnding,
) -> StatementResult<bool> {
    let (state, error, again) = match ending {
        NoticeEnding::Sent => ("sent", None, None),
        NoticeEnding::RetryLater(why, again) => ("due", Some(why), Some(millis(again))),
        NoticeEnding::Failed(why) => ("failed", Some(why), None),
    };
    let settled = sql(SETTLE)
        .bind::<SqlUuid, _>(id)
        .bind::<Integer, _>(attempt)
        .bind::<Text, _>(state)
        .bind::<Nullable<Text>, _>(error)
        .bind::<Nullable<BigInt>, _>(again)
        .execute(connection)
        .await?;
    Ok(settled > 0)
}
