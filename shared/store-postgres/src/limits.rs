//! Limits of runs at once: which bear on a job, and what is declared.

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Integer, Text};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;

use super::errors::{Failure, unreadable};
use super::running::running_on_worker;
use super::sql::sql;
use super::{PostgresStore, column};
use model::limits::{LimitKind, RunLimit};
use store::{LimitStore, Result};

/// The names of the limits that bear on a job of the table or alias `$job`, in their order. Where no limits are declared that is known
/// before any job is looked at.
macro_rules! limits_of {
    ($job:literal) => {
        concat!(
            "case when (select exists (select from run_limits where most is not null)) then array(
                select case when l.name = 'key:' || ",
            $job,
            ".report then 'key:' || ",
            $job,
            ".limit_key else l.name end
                from run_limits l
                where l.most is not null and (l.name <> 'key:' || ",
            $job,
            ".report or ",
            $job,
            ".limit_key is not null)
                  and l.name = any(array['tenant:' || ",
            $job,
            ".tenant, 'report:' || ",
            $job,
            ".report, 'key:' || ",
            $job,
            ".report,
                      case when ",
            $job,
            ".made_from is null
                           then 'source:' || (select v.source from report_versions v where v.version = ",
            $job,
            ".report_version) end])
                order by l.name
            ) else '{}'::text[] end"
        )
    };
}
pub(super) use limits_of;

/// The same of a job named by `changed`, or null where no limits are declared.
macro_rules! limits_of_ended {
    () => {
        concat!(
            "case when (select exists (select from run_limits where most is not null)) then
                (select ",
            $crate::limits::limits_of!("e"),
            " from jobs e where e.id = any(array[changed.id])) end"
        )
    };
}
pub(super) use limits_of_ended;

const DECLARED: &str = "select name, most from run_limits where most is not null order by name";

const FORGET: &str = "
    delete from run_limits l using (
        select name from run_limits
        where most is not null and split_part(name, ':', 1) = any($1) and name <> all($2) order by name for update
    ) f where l.name = f.name";

/// A limit that is new counts what runs already.
const DECLARE: &str = concat!(
    "insert into run_limits (name, most, holders)
     select n.name, n.most, array(
         select r.id from workers w cross join lateral ",
    running_on_worker!("j.id, j.tenant, j.report, j.report_version"),
    " r
         where not exists (select from run_limits l where l.name = n.name)
           and n.name in ('tenant:' || r.tenant, 'report:' || r.report,
                          'source:' || (select v.source from report_versions v where v.version = r.report_version)))
     from unnest($1::text[], $2::int[]) as n(name, most) order by n.name
     on conflict (name) do update set most = excluded.most, changed_at = now() where run_limits.most is distinct from excluded.most"
);

/// Values of keys of which nobody has run for an hour, and nobody waits.
const FORGET_VALUES: &str = "
    delete from run_limits l using (
        select name from run_limits v where most is null and changed_at < now() - interval '1 hour'
          and not exists (select from jobs j where j.set_aside = '=/report:' || v.name)
          and not exists (select from unnest(v.holders) h(id) join jobs j on j.id = any(array[h.id])
                          where j.state is not distinct from 'processing')
        order by changed_at limit 100 for update skip locked
    ) f where l.name = f.name";

#[derive(QueryableByName)]
struct LimitRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Integer)]
    most: i32,
}

#[async_trait]
impl LimitStore for PostgresStore {
    async fn declare_limits(&self, kinds: &[LimitKind], limits: &[RunLimit]) -> Result<()> {
        let mut wanted: Vec<RunLimit> = limits.to_vec();
        wanted.sort_by_key(|limit| limit.name.to_string());
        let known = self.limits().await?;
        let of_kinds = known.into_iter().filter(|limit| kinds.contains(&limit.name.kind));
        let mut known: Vec<RunLimit> = of_kinds.collect();
        known.sort_by_key(|limit| limit.name.to_string());
        if known == wanted {
            return Ok(());
        }
        let names = column(&wanted, |limit| limit.name.to_string());
        let most = column(&wanted, |limit| i32::try_from(limit.most).unwrap_or(i32::MAX));
        let kinds = column(kinds, |kind| kind.as_str());
        self.read(move |connection| {
            async move {
                connection
                    .transaction::<_, Failure, _>(async move |connection| {
                        let forget = sql(FORGET).bind::<Array<Text>, _>(kinds).bind::<Array<Text>, _>(names.clone());
                        forget.execute(connection).await?;
                        let declare = sql(DECLARE).bind::<Array<Text>, _>(names).bind::<Array<Integer>, _>(most);
                        declare.execute(connection).await?;
                        Ok(())
                    })
                    .await
            }
            .boxed()
        })
        .await?;
        self.fill_places().await?;
        Ok(())
    }

    async fn limits(&self) -> Result<Vec<RunLimit>> {
        self.read(|connection| {
            async move {
                let rows: Vec<LimitRow> = sql(DECLARED).load(connection).await?;
                let read = |row: LimitRow| {
                    Ok(RunLimit { name: row.name.parse().map_err(unreadable)?, most: row.most.unsigned_abs() })
                };
                rows.into_iter().map(read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn fill_places(&self) -> Result<u32> {
        let lines = self.lines_with_places().await?;
        let rung = self.ring_lines(&lines).await?;
        self.read(|connection| async move { Ok(sql(FORGET_VALUES).execute(connection).await?) }.boxed()).await?;
        Ok(rung)
    }
}
