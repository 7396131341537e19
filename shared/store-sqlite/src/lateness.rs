//! Jobs that take longer than was told: found by a partial index that holds nothing else, told once.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::SqliteStore;
use super::change::{DeliverySeed, deliver};
use super::errors::StatementResult;
use super::rows::bare_job;
use super::sql::{Cells, earlier, now, sql, to_json};
use super::writer::Transaction;
use model::delivery::{DeliveryEvent, Lateness};
use store::{LatenessStore, Result};

fn tell(transaction: &mut Transaction<'_>, id: Uuid, lateness: &Lateness) -> StatementResult<u32> {
    let text = concat!(
        "update jobs set late_at = null where id = ?1 and late_at is not null \
                and state in ",
        store::unfinished_states!(),
        ""
    );
    if sql!(text, id).run(transaction.connection)? == 0 {
        return Ok(0);
    }
    match bare_job(transaction.connection, id)? {
        Some(job) if job.sharing.withdrawn_at.is_none() => {
            let telling = DeliverySeed { event: DeliveryEvent::Late, seq: 0, told: Some(to_json(lateness)?) };
            deliver(transaction, &job, &telling)
        }
        _ => Ok(0),
    }
}

#[async_trait]
impl LatenessStore for SqliteStore {
    async fn late_jobs(&self, grace: Duration, limit: u32) -> Result<Vec<Uuid>> {
        let text = concat!(
            "select id from jobs where late_at < ?1 and late_at is not null \
                    and state in ",
            store::unfinished_states!(),
            " order by late_at limit ?2"
        );
        self.readers
            .read(move |connection| {
                let since = earlier(now(connection)?, grace);
                sql!(text, since, limit).rows(connection, Cells::id)
            })
            .await
    }

    async fn tell_late(&self, jobs: Vec<(Uuid, Lateness)>) -> Result<u32> {
        if jobs.is_empty() {
            return Ok(0);
        }
        self.writer
            .write(move |transaction| {
                jobs.iter().try_fold(0, |written, (id, lateness)| Ok(written + tell(transaction, *id, lateness)?))
            })
            .await
    }
}
