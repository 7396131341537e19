//! Rows become stored files: reading, encoding and uploading overlap over bounded channels, one reader for all formats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use futures_util::future;
use model::artifact::{Format, object_key};
use model::problem::{Problem, ProblemKind};
use model::progress::Phase;
use storage::{Storage, StorageError, Stored};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use uuid::Uuid;

use crate::budget::Budget;
use crate::encode::Encoder;
use crate::failpoint::fail_here;
use crate::finish::Finish;
use crate::format::{About, Ending, writer};
use crate::limits::Limits;
use crate::preview::Preview;
use crate::running::Attempt;
use crate::source::Reading;

/// Results up to this many rows, and this many bytes of values, are encoded as a whole: a pipeline would cost more.
const SMALL_ROWS: usize = 512;
const SMALL_BYTES: usize = 256 << 10;
/// Batches that wait for an encoder, and chunks that wait for an upload.
const AHEAD: usize = 1;
/// Encoded bytes go on when there are about this many.
const CHUNK: usize = 256 << 10;

/// One file of an attempt, from its plan to its place.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) id: Uuid,
    pub(crate) format: Format,
    pub(crate) key: String,
    pub(crate) finish: Finish,
}

impl File {
    /// Plans a file. Nothing is written under a key twice: it holds the attempt and a fresh id.
    pub(crate) fn plan(attempt: &Attempt, format: Format) -> Self {
        let id = Uuid::now_v7();
        let key = object_key(attempt.job_id, attempt.attempt, id, format);
        Self { id, format, key, finish: Finish::default() }
    }
}

/// What an attempt writes, and where to.
pub(crate) struct Files<'a> {
    pub(crate) attempt: &'a Arc<Attempt>,
    pub(crate) storage: &'a Storage,
    pub(crate) budget: &'a Budget,
    pub(crate) limits: Limits,
    pub(crate) preview: &'a Preview,
    pub(crate) about: Arc<About>,
    pub(crate) files: &'a [File],
}

/// A file that is stored, and what is in it.
pub(crate) type Made = (Stored, Ending);

/// A step on the way from the reader to an encoder. The end is said, never concluded from silence.
enum Step {
    Rows(RecordBatch),
    /// Whether the rows that came were all there are.
    End(bool),
}

impl Files<'_> {
    /// Reads every row that may be and stores every file. Returns one entry a file, in order.
    pub(crate) async fn write(&self, reading: Reading) -> Result<Vec<Made>, Problem> {
        let beside = reading.memory();
        let mut rows = Rows::new(reading, self);
        let mut held = Vec::new();
        while held.len() < 2 {
            match rows.next().await? {
                Some(batch) => held.push(batch),
                None if is_small(&held) => return self.write_small(rows, held).await,
                None => break,
            }
        }
        let _share = self.budget.share(self.files.iter().map(|file| file.format), beside).await;
        self.write_streaming(rows, held).await
    }

    async fn write_small(&self, rows: Rows<'_>, batches: Vec<RecordBatch>) -> Result<Vec<Made>, Problem> {
        let mut made = Vec::with_capacity(self.files.len());
        let (schema, complete) = (rows.schema, !rows.cut);
        for file in self.files {
            let mut encoder = Encoder::new(writer(file.format, &self.about), self.limits);
            let (ending, out) = if matches!(file.format, Format::Csv | Format::Jsonl) {
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
            made.push((file.finish.end(upload).await.map_err(|error| not_stored(&error))?, ending));
        }
        Ok(made)
    }

    async fn write_streaming(&self, rows: Rows<'_>, held: Vec<RecordBatch>) -> Result<Vec<Made>, Problem> {
        let mut encoders = Vec::with_capacity(self.files.len());
        let mut uploads = Vec::with_capacity(self.files.len());
        for file in self.files {
            let (steps, to_encode) = mpsc::channel(AHEAD);
            let (chunks, to_upload) = mpsc::channel(AHEAD);
            let full = Arc::new(AtomicBool::new(false));
            let line = Line {
                encoder: Encoder::new(writer(file.format, &self.about), self.limits),
                attempt: Arc::clone(self.attempt),
                chunks,
                full: Arc::clone(&full),
            };
            let schema = SchemaRef::clone(&rows.schema);
            let encoding = tokio::task::spawn_blocking(move || line.encode(&schema, to_encode));
            encoders.push((steps, full));
            uploads.push(self.upload(file, to_upload, encoding));
        }
        let (_, made) = future::try_join(feed(rows, held, encoders), future::try_join_all(uploads)).await?;
        Ok(made)
    }

    async fn upload(
        &self,
        file: &File,
        mut chunks: mpsc::Receiver<Bytes>,
        encoding: JoinHandle<Result<Ending, Problem>>,
    ) -> Result<Made, Problem> {
        let mut upload = self.create(file).await?;
        while let Some(chunk) = chunks.recv().await {
            upload.write(chunk).await.map_err(|error| not_stored(&error))?;
        }
        let ending = encoded(encoding.await)?;
        Ok((file.finish.end(upload).await.map_err(|error| not_stored(&error))?, ending))
    }

    async fn create(&self, file: &File) -> Result<storage::Upload, Problem> {
        let media_type = file.format.media_type_of(self.about.compression(file.format).suffix());
        self.storage.create(&file.key, media_type).await.map_err(|error| not_stored(&error))
    }
}

