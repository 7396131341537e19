//! What the people of schedules are told beside their reports: one row a recipient.

use std::time::Duration;

use uuid::Uuid;

use super::errors::StatementResult;
use super::sql::{Cells, later, sql, to_json};
use super::writer::Transaction;
use model::schedule::{NewNotice, Notice, Schedule};
use store::NoticeEnding;

fn read_notice(cells: &mut Cells) -> StatementResult<Notice> {
    Ok(Notice {
        id: cells.id()?,
        schedule_id: cells.id()?,
        tenant: cells.text()?,
        kind: cells.name()?,
        text: cells.json()?,
        to: cells.json()?,
        attempt: cells.small()?,
        created_at: cells.time()?,
    })
}

/// Writes one row for each recipient.
pub(super) fn write(transaction: &mut Transaction<'_>, schedule: &Schedule, notice: &NewNotice) -> StatementResult<()> {
    for to in &notice.to {
        sql!(
            "insert into schedule_notices (id, schedule_id, tenant, kind, text, recipient, created_at, due_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            Uuid::now_v7(),
            schedule.id,
            &schedule.owner.tenant,
            notice.kind.as_str(),
            to_json(&notice.text)?,
            to_json(to)?,
            transaction.now,
        )
        .run(transaction.connection)?;
    }
    Ok(())
}

pub(super) fn claim(transaction: &mut Transaction<'_>, limit: u32, lease: Duration) -> StatementResult<Vec<Notice>> {
    let text = "select id, schedule_id, tenant, kind, text, recipient, attempt + 1, created_at from schedule_notices \
                where due_at is not null and due_at <= ?1 order by due_at, id limit ?2";
    let due = sql!(text, transaction.now, limit).rows(transaction.connection, read_notice)?;
    for notice in &due {
        let text = "update schedule_notices set due_at = ?2, attempt = attempt + 1 where id = ?1";
        sql!(text, notice.id, later(transaction.now, lease)).run(transaction.connection)?;
    }
    Ok(due)
}

pub(super) fn settle(
    transaction: &mut Transaction<'_>,
    id: Uuid,
    attempt: i32,
    ending: &NoticeEnding,
) -> StatementResult<bool> {
    let now = transaction.now;
    let (sent_at, error, again) = match ending {
        NoticeEnding::Sent => (Some(now), None, None),
        NoticeEnding::RetryLater(why, again) => (None, Some(why.as_str()), Some(later(now, *again))),
        NoticeEnding::Failed(why) => (None, Some(why.as_str()), None),
    };
    let text = "update schedule_notices set error = ?3, sent_at = ?4, due_at = ?5 \
                where id = ?1 and attempt = ?2 and due_at is not null";
    Ok(sql!(text, id, attempt, error, sent_at, again).run(transaction.connection)? == 1)
}
