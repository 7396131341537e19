//! Accepted submits a second, against PostgreSQL inserting the same rows one by one.

use crate::figures::{median, percentile, print, say};
use crate::load;
use crate::pgbench;
use crate::stack::Stack;
use crate::usage::Usage;

const CONNECTIONS: usize = 32;
const SUBMITS: usize = 24_000;
const ROUNDS: usize = 5;

/// Alternates pgbench and submits, so that both see the same machine.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let request = stack.submit("trivial")?;
    load::flood(&request, CONNECTIONS, 2_000).await?;
    let (mut rates, mut limits, mut rows, mut ratios, mut p99) = (vec![], vec![], vec![], vec![], vec![]);
    let mut used = None;
    for round in 1..=ROUNDS {
        say(&format!("submits, round {round} of {ROUNDS}"));
        stack.clear().await?;
        let limit = pgbench::run(&stack.database_url(), pgbench::SAME_ROWS, 32, 4).await?;
        stack.clear().await?;
        rows.push(pgbench::run(&stack.database_url(), pgbench::JOB_ROW, 32, 4).await?);
        stack.clear().await?;
        let before = Usage::now();
        let run = load::flood(&request, CONNECTIONS, SUBMITS).await?;
        used = Some(Usage::now().since(&before));
        p99.push(percentile(&run.latencies, 0.99));
        rates.push(run.rate());
        ratios.push(run.rate() / limit);
        limits.push(limit);
    }
    print("submits_per_s", median(&rates), "1/s");
    print("submit_flood_p99_ms", median(&p99), "ms");
    print("pgbench_same_rows_per_s", median(&limits), "1/s");
    print("pgbench_job_row_per_s", median(&rows), "1/s");
    print("submit_ratio_pgbench", median(&ratios), "x");
    print("submit_ratio_pgbench_job_row", median(&rates) / median(&rows), "x");
    if let Some(used) = used {
        used.print("submit", SUBMITS);
    }
    measure_at_half(stack, median(&limits) / 2.0).await
}

async fn measure_at_half(stack: &Stack, rate: f64) -> anyhow::Result<()> {
    let request = stack.submit("trivial")?;
    let (mut p50, mut p99) = (vec![], vec![]);
    for round in 1..=ROUNDS {
        say(&format!("submits at half of pgbench's rate ({rate:.0}/s), round {round} of {ROUNDS}"));
        stack.clear().await?;
        let run = load::pace(&request, CONNECTIONS, rate, 4).await?;
        p50.push(percentile(&run.latencies, 0.5));
        p99.push(percentile(&run.latencies, 0.99));
    }
    print("submit_p50_ms", median(&p50), "ms");
    print("submit_p99_ms", median(&p99), "ms");
    stack.clear().await
}
