//! Claiming by turn: a doorbell starts the job whose turn it is. Looked up first, decided by [`model::turns`], then taken in one
//! statement, which passes over whatever somebody else is taking at the same moment.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::running::running_on_worker;
use super::sql::sql;
use super::turn_memory::TurnKey;
use super::turn_rows;
use super::turn_view::{HintStanding, TurnView};
use super::{PostgresStore, column};
use model::job::{JobState, Lane};
use model::transitions::ALONE_FROM_CRASHES;
use store::{ClaimRequest, Claimed, Result, TurnRequest, TurnRules, TurnStore};

/// The runs that doorbells have started, by the job they were rung for. Few messages come twice.
const RUNS: &str = concat!(
    "select r.id, r.rung_by from workers w cross join lateral ",
    running_on_worker!("j.id, j.rung_by"),
    " r where r.rung_by = any($1)"
);

/// Sets hints aside that are pending and paused. `$2` what for.
const SET_ASIDE: &str = "
    with waiting as materialized (
        select j.id, i.set_aside_for from unnest($1::uuid[], $2::text[]) as i(id, set_aside_for)
        join jobs j on j.id = any(array[i.id]) where j.state = 'pending' order by j.id for no key update of j
    )
    update jobs j set set_aside = w.set_aside_for, rung_at = '9999-01-01' from waiting w where j.id = any(array[w.id])";

#[derive(QueryableByName)]
struct RungRunRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    rung_by: Uuid,
}

#[async_trait]
impl TurnStore for PostgresStore {
    async fn claim_turns(
        &self,
        worker_id: Uuid,
        requests: Vec<TurnRequest>,
        rules: &TurnRules,
    ) -> Result<Vec<Claimed>> {
        let mut outcomes: Vec<Option<Claimed>> = requests.iter().map(|_| None).collect();
        let mut by_name = self.find_runs(worker_id, &requests, &mut outcomes).await?;
        let view = self.look(worker_id, &requests, &outcomes).await?;
        let mut turns = Vec::new();
        let mut aside = Vec::new();
        let mut missing = HashSet::new();
        for (place, request) in requests.iter().enumerate() {
            if !is_open(&outcomes, place) || by_name.iter().any(|(named, _)| *named == place) {
                continue;
            }
            let Some(hint) = view.hint(request.hint) else {
                turns.push(place);
                continue;
            };
            if hint.unlisted {
                missing.insert(hint.key());
            }
            match judge(hint, &view) {
                Judged::ByName(alone) => by_name.push((place, ClaimRequest { alone, ..named(request) })),
                Judged::SetAside(target) => {
                    aside.push((request.hint, target));
                    set(&mut outcomes, place, Claimed::Paused);
                }
                Judged::Answer(answer) => set(&mut outcomes, place, answer),
                Judged::Turn => turns.push(place),
            }
            self.turns.lower_floor(&hint.key(), hint.created_at);
        }
        self.claim_named(worker_id, by_name, &mut outcomes).await?;
        self.prepare_turns(missing.into_iter().collect(), aside).await?;
        let hints: HashMap<usize, Uuid> = turns.iter().filter_map(|p| Some((*p, requests.get(*p)?.hint))).collect();
        for lane in Lane::ALL {
            let of_lane: Vec<usize> =
                turns.iter().copied().filter(|p| requests.get(*p).is_some_and(|one| one.lane == lane)).collect();
            if !of_lane.is_empty() {
                let left = of_lane.iter().filter_map(|place| Some((*place, *hints.get(place)?))).collect();
                self.take_turns(worker_id, lane, left, (&view, rules), &mut outcomes).await?;
            }
        }
        // Nobody's turn gave these a job: theirs is looked at itself, and says how it stands.
        let rest = turns.into_iter().filter(|place| is_open(&outcomes, *place));
        let rest = rest.filter_map(|place| Some((place, named(requests.get(place)?)))).collect();
        self.claim_named(worker_id, rest, &mut outcomes).await?;
        self.write_turns().await;
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Claimed::Gone)).collect())
    }
}

pub(super) fn is_open(outcomes: &[Option<Claimed>], place: usize) -> bool {
    outcomes.get(place).is_some_and(Option::is_none)
}

pub(super) fn set(outcomes: &mut [Option<Claimed>], place: usize, answer: Claimed) {
    if let Some(outcome) = outcomes.get_mut(place) {
        *outcome = Some(answer);
    }
}

fn named(request: &TurnRequest) -> ClaimRequest {
    ClaimRequest { job_id: request.hint, redelivered: request.redelivered, alone: false }
}

