//! Rows become stored files: reading, encoding and uploading overlap over bounded channels, one reader for all formats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use formats::{About, FileSummary, format_writer, writer};
use futures_util::future;
use model::problem::{Problem, ProblemKind};
use sources::BatchStream;
use storage::{Storage, StorageError, Stored};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use crate::attempt::Attempt;
use crate::encode::FileEncoder;
use crate::encoder_task::{EncoderInput, EncoderTask};
use crate::limit_rows::LimitedRows;
use crate::limits::ReportLimits;
use crate::memory_budget::MemoryBudget;
use crate::plan_files::{FileNames, PlannedFile};
use crate::preview::Preview;

/// Results up to this many rows, and this many bytes of values, are encoded as a whole: a pipeline would cost more.
const SMALL_ROWS: usize = 512;
const SMALL_BYTES: usize = 256 << 10;
/// Batches that wait for an encoder, and chunks that wait for an upload.
const QUEUE_LENGTH: usize = 1;

/// What an attempt writes, and where to.
pub(crate) struct FilePipeline<'a> {
    pub(crate) attempt: &'a Arc<Attempt>,
    pub(crate) storage: &'a Storage,
    pub(crate) budget: &'a MemoryBudget,
    pub(crate) limits: ReportLimits,
    pub(crate) preview: &'a Preview,
    pub(crate) about: Arc<About>,
    pub(crate) files: &'a [PlannedFile],
    pub(crate) names: &'a FileNames,
}

/// A file that is stored, and what is in it.
pub(crate) struct WrittenFile {
    pub(crate) stored: Stored,
    pub(crate) summary: FileSummary,
}

impl FilePipeline<'_> {
    /// Reads every row that may be and stores every file. Returns one entry a file, in order.
    pub(crate) async fn write(&self, batches: BatchStream) -> Result<Vec<WrittenFile>, Problem> {
        let reader_memory = batches.memory();
        let mut rows = LimitedRows::new(batches, self.limits, self.attempt, self.preview);
        let mut held = Vec::new();
        while held.len() < 2 {
            match rows.next().await? {
                Some(batch) => held.push(batch),
                None if is_small(&held) => return self.write_small(rows, held).await,
                None => break,
            }
        }
        let _share = self.budget.share(self.files.iter().map(|file| file.format), reader_memory).await;
        self.write_streaming(rows, held).await
    }

    async fn write_small(&self, rows: LimitedRows<'_>, batches: Vec<RecordBatch>) -> Result<Vec<WrittenFile>, Problem> {
        let mut made = Vec::with_capacity(self.files.len());
        let (schema, complete) = (rows.schema, !rows.cut);
        for file in self.files {
            let mut encoder = FileEncoder::new(writer(file.format, &self.about), self.limits);
            let (summary, out) = if format_writer(file.format).begins_at_once {
                encode_small(&mut encoder, &schema, &batches, complete)?
            } else {
                // Fonts and dictionaries take milliseconds whatever the number of rows.
                let (schema, batches) = (SchemaRef::clone(&schema), batches.clone());
                let encoding =
                    tokio::task::spawn_blocking(move || encode_small(&mut encoder, &schema, &batches, complete));
                encoded(encoding.await)?
            };
            self.attempt.advance(|progress| progress.bytes += out.len() as u64);
            let mut upload = self.create(file).await?;
            upload.write(Bytes::from(out)).await.map_err(|error| not_stored(&error))?;
            let stored = file.completion.complete(upload).await.map_err(|error| not_stored(&error))?;
            made.push(WrittenFile { stored, summary });
        }
        Ok(made)
    }

    async fn write_streaming(
        &self,
        rows: LimitedRows<'_>,
        held: Vec<RecordBatch>,
    ) -> Result<Vec<WrittenFile>, Problem> {
        let mut encoders = Vec::with_capacity(self.files.len());
        let mut uploads = Vec::with_capacity(self.files.len());
        for file in self.files {
            let (inputs, to_encode) = mpsc::channel(QUEUE_LENGTH);
            let (chunks, to_upload) = mpsc::channel(QUEUE_LENGTH);
            let full = Arc::new(AtomicBool::new(false));
            let task = EncoderTask {
                encoder: FileEncoder::new(writer(file.format, &self.about), self.limits),
                attempt: Arc::clone(self.attempt),
                chunks,
                full: Arc::clone(&full),
            };
            let schema = SchemaRef::clone(&rows.schema);
            let encoding = tokio::task::spawn_blocking(move || task.run(&schema, to_encode));
            encoders.push(EncoderQueue { inputs, full });
            uploads.push(self.upload(file, to_upload, encoding));
        }
        let (_, made) = future::try_join(feed(rows, held, encoders), future::try_join_all(uploads)).await?;
        Ok(made)
    }

    async fn upload(
        &self,
        file: &PlannedFile,
        mut chunks: mpsc::Receiver<Bytes>,
        encoding: JoinHandle<Result<FileSummary, Problem>>,
    ) -> Result<WrittenFile, Problem> {
        let mut upload = self.create(file).await?;
        while let Some(chunk) = chunks.recv().await {
            upload.write(chunk).await.map_err(|error| not_stored(&error))?;
        }
        let summary = encoded(encoding.await)?;
        let stored = file.completion.complete(upload).await.map_err(|error| not_stored(&error))?;
        Ok(WrittenFile { stored, summary })
    }

    async fn create(&self, file: &PlannedFile) -> Result<storage::Upload, Problem> {
        let suffix = self.about.compression(file.format).suffix();
        let media_type = file.format.media_type_of(suffix);
        let filename = self.names.of(file.format, suffix);
        self.storage.create(&file.key, media_type, &filename).await.map_err(|error| not_stored(&error))
    }
}

