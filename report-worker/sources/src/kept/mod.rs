//! Rows from a Parquet file that a finished job kept, as they came from its source: the same batches, the same meaning, so that a
//! file made of them is the file the source would have made then. A row group at a time is in memory.

mod columns;
mod decode;
mod file;

use model::artifact::Artifact;
use model::problem::{Problem, ProblemKind};
use storage::Storage;
use tokio_util::sync::CancellationToken;

use crate::batch_stream::{BatchSink, BatchStream, RowCount, StreamHeader, stopped};
use decode::Decoder;
use file::KeptFile;

/// A row group as it is stored, the pages of it that are being decoded, and a batch.
const MEMORY: usize = 32 << 20;

/// Opens a kept file and starts to read its rows. That it is the file of the receipt is known, and told, when the last row was read.
///
/// # Errors
/// The file is gone, or is not what its receipt says, for good; the storage does not answer, for now.
pub async fn read_kept(
    storage: &Storage,
    artifact: &Artifact,
    cancel: &CancellationToken,
) -> Result<BatchStream, Problem> {
    let (storage, artifact) = (storage.clone(), artifact.clone());
    let mut batches = BatchStream::start(cancel, |sink| {
        tokio::spawn(async move {
            let stop = sink.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => Err(stopped()),
                read = read_rows(storage, &artifact, sink) => read,
            }
        })
    })
    .await?;
    batches.set_memory(MEMORY);
    Ok(batches)
}

async fn read_rows(storage: Storage, artifact: &Artifact, sink: BatchSink) -> Result<(), Problem> {
    let mut file = KeptFile::open(storage, artifact).await?;
    let mut decoder = Decoder::new(file.read_metadata().await?)?;
    let header = StreamHeader {
        schema: decoder.schema(),
        snapshot_at: artifact.snapshot_at,
        total: RowCount::Exact(artifact.rows),
    };
    sink.header.send(header).map_err(|_| stopped())?;
    for group in 0..decoder.groups() {
        let window = file.next(decoder.end_of(group)?).await?;
        let batches = sink.batches.clone();
        decoder = on_a_thread(move || decoder.decode(group, window, &batches)).await?;
    }
    let rest = file.rest().await?;
    let (rows, sha256) = on_a_thread(move || Ok(decoder.finish(&rest))).await?;
    if rows != artifact.rows || sha256 != artifact.sha256 {
        return Err(damaged(&format!("its rows or its SHA-256 ({sha256}) are not those of its receipt")));
    }
    Ok(())
}

/// Decoding and hashing would hold up everything else of this process. A panic goes on here.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(lost) if lost.is_panic() => std::panic::resume_unwind(lost.into_panic()),
        Err(_cancelled) => Err(stopped()),
    }
}

fn damaged(why: &str) -> Problem {
    Problem::new(
        ProblemKind::ParquetDamaged,
        format!("the Parquet file the formats are made from cannot be used: {why}; run the report again"),
    )
}