/// What a hint is good for.
enum Judged {
    /// It is meant itself.
    ByName(bool),
    /// It waits for something that is paused.
    SetAside(String),
    /// It can be answered at once.
    Answer(Claimed),
    /// It stands for a turn of its lane.
    Turn,
}

fn judge(hint: &HintStanding, view: &TurnView) -> Judged {
    let pause = view.pause_of(hint);
    match hint.state {
        _ if hint.follows => Judged::Turn,
        JobState::Pending if hint.set_aside && pause.is_some() => Judged::Answer(Claimed::Paused),
        JobState::Pending => match pause {
            Some(target) => Judged::SetAside(target),
            None if hint.crashes >= ALONE_FROM_CRASHES => Judged::ByName(false),
            None => Judged::Turn,
        },
        // The sweeper rings again for it.
        JobState::Retrying if pause.is_some() && hint.due_ms == Some(0) => Judged::Answer(Claimed::Paused),
        JobState::Retrying => Judged::ByName(false),
        JobState::Processing | JobState::Done | JobState::Failed | JobState::Cancelled => Judged::Turn,
    }
}

impl PostgresStore {
    /// Messages that were delivered before may have started a run: of the hint, or of another job in its place. Returns those that are
    /// to be asked for by name.
    async fn find_runs(
        &self,
        worker_id: Uuid,
        requests: &[TurnRequest],
        outcomes: &mut [Option<Claimed>],
    ) -> Result<Vec<(usize, ClaimRequest)>> {
        let again: Vec<Uuid> =
            requests.iter().filter(|one| one.redelivered || one.in_doubt).map(|one| one.hint).collect();
        if again.is_empty() {
            return Ok(Vec::new());
        }
        let runs: Vec<RungRunRow> = self
            .read(move |connection| {
                async move { Ok(sql(RUNS).bind::<Array<SqlUuid>, _>(again).load(connection).await?) }.boxed()
            })
            .await?;
        let mut named = Vec::new();
        for (place, request) in requests.iter().enumerate().filter(|(_, one)| one.redelivered || one.in_doubt) {
            let run = runs.iter().find(|run| run.rung_by == request.hint).map_or(request.hint, |run| run.id);
            let job = store::JobStore::job_by_id(self, run).await?;
            let Some(job) = job.filter(|job| job.state == JobState::Processing) else { continue };
            if job.worker_id != Some(worker_id) {
                if request.redelivered {
                    named.push((place, ClaimRequest { job_id: run, redelivered: true, alone: false }));
                }
            } else if request.in_doubt {
                set(outcomes, place, Claimed::Yes(Box::new(job)));
            } else if run != request.hint {
                set(outcomes, place, Claimed::Held);
            }
        }
        Ok(named)
    }

    async fn claim_named(
        &self,
        worker_id: Uuid,
        named: Vec<(usize, ClaimRequest)>,
        outcomes: &mut [Option<Claimed>],
    ) -> Result<()> {
        if named.is_empty() {
            return Ok(());
        }
        let answers = self.claim_batch(worker_id, column(&named, |(_, request)| *request)).await?;
        for ((place, _), answer) in named.into_iter().zip(answers) {
            set(outcomes, place, answer);
        }
        Ok(())
    }

    /// Lists who waits and is not listed, and sets hints aside.
    async fn prepare_turns(&self, mut missing: Vec<TurnKey>, aside: Vec<(Uuid, String)>) -> Result<()> {
        if missing.is_empty() && aside.is_empty() {
            return Ok(());
        }
        missing.sort();
        self.read(move |connection| {
            async move {
                turn_rows::list(connection, &missing).await?;
                if !aside.is_empty() {
                    sql(SET_ASIDE)
                        .bind::<Array<SqlUuid>, _>(column(&aside, |(id, _)| *id))
                        .bind::<Array<Text>, _>(column(&aside, |(_, target)| target.as_str()))
                        .execute(connection)
                        .await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// Writes what was used, once in a while. What cannot be written now is written with the next.
    async fn write_turns(&self) {
        let Some(due) = self.turns.due() else { return };
        let due = std::sync::Arc::new(due);
        let written = std::sync::Arc::clone(&due);
        let outcome =
            self.read(move |connection| async move { turn_rows::write(connection, &written).await }.boxed()).await;
        if let Err(error) = outcome {
            tracing::warn!(%error, "it could not be written who has used what of a lane");
            if let Some(due) = std::sync::Arc::into_inner(due) {
                self.turns.put_back(due);
            }
        }
    }
}
