//! How long runs took, and who is in line.

use async_trait::async_trait;
use diesel::SqliteConnection;

use super::SqliteStore;
use super::errors::StatementResult;
use super::rows::read_caller;
use super::sql::{self, Cells, earlier, sql};
use model::forecast::{FinishedRun, RunKey};
use model::job::Lane;
use store::{ForecastStore, QueuePage, QueuePart, QueueStatus, QueuedJob, Result, RunTimes, RunsQuery};

fn read_run(cells: &mut Cells) -> StatementResult<FinishedRun> {
    let run_key = RunKey::of(&cells.text()?, &cells.text()?, &cells.text()?);
    let rows = cells.count()?;
    let times = RunTimes {
        created_at: cells.time()?,
        started_at: cells.time()?,
        finished_at: cells.time()?,
        attempt: cells.small()?,
        lost: cells.small()?,
    };
    let (waited_ms, took_ms, total_ms) = times.spans();
    let forecast = cells.maybe_json()?;
    Ok(FinishedRun { run_key, rows, waited_ms, took_ms, total_ms, forecast, finished_at: times.finished_at })
}

fn runs(connection: &mut SqliteConnection, of: &RunsQuery, limit: u32) -> StatementResult<Vec<FinishedRun>> {
    let text = "select report_version, params, formats, rows_read, created_at, started_at, finished_at, attempt, \
                errors + crashes + interruptions, forecast from jobs \
                where tenant = ?1 and report = ?2 and state = 'done' and finished_at > ?3 and started_at >= created_at \
                and leader_id is null and made_from is null order by finished_at desc, id desc limit ?4";
    let after = of.after.map_or(i64::MIN, |after| after.timestamp_micros());
    let mut runs = sql!(text, &of.tenant, &of.report, after, limit).rows(connection, read_run)?;
    runs.reverse();
    Ok(runs)
}

fn read_in_line(cells: &mut Cells) -> StatementResult<QueuedJob> {
    Ok(QueuedJob {
        id: cells.id()?,
        caller: read_caller(cells)?,
        report: cells.text()?,
        lane: cells.name()?,
        run_key: RunKey::of(&cells.text()?, &cells.text()?, &cells.text()?),
        attempt: cells.small()?,
        started_at: cells.maybe_time()?,
        made_from: cells.maybe_id()?,
    })
}

fn line(connection: &mut SqliteConnection, limit: u32) -> StatementResult<QueueStatus> {
    let mut waiting = Vec::new();
    for lane in Lane::ALL {
        let text = "select id, tenant, principal, report, lane, report_version, params, formats, attempt, null, made_from \
                    from jobs where state = 'pending' and lane = ?1 and leader_id is null and set_aside is null order by rung_at, id limit ?2";
        waiting.append(&mut sql!(text, lane.as_str(), limit).rows(connection, read_in_line)?);
    }
    let text = "select id, tenant, principal, report, lane, report_version, params, formats, attempt, started_at, made_from \
                from jobs where state = 'processing' and leader_id is null limit ?1";
    let running = sql!(text, limit).rows(connection, read_in_line)?;
    let now = sql::now(connection)?;
    let mut slots: Vec<(Lane, u32)> = Lane::ALL.into_iter().map(|lane| (lane, 0)).collect();
    let text = "select lanes, concurrency from workers where heartbeat_at > ?1";
    let read = |cells: &mut Cells| Ok((cells.json::<Vec<Lane>>()?, cells.integer()?));
    for (lanes, concurrency) in sql!(text, earlier(now, SILENT)).rows(connection, read)? {
        let more = u32::try_from(concurrency).unwrap_or_default();
        for (_, slots) in slots.iter_mut().filter(|(lane, _)| lanes.contains(lane)) {
            *slots = slots.saturating_add(more);
        }
    }
    slots.retain(|(_, slots)| *slots > 0);
    Ok(QueueStatus { now, waiting, running, slots })
}

/// A page of a lane's queue. Where it is full, those that were rung in its last moment are left to the next page, which begins there.
/// Unless it holds nothing else.
fn count_page(
    connection: &mut SqliteConnection,
    lane: Lane,
    part: QueuePart,
    limit: u32,
) -> StatementResult<QueuePage> {
    let text = "select rung_at from jobs where state = 'pending' and lane = ?1 and leader_id is null and set_aside is null \
                and rung_at > ?2 and rung_at <= ?3 order by rung_at limit ?4";
    let after = part.after.map_or(i64::MIN, |after| after.timestamp_micros());
    let until = part.until.map_or(i64::MAX, |until| until.timestamp_micros());
    let mut rung = sql!(text, lane.as_str(), after, until, limit).rows(connection, Cells::time)?;
    let full = rung.len() >= limit as usize;
    if let (Some(first), Some(last)) = (rung.first().copied(), rung.last().copied())
        && full
        && first < last
    {
        rung.retain(|at| *at < last);
    }
    Ok(QueuePage { count: rung.len() as u64, until: rung.last().copied(), full })
}

/// A worker that was silent for this long runs nothing new.
const SILENT: std::time::Duration = std::time::Duration::from_secs(5);

#[async_trait]
impl ForecastStore for SqliteStore {
    async fn finished_runs(&self, of: Vec<RunsQuery>, limit: u32) -> Result<Vec<Vec<FinishedRun>>> {
        self.readers.read(move |connection| of.iter().map(|of| runs(connection, of, limit)).collect()).await
    }

    async fn queue_status(&self, limit: u32) -> Result<QueueStatus> {
        self.readers.read(move |connection| line(connection, limit)).await
    }
    async fn count_waiting(&self, lane: Lane, part: QueuePart, limit: u32) -> Result<QueuePage> {
        self.readers.read(move |connection| count_page(connection, lane, part, limit)).await
    }
}
