//! Many schedules that are due at one moment: how long it takes until every job is written, what submits notice of it, and what looking
//! for what is due costs when nothing is.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::figures::{median, percentile, print, say};
use crate::load::{self, Connection, Request};
use crate::stack::Stack;
use crate::usage::Usage;

/// How many there are, and how many of them are due at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScheduleCrowd {
    all: i64,
    due: i64,
}

/// What the aims speak of.
pub(crate) const MANY: ScheduleCrowd = ScheduleCrowd { all: 100_000, due: 20_000 };
/// Enough to see that the measurement works.
pub(crate) const FEW: ScheduleCrowd = ScheduleCrowd { all: 1_000, due: 200 };

const ROUNDS: usize = 3;
/// Submits a second beside them: far from what the machine can do.
const RATE: f64 = 200.0;
const CONNECTIONS: usize = 16;
/// How long submits are measured while nothing is due, and the processor while nobody asks for anything.
const QUIET_SECONDS: u32 = 10;
const IDLE: Duration = Duration::from_secs(30);
/// No round takes so long.
const PATIENCE: Duration = Duration::from_secs(300);

/// As many more as are wanted of the one that there is, due tomorrow.
const COPY: &str = "
    insert into schedules (id, tenant, principal, settings, next_nominal, next_due, look_at)
    select waitless_uuid_v7(), tenant, principal, settings, to_char(now() + interval '1 day', 'YYYY-MM-DD\"T\"07:30:00'),
           now() + interval '1 day', now() + interval '1 day'
    from schedules, generate_series(2, $1::bigint)";

/// Has some of them come due at this moment, at a nominal time that none has had.
const COME_DUE: &str = "
    update schedules set next_due = now(), look_at = now(),
           next_nominal = to_char(now() - $2::bigint * interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS')
    where id in (select id from schedules order by id limit $1::bigint)";

/// Measures everything, and leaves nothing behind.
pub(crate) async fn measure(stack: &Stack, crowd: ScheduleCrowd) -> anyhow::Result<()> {
    forget(stack).await?;
    let none = processor().await;
    fill(stack, crowd).await?;
    let idle = processor().await;
    print("schedules_look_core_percent", (idle - none).max(0.0), "%");
    print("schedules_idle_core_percent", idle, "%");
    let request = stack.submit("trivial")?;
    load::flood(&request, CONNECTIONS, 2_000).await?;
    let (mut seconds, mut ratios, mut during) = (vec![], vec![], vec![]);
    for round in 1..=ROUNDS {
        stack.clear().await?;
        say(&format!("{} of {} schedules are due at once, round {round} of {ROUNDS}", crowd.due, crowd.all));
        let quiet = load::pace(&request, CONNECTIONS, RATE, QUIET_SECONDS).await?.latencies;
        stack.clear().await?;
        let (elapsed, beside) = fire(stack, &request, (crowd, i64::try_from(round)?)).await?;
        seconds.push(elapsed.as_secs_f64());
        during.push(percentile(&beside, 0.99));
        ratios.push(percentile(&beside, 0.99) / percentile(&quiet, 0.99));
    }
    print("schedules_due_s", median(&seconds), "s");
    print("schedules_submit_p99_ms", median(&during), "ms");
    print("schedules_submit_ratio", median(&ratios), "x");
    forget(stack).await
}

async fn forget(stack: &Stack) -> anyhow::Result<()> {
    stack.clear().await?;
    stack.database.batch_execute("truncate schedules, firings, schedule_notices").await?;
    Ok(())
}

/// Makes one as people do, and copies of it.
async fn fill(stack: &Stack, crowd: ScheduleCrowd) -> anyhow::Result<()> {
    say(&format!("writing {} schedules", crowd.all));
    let body = r#"{"report":"trivial","formats":["csv"],"when":"every day at 07:30","zone":"UTC","overlap":"allow"}"#;
    let request = stack.request("POST /v1/schedules", body)?;
    let (status, answer) = Connection::open(request.address()).await?.send(&request).await?;
    ensure!(status == 201, "the gateway answered {status}: {}", String::from_utf8_lossy(&answer));
    stack.database.execute(COPY, &[&crowd.all]).await?;
    stack.database.batch_execute("analyze schedules").await.context("analyze the schedules")
}

/// Returns what gateway and database use while nobody asks for anything, in percent of a processor.
async fn processor() -> f64 {
    // What came before is over.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, began) = (Usage::now(), Instant::now());
    tokio::time::sleep(IDLE).await;
    let used = Usage::now().since(&before);
    (used.of("api") + used.of("postgres")) / began.elapsed().as_secs_f64() * 100.0
}

/// Has them come due, and submits until every one of them has its job. Returns how long that took, and what submits took meanwhile.
async fn fire(
    stack: &Stack,
    request: &Request,
    (crowd, days_ago): (ScheduleCrowd, i64),
) -> anyhow::Result<(Duration, Vec<f64>)> {
    stack.database.batch_execute("truncate firings").await?;
    stack.database.execute(COME_DUE, &[&crowd.due, &days_ago]).await?;
    let began = Instant::now();
    let beside = async {
        let mut latencies = vec![];
        loop {
            latencies.append(&mut load::pace(request, CONNECTIONS, RATE, 1).await?.latencies);
            if fired(stack).await? >= crowd.due {
                return anyhow::Ok(latencies);
            }
        }
    };
    let all = async {
        while fired(stack).await? < crowd.due {
            ensure!(began.elapsed() < PATIENCE, "only {} of {} have fired", fired(stack).await?, crowd.due);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(began.elapsed())
    };
    let (elapsed, latencies) = tokio::try_join!(all, beside)?;
    let jobs = "select count(*) from firings f join jobs j on j.id = f.job_id where f.outcome = 'fired'";
    let written: i64 = stack.database.query_one(jobs, &[]).await?.get(0);
    ensure!(written == crowd.due, "{written} jobs of {} firings", crowd.due);
    Ok((elapsed, latencies))
}

async fn fired(stack: &Stack) -> anyhow::Result<i64> {
    Ok(stack.database.query_one("select count(*) from firings where job_id is not null", &[]).await?.get(0))
}
