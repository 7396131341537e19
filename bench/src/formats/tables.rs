//! The whole table as CSV, JSON Lines and Parquet, in rounds beside `psql \copy` and pyarrow over ADBC.

use crate::figures::{median, print, say};
use crate::stack::Stack;

use super::copy::{PeerTook, by_psql};
use super::job::{Took, Wish, peak_megabytes, run};
use super::{lineitem, parquet_peer};

const ROUNDS: usize = 5;
/// A round that takes longer than this leaves time for three only.
const LONG: f64 = 60.0;

/// What one format took, a value a round.
#[derive(Default)]
struct Taken {
    took: Vec<Took>,
    peak: f64,
}

#[derive(Default)]
struct Rounds {
    csv: Taken,
    jsonl: Taken,
    parquet: Taken,
    copy_csv: Vec<PeerTook>,
    copy_binary: Vec<PeerTook>,
    adbc: Vec<PeerTook>,
}

/// Prints ratios of times of the same round, medians over the rounds.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let mut adbc = parquet_peer::find();
    let mut rounds = Rounds::default();
    let mut wanted = ROUNDS;
    for round in 1..=ROUNDS {
        if round > wanted {
            say(&format!("a round takes over {LONG:.0} s: {wanted} rounds only"));
            break;
        }
        say(&format!("tables, round {round} of {wanted}"));
        let began = std::time::Instant::now();
        let (database, folder) = (stack.database_url(), stack.folder());
        rounds.copy_csv.push(by_psql(&database, folder, "csv").await?);
        whole(stack, "csv", &mut rounds.csv).await?;
        whole(stack, "jsonl", &mut rounds.jsonl).await?;
        rounds.copy_binary.push(by_psql(&database, folder, "binary").await?);
        whole(stack, "parquet", &mut rounds.parquet).await?;
        if let Some(python) = &adbc {
            match parquet_peer::run(python, &database, folder).await {
                Ok(took) => rounds.adbc.push(took),
                Err(error) => {
                    say(&format!("parquet_ratio_adbc is not measured: {error:#}"));
                    adbc = None;
                }
            }
        }
        stack.clear().await?;
        if began.elapsed().as_secs_f64() > LONG {
            wanted = 3;
        }
    }
    report(&rounds);
    Ok(())
}

/// Makes one file of all rows, by a worker of its own: its memory is that of this format.
async fn whole(stack: &Stack, format: &'static str, taken: &mut Taken) -> anyhow::Result<()> {
    let worker = stack.worker(1).await?;
    let took = run(stack, Wish { report: "lineitem", format, rows: None }).await?;
    anyhow::ensure!(took.rows == lineitem::ROWS, "the file has {} rows", took.rows);
    taken.peak = taken.peak.max(peak_megabytes(&worker)?);
    taken.took.push(took);
    Ok(())
}

fn report(rounds: &Rounds) {
    let Rounds { csv, jsonl, parquet, copy_csv, copy_binary, adbc } = rounds;
    for (name, peer) in [("copy_csv", copy_csv), ("copy_binary", copy_binary), ("adbc_parquet", adbc)] {
        if !peer.is_empty() {
            print(&format!("{name}_s"), middle(peer, |took| took.seconds), "s");
            print(&format!("{name}_own_cpu_s"), middle(peer, |took| took.own_cpu), "s");
            print(&format!("{name}_postgres_cpu_s"), middle(peer, |took| took.postgres_cpu), "s");
        }
    }
    for (name, taken) in [("csv", csv), ("jsonl", jsonl), ("parquet", parquet)] {
        print(&format!("{name}_s"), middle(&taken.took, |took| took.seconds), "s");
        print(&format!("{name}_worker_cpu_s"), middle(&taken.took, |took| took.worker_cpu), "s");
        print(&format!("{name}_postgres_cpu_s"), middle(&taken.took, |took| took.postgres_cpu), "s");
        print(&format!("{name}_file_mb"), middle(&taken.took, |took| megabytes(took.bytes)), "MB");
        print(&format!("{name}_rss_mb"), taken.peak, "MB");
    }
    print("csv_ratio_copy", ratio(csv, copy_csv), "x");
    print("jsonl_ratio_copy", ratio(jsonl, copy_csv), "x");
    print("parquet_ratio_copy", ratio(parquet, copy_binary), "x");
    if adbc.is_empty() {
        say("parquet_ratio_adbc has no figure");
    } else {
        print("parquet_ratio_adbc", ratio(parquet, adbc), "x");
    }
}

fn middle<T>(all: &[T], of: impl Fn(&T) -> f64) -> f64 {
    median(&all.iter().map(of).collect::<Vec<_>>())
}

fn ratio(taken: &Taken, peer: &[PeerTook]) -> f64 {
    let ratios = taken.took.iter().zip(peer).map(|(ours, theirs)| ours.seconds / theirs.seconds);
    median(&ratios.collect::<Vec<_>>())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files")]
fn megabytes(bytes: i64) -> f64 {
    bytes as f64 / 1e6
}
