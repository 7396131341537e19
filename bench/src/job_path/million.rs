//! What a caller and an operator ask while a million jobs wait, beside the same while none does.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::figures::{median, ms, percentile, print, say};
use crate::load::{self, Connection, Request};
use crate::stack::Stack;

const WAITING: i64 = 1_000_000;
const ASKED: usize = 100;
const SUBMITS: usize = 4_000;
/// Jobs of a report of its own that wait among the others, and dead letters.
const FEW: i64 = 60;

/// What was seen of one table size.
struct AskedTimes {
    submit_p99: f64,
    list: f64,
    dead_letters: f64,
    job: f64,
    position: Option<f64>,
}

/// Asks with an empty queue and with a full one, in one run.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    stack.clear().await?;
    fill(stack, 0).await?;
    let empty = ask(stack).await?;
    say(&format!("writing {WAITING} jobs"));
    stack.clear().await?;
    fill(stack, WAITING).await?;
    let full = ask(stack).await?;
    for (name, answers) in [("empty", &empty), ("million", &full)] {
        print(&format!("{name}_submit_p99_ms"), answers.submit_p99, "ms");
        print(&format!("{name}_list_ms"), answers.list, "ms");
        print(&format!("{name}_dead_letters_ms"), answers.dead_letters, "ms");
        print(&format!("{name}_job_ms"), answers.job, "ms");
        print(&format!("{name}_position"), answers.position.unwrap_or(-1.0), "th");
    }
    print("million_submit_p99_ratio", full.submit_p99 / empty.submit_p99, "x");
    print("million_list_ratio", full.list / empty.list, "x");
    print("million_dead_letters_ratio", full.dead_letters / empty.dead_letters, "x");
    print("million_job_ratio", full.job / empty.job, "x");
    stack.clear().await
}

/// Writes jobs that wait, a few of a report of its own in their midst, and a few that failed before all of them.
async fn fill(stack: &Stack, waiting: i64) -> anyhow::Result<()> {
    let jobs = "
        insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts, timeout_ms,
                          retention_ms, state, error, finished_at, created_at, rung_at)
        select waitless_uuid_v7(), 'bench', 'bench', $3, 'none', 'interactive', '{}', '[\"csv\"]', '[]', 3, 60000, 86400000, $2,
               case when $2 = 'failed' then
                   json_build_object('type', 'https://waitless.dev/problems/internal', 'title', 't', 'status', 500, 'detail', 'd') end,
               case when $2 = 'failed' then now() end, clock_timestamp(), clock_timestamp()
        from generate_series(1, $1::bigint)";
    for (count, state, report) in [
        (FEW, "failed", "trivial"),
        (waiting / 2, "pending", "trivial"),
        (FEW, "pending", "rare"),
        (waiting / 2, "pending", "trivial"),
    ] {
        stack.database.execute(jobs, &[&count, &state, &report]).await?;
    }
    stack.database.batch_execute("analyze jobs").await?;
    Ok(())
}

async fn ask(stack: &Stack) -> anyhow::Result<AskedTimes> {
    let submits = load::flood(&stack.submit("trivial")?, 32, SUBMITS).await?;
    let list = time(&stack.get("/v1/jobs?report=rare&state=pending&limit=50")?).await?;
    let dead_letters = time(&stack.get("/v1/admin/dead-letters?limit=50")?).await?;
    let newest = "select id::text from jobs where state = 'pending' order by id desc limit 1";
    let id: String = stack.database.query_one(newest, &[]).await?.get(0);
    let look = stack.get(&format!("/v1/jobs/{id}"))?;
    let began = Instant::now();
    // Counting a long queue takes some rounds of a second.
    let mut position = None;
    while position.is_none() && began.elapsed().as_secs() < 30 {
        let (_, body) = Connection::open(look.address()).await?.send(&look).await?;
        let job: serde_json::Value = serde_json::from_slice(&body)?;
        position = job.pointer("/queue/position").and_then(serde_json::Value::as_f64);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let job = time(&look).await?;
    Ok(AskedTimes { submit_p99: percentile(&submits.latencies, 0.99), list, dead_letters, job, position })
}

/// The median of a request's times, in milliseconds.
async fn time(request: &Request) -> anyhow::Result<f64> {
    let mut connection = Connection::open(request.address()).await?;
    let mut times = vec![];
    for _ in 0..ASKED {
        let began = Instant::now();
        let (status, body) = connection.send(request).await.context("ask the gateway")?;
        ensure!(status == 200, "the gateway answered {status}: {}", String::from_utf8_lossy(&body));
        times.push(ms(began.elapsed()));
    }
    Ok(median(&times))
}
