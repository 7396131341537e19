//! What was used: counted in the statements that write jobs and settle them, read part by part, folded day by day.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;

use super::connection::Connection;
use super::rows::{CountRow, to_json};
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column, millis};
use model::job::NewJob;
use model::usage::{OF_PRINCIPAL, OF_REPORT, PART_SECONDS, Usage, UsagePart, UsageSubject};
use store::{MAX_USERS, Result, USAGE_SLOTS, UsageStore};

/// Counts what a part of a statement holds: one row a job with `tenant`, `principal` and `report`, and the counted columns. Always in
/// the order of the rows' names, so that no two transactions wait for each other in a circle; and last, after every lock on jobs.
macro_rules! count_usage {
    ($columns:literal, $sums:literal, $set:literal, $from:literal) => {
        concat!(
            "insert into usage_parts (tenant, subject, part, slot, ",
            $columns,
            ")
            select u.tenant, s.subject, to_timestamp(floor(extract(epoch from now()) / 900) * 900), pg_backend_pid() % 8, ",
            $sums,
            " from ",
            $from,
            " u cross join lateral (values (''), ('principal:' || u.principal), ('report:' || u.report)) s(subject)
            group by u.tenant, s.subject order by u.tenant, s.subject
            on conflict (tenant, subject, part, slot) do update set ",
            $set
        )
    };
}

/// The submits in a part of a statement.
macro_rules! count_submits {
    ($from:literal) => {
        $crate::usage::count_usage!(
            "jobs, recipients, links",
            "count(*), sum(json_array_length(u.notify::json)), sum(json_array_length(u.formats::json))",
            "jobs = usage_parts.jobs + excluded.jobs, recipients = usage_parts.recipients + excluded.recipients,
             links = usage_parts.links + excluded.links",
            $from
        )
    };
}

/// The jobs in a part of a statement that are done.
macro_rules! count_done {
    ($from:literal) => {
        $crate::usage::count_usage!(
            "rows, bytes",
            "least(sum(u.rows), 9223372036854775807), least(sum(u.bytes), 9223372036854775807)",
            "rows = usage_parts.rows + excluded.rows, bytes = usage_parts.bytes + excluded.bytes",
            $from
        )
    };
}
pub(super) use {count_done, count_submits, count_usage};

// The texts say 900 and 8.
const _: () = assert!(PART_SECONDS == 900 && USAGE_SLOTS == 8);

/// Jobs that were written before, in the same transaction.
const COUNT: &str = concat!(
    "with written as (
        select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
        as i(tenant, principal, report, notify, formats)
    ) ",
    count_submits!("written")
);

/// Counts jobs that were just written.
pub(super) async fn count_jobs(connection: &mut Connection, jobs: &[&NewJob]) -> StatementResult<()> {
    let notify = jobs.iter().map(|job| to_json(&job.notify)).collect::<StatementResult<Vec<_>>>()?;
    let formats = jobs.iter().map(|job| to_json(&job.formats)).collect::<StatementResult<Vec<_>>>()?;
    sql(COUNT)
        .bind::<Array<Text>, _>(column(jobs, |job| job.caller.tenant.as_str()))
        .bind::<Array<Text>, _>(column(jobs, |job| job.caller.principal.as_str()))
        .bind::<Array<Text>, _>(column(jobs, |job| job.report.as_str()))
        .bind::<Array<Text>, _>(notify)
        .bind::<Array<Text>, _>(formats)
        .execute(connection)
        .await?;
    Ok(())
}

macro_rules! sums {
    () => {
        "least(sum(jobs), 9223372036854775807)::bigint as jobs, least(sum(rows), 9223372036854775807)::bigint as rows,
         least(sum(bytes), 9223372036854775807)::bigint as bytes,
         least(sum(recipients), 9223372036854775807)::bigint as recipients,
         least(sum(links), 9223372036854775807)::bigint as links"
    };
}

const USAGE_OF: &str = concat!(
    "select part as since, ",
    sums!(),
    " from usage_parts where tenant = $1 and subject = $2 and part >= $3 group by part order by part"
);

/// Subjects of one kind lie between what they begin with and the next character.
const USAGE_BY: &str = concat!(
    "select subject, ",
    sums!(),
    " from usage_parts where tenant = $1 and subject >= $2 and subject < $3 and part >= $4
      group by subject order by sum(jobs) desc, subject limit $5"
);

