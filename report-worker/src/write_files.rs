//! Rows become stored files: reading, encoding and uploading overlap over bounded channels, one reader for all formats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use formats::{About, FileSummary, format_writer, writer};
use futures_util::future;
use model::problem::{Problem, ProblemKind};
use model::refusal::OnRefusal;
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
    pub(crate) on_refusal: OnRefusal,
}

/// A file that is stored, and what is in it.
pub(crate) struct WrittenFile {
    pub(crate) stored: Stored,
    pub(crate) summary: FileSummary,
}

/// What became of a file.
pub(crate) enum FileOutcome {
    Written(WrittenFile),
    /// Its format cannot hold the rows, and nothing of it is left.
    Refused(Problem),
}

impl FilePipeline<'_> {
    /// Reads every row that may be and stores every file. Returns one entry a file, in order, of which at least one is written.
    ///
    /// # Errors
    /// The first fault of source, storage or this process. A format's refusal too, where the job is to fail then; else when every
    /// format refuses.
    pub(crate) async fn write(&self, batches: BatchStream) -> Result<Vec<FileOutcome>, Problem> {
        let made = self.write_all(batches).await?;
        if made.iter().any(|outcome| matches!(outcome, FileOutcome::Written(_))) {
            return Ok(made);
        }
        Err(self.all_refused(made))
    }

    async fn write_all(&self, batches: BatchStream) -> Result<Vec<FileOutcome>, Problem> {
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

    /// Makes one problem of the refusals of all formats.
    fn all_refused(&self, made: Vec<FileOutcome>) -> Problem {
        let refusals = self.files.iter().zip(made).filter_map(|(file, outcome)| match outcome {
            FileOutcome::Refused(problem) => Some((file.format, problem)),
            FileOutcome::Written(_) => None,
        });
        let refusals: Vec<_> = refusals.collect();
        let all: Vec<_> = refusals.iter().map(|(format, problem)| format!("{format}: {}", problem.detail)).collect();
        match refusals.into_iter().next() {
            Some((_, only)) if all.len() == 1 => only,
            Some((_, first)) => Problem { detail: all.join("; "), ..first },
            None => Problem::new(ProblemKind::Internal, "the job names no format"),
        }
    }

    /// Takes a file's word: a refusal is one where the job goes on without the format, and an error where it does not.
    fn outcome(&self, made: Result<WrittenFile, Unwritten>) -> Result<FileOutcome, Problem> {
        match made {
            Ok(written) => Ok(FileOutcome::Written(written)),
            Err(Unwritten::Refused(problem)) if self.on_refusal == OnRefusal::KeepOthers => {
                Ok(FileOutcome::Refused(problem))
            }
            Err(Unwritten::Refused(problem) | Unwritten::Failed(problem)) => Err(problem),
        }
    }

    async fn write_small(&self, rows: LimitedRows<'_>, batches: Vec<RecordBatch>) -> Result<Vec<FileOutcome>, Problem> {
        let mut made = Vec::with_capacity(self.files.len());
        let (schema, complete) = (rows.schema, !rows.cut);
        for file in self.files {
            made.push(self.outcome(self.write_small_file(file, &schema, &batches, complete).await)?);
        }
        Ok(made)
    }

    async fn write_small_file(
        &self,
        file: &PlannedFile,
        schema: &SchemaRef,
        batches: &[RecordBatch],
        complete: bool,
    ) -> Result<WrittenFile, Unwritten> {
        let mut encoder = FileEncoder::new(writer(file.format, &self.about), self.limits);
        let (summary, out) = if format_writer(file.format).begins_at_once {
            encode_small(&mut encoder, schema, batches, complete)?
        } else {
            // Fonts and dictionaries take milliseconds whatever the number of rows.
            let (schema, batches) = (SchemaRef::clone(schema), batches.to_vec());
            let encoding = tokio::task::spawn_blocking(move || encode_small(&mut encoder, &schema, &batches, complete));
            encoded(encoding.await)?
        };
        self.attempt.advance(|progress| progress.bytes += out.len() as u64);
        let mut upload = self.create(file).await?;
        upload.write(Bytes::from(out)).await?;
        let stored = file.completion.complete(upload).await?;
        Ok(WrittenFile { stored, summary })
    }

    async fn write_streaming(
        &self,
        rows: LimitedRows<'_>,
        held: Vec<RecordBatch>,
    ) -> Result<Vec<FileOutcome>, Problem> {
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
            uploads.push(async move { self.outcome(self.upload(file, to_upload, encoding).await) });
        }
        let (_, made) = future::try_join(feed(rows, held, encoders), future::try_join_all(uploads)).await?;
        Ok(made)
    }

    async fn upload(
        &self,
        file: &PlannedFile,
        mut chunks: mpsc::Receiver<Bytes>,
        encoding: JoinHandle<Result<FileSummary, Problem>>,
    ) -> Result<WrittenFile, Unwritten> {
        let mut upload = self.create(file).await?;
        while let Some(chunk) = chunks.recv().await {
            upload.write(chunk).await?;
        }
        match encoded(encoding.await) {
            Ok(summary) => {
                let stored = file.completion.complete(upload).await?;
                Ok(WrittenFile { stored, summary })
            }
            Err(unwritten) => {
                // While the others go on there is time to see that nothing of it is left.
                if self.on_refusal == OnRefusal::KeepOthers {
                    upload.abort().await;
                }
                Err(unwritten)
            }
        }
    }

    async fn create(&self, file: &PlannedFile) -> Result<storage::Upload, StorageError> {
        let suffix = self.about.compression(file.format).suffix();
        let media_type = file.format.media_type_of(suffix);
        let filename = self.names.of(file.format, suffix);
        self.storage.create(&file.key, media_type, &filename).await
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

/// Why a file was not written.
enum Unwritten {
    /// Its format cannot hold the rows.
    Refused(Problem),
    /// Something else failed: no other file would fare better.
    Failed(Problem),
}

impl From<Problem> for Unwritten {
    /// Of a problem that an encoder told.
    fn from(problem: Problem) -> Self {
        if problem.kind.is_refusal() { Self::Refused(problem) } else { Self::Failed(problem) }
    }
}

impl From<StorageError> for Unwritten {
    fn from(error: StorageError) -> Self {
        Self::Failed(Problem::new(ProblemKind::StorageUnavailable, format!("the file could not be stored: {error}")))
    }
}

/// Takes an encoder's word. A panic of it goes on here.
fn encoded<T>(outcome: Result<Result<T, Problem>, JoinError>) -> Result<T, Unwritten> {
    match outcome {
        Ok(encoded) => Ok(encoded?),
        Err(lost) if lost.is_panic() => std::panic::resume_unwind(lost.into_panic()),
        Err(lost) => {
            Err(Unwritten::Failed(Problem::new(ProblemKind::Internal, format!("the encoder was lost: {lost}"))))
        }
    }
}

/// The way to one encoder.
struct EncoderQueue {
    inputs: mpsc::Sender<EncoderInput>,
    /// No further row fits into its file.
    full: Arc<AtomicBool>,
}

/// Gives every batch to every encoder. An encoder that is gone has failed or refused, and its upload says why; the others go on,
/// until that ends them. When no file can take a further row, none is read.
async fn feed(
    mut rows: LimitedRows<'_>,
    held: Vec<RecordBatch>,
    mut encoders: Vec<EncoderQueue>,
) -> Result<(), Problem> {
    let mut held = held.into_iter();
    loop {
        let all_full = encoders.iter().all(|encoder| encoder.full.load(Ordering::Acquire));
        let batch = match held.next() {
            Some(batch) => Some(batch),
            None if all_full => None,
            None => rows.next().await?,
        };
        let mut left = Vec::with_capacity(encoders.len());
        for encoder in encoders {
            let input = batch.clone().map_or(EncoderInput::End(!rows.cut), EncoderInput::Rows);
            if encoder.inputs.send(input).await.is_ok() {
                left.push(encoder);
            }
        }
        encoders = left;
        if batch.is_none() || encoders.is_empty() {
            return Ok(());
        }
    }
}
