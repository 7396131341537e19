//! Taking the jobs whose turn it is, in one statement, which passes over whatever somebody else is taking at the same moment.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::claim::taking;
use super::connection::Connection;
use super::effects::Effects;
use super::first_event::started;
use super::limits::limits_of;
use super::places::{WantedPlace, give_places};
use super::rows::{JobRow, job_columns};
use super::run::StatementResult;
use super::sql::sql;
use super::turn_memory::TurnKey;
use super::turn_view::TurnView;
use super::turns::set;
use super::{PostgresStore, column};
use model::job::{Job, Lane};
use model::transitions::ALONE_FROM_CRASHES;
use model::turns::next_turns;
use store::{Claimed, Result, TurnRules};

/// Principals that are named beyond those whose turn it is.
const SPARE: usize = 48;
/// So often somebody else's turn is looked for where those whose it was had too little.
const ROUNDS: u32 = 4;

/// `$1` a worker, `$2` to `$6` whose turn it is, and how many each, those first that are next, `$7` how many in all, `$8` the hints: of
/// those a run is noted under that are not among the taken, so that a message that comes again leads to the run it has started.
/// `$9` reports and versions that are paused, as [`TurnView::held`] writes them, and `$10` for what: their jobs are set aside on the way,
/// as if rung in the year 9999.
const TAKE: &str = concat!(
    "with me as materialized (
        select id from workers where id = $1 for key share
    ), head as materialized (
        select h.id, h.set_aside_for is not null as is_paused, h.set_aside_for,
               h.set_aside_for is null and cardinality(h.limits) > 0 as is_limited from unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
            as w(lane, tenant, principal, most, since)
        cross join lateral (
            select j.id, (
                       select min(l.label) from unnest($9::text[], $10::text[]) as l(held, label)
                       where l.held in ('/r/' || j.report, j.tenant || '/r/' || j.report,
                                        '/v/' || j.report_version, j.tenant || '/v/' || j.report_version)
                   ) as set_aside_for, ",
    limits_of!("j"),
    " as limits
            from jobs j
            where j.lane = w.lane and j.tenant = w.tenant and j.principal = w.principal and j.created_at >= w.since
              and j.state = 'pending' and j.leader_id is null and j.crashes < 2 and j.set_aside is null
            order by j.created_at limit w.most for no key update skip locked
        ) h
        where exists (select from me)
        limit $7
    ), aside as (
        update jobs j set set_aside = h.set_aside_for, rung_at = '9999-01-01'
        from head h where h.is_paused and j.id = any(array[h.id])
        returning j.id
    ), spare as (
        select hint, row_number() over () as place from unnest($8::uuid[]) as s(hint)
        where hint not in (select id from head where not is_paused and not is_limited)
    ), other as (
        select id, row_number() over () as place from head where not is_paused and not is_limited and id <> all($8::uuid[])
    ), free as materialized (
        select h.id, s.hint from head h left join other o on o.id = h.id left join spare s on s.place = o.place
        where not h.is_paused and not h.is_limited
    ), changed as (",
    taking!("$1", "free.hint", "from free where j.id = any(array[free.id])"),
    ", j.rung_by
    ), event as (
        insert into events (job_id, seq, tenant, principal, kind, state, attempt)
        select id, seq, tenant, principal, 'started', 'processing', attempt from changed where withdrawn_at is null
    )
    select *, null::text as artifacts, false as limited from changed
    union all
    select ",
    job_columns!(),
    ", null, null, true from head h join jobs j on j.id = any(array[h.id]) where h.is_limited"
);

// The texts say 2.
const _: () = assert!(ALONE_FROM_CRASHES == 2);

#[derive(QueryableByName)]
struct TakenRow {
    #[diesel(embed)]
    job: JobRow,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    rung_by: Option<Uuid>,
    /// It was not taken: its limits must be looked at.
    #[diesel(sql_type = Bool)]
    limited: bool,
}

/// What a statement has taken, and the jobs whose limits must be looked at.
#[derive(Debug, Default)]
struct TakenTurns {
    taken: Vec<(Job, Option<Uuid>)>,
    limited: Vec<Job>,
}

impl TakenTurns {
    fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.taken.iter().map(|(job, _)| job).chain(&self.limited)
    }

    fn count(&self) -> usize {
        self.taken.len() + self.limited.len()
    }
}