/// A row of a day that has been folded stays as it is.
const FOLD: &str = "
    with gone as (
        delete from usage_parts where part >= $1 and part < $2 and (part > $1 or slot > 0)
        returning tenant, subject, jobs, rows, bytes, recipients, links
    ), folded as (
        insert into usage_parts (tenant, subject, part, slot, jobs, rows, bytes, recipients, links)
        select tenant, subject, $1, 0, sum(jobs), sum(rows), sum(bytes), sum(recipients), sum(links)
        from gone group by tenant, subject order by tenant, subject
        on conflict (tenant, subject, part, slot) do update
        set jobs = usage_parts.jobs + excluded.jobs, rows = usage_parts.rows + excluded.rows,
            bytes = usage_parts.bytes + excluded.bytes, recipients = usage_parts.recipients + excluded.recipients,
            links = usage_parts.links + excluded.links
        returning 1
    )
    select (select count(*) from gone) - (select count(*) from folded) as count";

const FORGET: &str = "delete from usage_parts where part < now() - $1 * interval '1 millisecond'";

#[derive(QueryableByName)]
struct UsageRow {
    #[diesel(sql_type = BigInt)]
    jobs: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    recipients: i64,
    #[diesel(sql_type = BigInt)]
    links: i64,
}

#[derive(QueryableByName)]
struct PartRow {
    #[diesel(sql_type = Timestamptz)]
    since: DateTime<Utc>,
    #[diesel(embed)]
    usage: UsageRow,
}

#[derive(QueryableByName)]
struct SubjectRow {
    #[diesel(sql_type = Text)]
    subject: String,
    #[diesel(embed)]
    usage: UsageRow,
}

impl From<UsageRow> for Usage {
    fn from(row: UsageRow) -> Self {
        let UsageRow { jobs, rows, bytes, recipients, links } = row;
        let [jobs, rows, bytes, recipients, links] = [jobs, rows, bytes, recipients, links].map(i64::unsigned_abs);
        Self { jobs, rows, bytes, recipients, links }
    }
}

impl PostgresStore {
    async fn usage_by(&self, tenant: &str, prefix: &'static str, since: DateTime<Utc>) -> Result<Vec<(String, Usage)>> {
        let tenant = tenant.to_owned();
        self.read(move |connection| {
            async move {
                let rows: Vec<SubjectRow> = sql(USAGE_BY)
                    .bind::<Text, _>(tenant)
                    .bind::<Text, _>(prefix)
                    .bind::<Text, _>(prefix.replace(':', ";"))
                    .bind::<Timestamptz, _>(since)
                    .bind::<BigInt, _>(i64::from(MAX_USERS))
                    .load(connection)
                    .await?;
                let name = |subject: &str| subject.strip_prefix(prefix).unwrap_or(subject).to_owned();
                Ok(rows.into_iter().map(|row| (name(&row.subject), row.usage.into())).collect())
            }
            .boxed()
        })
        .await
    }
}

#[async_trait]
impl UsageStore for PostgresStore {
    async fn usage_of(&self, tenant: &str, subject: &UsageSubject, since: DateTime<Utc>) -> Result<Vec<UsagePart>> {
        let (tenant, subject) = (tenant.to_owned(), subject.kept());
        self.read(move |connection| {
            async move {
                let rows: Vec<PartRow> = sql(USAGE_OF)
                    .bind::<Text, _>(tenant)
                    .bind::<Text, _>(subject)
                    .bind::<Timestamptz, _>(since)
                    .load(connection)
                    .await?;
                Ok(rows.into_iter().map(|row| UsagePart { since: row.since, usage: row.usage.into() }).collect())
            }
            .boxed()
        })
        .await
    }

    async fn usage_by_principal(&self, tenant: &str, since: DateTime<Utc>) -> Result<Vec<(String, Usage)>> {
        self.usage_by(tenant, OF_PRINCIPAL, since).await
    }

    async fn usage_by_report(&self, tenant: &str, since: DateTime<Utc>) -> Result<Vec<(String, Usage)>> {
        self.usage_by(tenant, OF_REPORT, since).await
    }

    async fn fold_usage(&self, starts: DateTime<Utc>, ends: DateTime<Utc>) -> Result<u64> {
        self.read(move |connection| {
            async move {
                let row: CountRow = sql(FOLD)
                    .bind::<Timestamptz, _>(starts)
                    .bind::<Timestamptz, _>(ends)
                    .get_result(connection)
                    .await?;
                Ok(row.count.unsigned_abs())
            }
            .boxed()
        })
        .await
    }

    async fn forget_usage(&self, age: Duration) -> Result<u64> {
        self.read(move |connection| {
            async move { Ok(sql(FORGET).bind::<BigInt, _>(millis(age)).execute(connection).await? as u64) }.boxed()
        })
        .await
    }
}