/// Whether a result is encoded where it is.
fn is_small(batches: &[RecordBatch]) -> bool {
    batches.iter().map(RecordBatch::num_rows).sum::<usize>() <= SMALL_ROWS
        && batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>() <= SMALL_BYTES
}

fn encode_small(
    encoder: &mut FileEncoder,
    schema: &Schema,
    batches: &[RecordBatch],
    complete: bool,
) -> Result<(FileSummary, Vec<u8>), Problem> {
    encoder.begin(schema)?;
    for batch in batches {
        encoder.add(batch)?;
    }
    let summary = encoder.finish(complete)?;
    Ok((summary, encoder.take()))
}

/// Takes an encoder's word. A panic of it goes on here.
fn encoded<T>(outcome: Result<Result<T, Problem>, JoinError>) -> Result<T, Problem> {
    match outcome {
        Ok(encoded) => encoded,
        Err(lost) if lost.is_panic() => std::panic::resume_unwind(lost.into_panic()),
        Err(lost) => Err(Problem::new(ProblemKind::Internal, format!("the encoder was lost: {lost}"))),
    }
}

/// The way to one encoder.
struct EncoderQueue {
    inputs: mpsc::Sender<EncoderInput>,
    /// No further row fits into its file.
    full: Arc<AtomicBool>,
}

/// Gives every batch to every encoder. An encoder that is gone has failed, and its upload says why. When no file can take a
/// further row, none is read.
async fn feed(mut rows: LimitedRows<'_>, held: Vec<RecordBatch>, encoders: Vec<EncoderQueue>) -> Result<(), Problem> {
    let mut held = held.into_iter();
    loop {
        let all_full = encoders.iter().all(|encoder| encoder.full.load(Ordering::Acquire));
        let batch = match held.next() {
            Some(batch) => Some(batch),
            None if all_full => None,
            None => rows.next().await?,
        };
        for encoder in &encoders {
            let input = batch.clone().map_or(EncoderInput::End(!rows.cut), EncoderInput::Rows);
            if encoder.inputs.send(input).await.is_err() {
                return Ok(());
            }
        }
        if batch.is_none() {
            return Ok(());
        }
    }
}

fn not_stored(error: &StorageError) -> Problem {
    Problem::new(ProblemKind::StorageUnavailable, format!("the file could not be stored: {error}"))
}