/// Whether a result is encoded where it is.
fn is_small(batches: &[RecordBatch]) -> bool {
    batches.iter().map(RecordBatch::num_rows).sum::<usize>() <= SMALL_ROWS
        && batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>() <= SMALL_BYTES
}

fn encode_small(
    encoder: &mut Encoder,
    schema: &Schema,
    batches: &[RecordBatch],
    complete: bool,
) -> Result<(Ending, Vec<u8>), Problem> {
    encoder.begin(schema)?;
    for batch in batches {
        encoder.add(batch)?;
    }
    let ending = encoder.finish(complete)?;
    Ok((ending, encoder.take()))
}

/// Takes an encoder's word. A panic of it goes on here.
fn encoded<T>(outcome: Result<Result<T, Problem>, JoinError>) -> Result<T, Problem> {
    match outcome {
        Ok(encoded) => encoded,
        Err(lost) if lost.is_panic() => std::panic::resume_unwind(lost.into_panic()),
        Err(lost) => Err(Problem::new(ProblemKind::Internal, format!("the encoder was lost: {lost}"))),
    }
}

/// Gives every batch to every encoder. An encoder that is gone has failed, and its upload says why. When no file can take a
/// further row, none is read.
async fn feed(
    mut rows: Rows<'_>,
    held: Vec<RecordBatch>,
    encoders: Vec<(mpsc::Sender<Step>, Arc<AtomicBool>)>,
) -> Result<(), Problem> {
    let mut held = held.into_iter();
    loop {
        let all_full = encoders.iter().all(|(_, full)| full.load(Ordering::Acquire));
        let batch = match held.next() {
            Some(batch) => Some(batch),
            None if all_full => None,
            None => rows.next().await?,
        };
        for (encoder, _) in &encoders {
            let step = batch.clone().map_or(Step::End(!rows.cut), Step::Rows);
            if encoder.send(step).await.is_err() {
                return Ok(());
            }
        }
        if batch.is_none() {
            return Ok(());
        }
    }
}

/// The rows of a report, counted and kept within the limits.
struct Rows<'a> {
    schema: SchemaRef,
    /// None: no further row may be.
    reading: Option<Reading>,
    limits: Limits,
    attempt: &'a Attempt,
    preview: &'a Preview,
    taken: u64,
    /// Whether there were more rows than may be.
    cut: bool,
}

impl<'a> Rows<'a> {
    fn new(reading: Reading, files: &Files<'a>) -> Self {
        let schema = SchemaRef::clone(reading.schema());
        let Files { limits, attempt, preview, .. } = *files;
        Self { schema, reading: Some(reading), limits, attempt, preview, taken: 0, cut: false }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, Problem> {
        let batch = match self.reading.as_mut() {
            Some(reading) => reading.next().await?,
            None => None,
        };
        let Some(mut batch) = batch else {
            self.preview.end(!self.cut);
            self.attempt.advance(|progress| progress.phase = Phase::Storing);
            return Ok(None);
        };
        if self.limits.truncates() {
            let room = self.limits.rows_left(self.taken);
            if batch.num_rows() > room {
                batch = batch.slice(0, room);
                self.cut = true;
                // Dropping it stops the query.
                self.reading = None;
            }
        }
        self.preview.add(&batch);
        self.taken += batch.num_rows() as u64;
        self.attempt.advance(|progress| progress.rows = self.taken);
        self.limits.check_rows(self.taken)?;
        fail_here!("after_first_rows");
        Ok(Some(batch))
    }
}

/// Encodes one file on a blocking thread.
struct Line {
    encoder: Encoder,
    attempt: Arc<Attempt>,
    chunks: mpsc::Sender<Bytes>,
    full: Arc<AtomicBool>,
}

impl Line {
    fn encode(mut self, schema: &Schema, mut steps: mpsc::Receiver<Step>) -> Result<Ending, Problem> {
        self.encoder.begin(schema)?;
        loop {
            match steps.blocking_recv() {
                Some(Step::Rows(batch)) => {
                    self.encoder.add(&batch)?;
                    self.full.store(self.encoder.is_full(), Ordering::Release);
                    if self.encoder.ready() >= CHUNK {
                        let ready = self.encoder.ready();
                        self.send()?;
                        self.encoder.reserve((ready + ready / 8).min(4 * CHUNK));
                    }
                }
                Some(Step::End(complete)) => {
                    let ending = self.encoder.finish(complete)?;
                    self.send()?;
                    return Ok(ending);
                }
                None => return Err(broken_off()),
            }
        }
    }

    /// Sends what is ready, in pieces: the encoder goes on only when nearly all of it is taken.
    fn send(&mut self) -> Result<(), Problem> {
        let mut ready = Bytes::from(self.encoder.take());
        self.attempt.advance(|progress| progress.bytes += ready.len() as u64);
        while !ready.is_empty() {
            let chunk = ready.split_to(ready.len().min(2 * CHUNK));
            self.chunks.blocking_send(chunk).map_err(|_| broken_off())?;
        }
        Ok(())
    }
}

fn not_stored(error: &StorageError) -> Problem {
    Problem::new(ProblemKind::StorageUnavailable, format!("the file could not be stored: {error}"))
}

fn broken_off() -> Problem {
    Problem::new(ProblemKind::Internal, "the file was broken off before its last row")
}