impl PostgresStore {
    /// Takes jobs of a lane for these doorbells, as many as there are whose turn it is.
    pub(super) async fn take_turns(
        &self,
        worker_id: Uuid,
        lane: Lane,
        mut left: Vec<(usize, Uuid)>,
        (view, rules): (&TurnView, &TurnRules),
        outcomes: &mut [Option<Claimed>],
    ) -> Result<()> {
        if !view.registered {
            for (place, _) in left {
                set(outcomes, place, Claimed::Unregistered);
            }
            return Ok(());
        }
        let mut without = HashSet::new();
        for _ in 0..ROUNDS {
            let tenants = view.tenants_of(lane, rules, &self.turns, &without);
            let count = u32::try_from(left.len()).unwrap_or(u32::MAX);
            let wanted: Vec<WantedTurn> = next_turns(&tenants, count, SPARE)
                .into_iter()
                .map(|turn| {
                    let key = TurnKey::new(lane, &turn.tenant, &turn.principal);
                    WantedTurn { since: self.turns.floor_of(&key), most: turn.count.into(), key }
                })
                .collect();
            if wanted.is_empty() || left.is_empty() {
                break;
            }
            let hints: Vec<Uuid> = left.iter().map(|(_, hint)| *hint).collect();
            let held = view.held();
            let asked = wanted.clone();
            let mut found =
                self.change(move |connection| take(connection, worker_id, asked, hints, held).boxed()).await?;
            self.note_short(&wanted, &found, left.len(), view, &mut without);
            self.give_places(worker_id, &left, &mut found).await?;
            for (job, rung_by) in found.taken {
                let hint = rung_by.unwrap_or(job.id);
                if let Some(at) = left.iter().position(|(_, of)| *of == hint) {
                    self.turns.began(&job);
                    set(outcomes, left.swap_remove(at).0, Claimed::Yes(Box::new(job)));
                }
            }
            if left.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Starts those of the limited that find places, for doorbells that nobody was taken for; the others are set aside.
    async fn give_places(&self, worker_id: Uuid, left: &[(usize, Uuid)], found: &mut TakenTurns) -> Result<()> {
        if found.limited.is_empty() {
            return Ok(());
        }
        let is_taken = |hint: &Uuid| found.taken.iter().any(|(job, by)| by.unwrap_or(job.id) == *hint);
        let mut hints: Vec<Uuid> = left.iter().map(|(_, hint)| *hint).filter(|hint| !is_taken(hint)).collect();
        // Whoever is rung for itself keeps its own doorbell.
        let (own, others): (Vec<&Job>, Vec<&Job>) = found.limited.iter().partition(|job| hints.contains(&job.id));
        hints.retain(|hint| own.iter().all(|job| job.id != *hint));
        let own = own.into_iter().map(|job| (job.id, job.id));
        let wanted: Vec<WantedPlace> = own
            .chain(others.into_iter().zip(hints).map(|(job, hint)| (job.id, hint)))
            .map(|(job_id, hint)| WantedPlace { job_id, rung_by: Some(hint), alone: false })
            .collect();
        let asked = wanted.clone();
        let mut given = self
            .change(move |connection| async move { give_places(connection, worker_id, &asked).await }.boxed())
            .await?;
        for one in wanted {
            if let Some(Claimed::Yes(job)) = given.remove(&one.job_id) {
                found.taken.push((*job, one.rung_by));
            }
        }
        Ok(())
    }

    /// Notes who had fewer jobs than were asked for: they are not asked again.
    fn note_short(
        &self,
        wanted: &[WantedTurn],
        taken: &TakenTurns,
        count: usize,
        view: &TurnView,
        without: &mut HashSet<TurnKey>,
    ) {
        let mut got: HashMap<TurnKey, (i64, DateTime<Utc>)> = HashMap::new();
        for job in taken.jobs() {
            let key = TurnKey::new(job.lane, &job.caller.tenant, &job.caller.principal);
            let (count, oldest) = got.entry(key).or_insert((0, job.created_at));
            (*count, *oldest) = (*count + 1, job.created_at.min(*oldest));
        }
        let last = wanted.iter().rposition(|one| got.contains_key(&one.key));
        for (place, one) in wanted.iter().enumerate() {
            let found = got.get(&one.key);
            let was_asked = taken.count() < count || last.is_some_and(|last| place < last);
            if was_asked && found.map_or(0, |found| found.0) < one.most {
                without.insert(one.key.clone());
                self.turns.seems_empty(one.key.clone());
            }
            // Where something was set aside on the way, others may wait behind it.
            let is_empty = was_asked && found.is_none() && view.held().is_empty();
            if let Some(oldest) = found.map(|found| found.1).or(is_empty.then_some(view.now)) {
                self.turns.raise_floor(one.key.clone(), oldest, view.now);
            }
        }
    }
}

#[derive(Debug, Clone)]
struct WantedTurn {
    key: TurnKey,
    most: i64,
    since: DateTime<Utc>,
}

async fn take(
    connection: &mut Connection,
    worker_id: Uuid,
    wanted: Vec<WantedTurn>,
    hints: Vec<Uuid>,
    held: Vec<(String, String)>,
) -> StatementResult<(TakenTurns, Effects)> {
    let count = i64::try_from(hints.len()).unwrap_or(i64::MAX);
    let rows: Vec<TakenRow> = sql(TAKE)
        .bind::<SqlUuid, _>(worker_id)
        .bind::<Array<Text>, _>(column(&wanted, |one| one.key.lane.as_str()))
        .bind::<Array<Text>, _>(column(&wanted, |one| one.key.tenant.as_str()))
        .bind::<Array<Text>, _>(column(&wanted, |one| one.key.principal.as_str()))
        .bind::<Array<BigInt>, _>(column(&wanted, |one| one.most))
        .bind::<Array<Timestamptz>, _>(column(&wanted, |one| one.since))
        .bind::<BigInt, _>(count)
        .bind::<Array<SqlUuid>, _>(hints)
        .bind::<Array<Text>, _>(column(&held, |(what, _)| what.as_str()))
        .bind::<Array<Text>, _>(column(&held, |(_, target)| target.as_str()))
        .load(connection)
        .await?;
    let mut effects = Effects::default();
    let mut found = TakenTurns::default();
    for row in rows {
        let (job, rung_by) = (row.job.into_job()?, row.rung_by);
        if row.limited { found.limited.push(job) } else { found.taken.push((job, rung_by)) }
    }
    let taken = &found.taken;
    effects
        .events
        .extend(taken.iter().map(|(job, _)| job).filter(|job| job.sharing.withdrawn_at.is_none()).map(started));
    effects.led.extend(taken.iter().map(|(job, _)| job).filter(|job| job.sharing.is_followed()).map(|job| job.id));
    Ok((found, effects))
}
