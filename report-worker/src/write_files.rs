//! Rows become stored files: reading, encoding and uploading overlap over bounded channels, one reader for all formats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use futures_util::future;
use shared::artifact::{Format, object_key};
use shared::problem::{Problem, ProblemKind};
use shared::progress::Phase;
use shared::storage::{Storage, StorageError, Stored};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::failpoint::fail_here;
use crate::format::{About, Ending, RowWriter, writer};
use crate::limits::Limits;
use crate::running::Attempt;
use crate::source::Reading;

/// Results up to this many rows are encoded where they are: a hand-over to another thread would cost more.
const SMALL: usize = 512;
/// Batches that wait for an encoder, and chunks that wait for an upload.
const AHEAD: usize = 2;
/// Encoded bytes go on when there are about this many.
const CHUNK: usize = 256 << 10;

/// One file of an attempt, from its plan to its place.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) id: Uuid,
    pub(crate) format: Format,
    pub(crate) key: String,
    /// Whether there may be an object under `key`.
    finishing: AtomicBool,
}

impl File {
    /// Plans a file. Nothing is written under a key twice: it holds the attempt and a fresh id.
    pub(crate) fn plan(attempt: &Attempt, format: Format) -> Self {
        let id = Uuid::now_v7();
        let key = object_key(attempt.job_id, attempt.attempt, id, format);
        Self { id, format, key, finishing: AtomicBool::new(false) }
    }

    /// Tells whether an object may stand under the key.
    pub(crate) fn may_exist(&self) -> bool {
        self.finishing.load(Ordering::Acquire)
    }
}

/// What an attempt writes, and where to.
pub(crate) struct Files<'a> {
    pub(crate) attempt: &'a Arc<Attempt>,
    pub(crate) storage: &'a Storage,
    pub(crate) limits: Limits,
    pub(crate) about: Arc<About>,
    pub(crate) files: &'a [File],
}

/// A step on the way from the reader to an encoder. The end is said, never concluded from silence.
enum Step {
    Rows(RecordBatch),
    End(Ending),
}

impl Files<'_> {
    /// Reads every row and stores every file. Returns one entry a file, in order.
    pub(crate) async fn write(&self, mut reading: Reading) -> Result<Vec<Stored>, Problem> {
        let mut held = Vec::new();
        while held.len() < 2 {
            match self.next(&mut reading).await? {
                Some(batch) => held.push(batch),
                None if held.iter().map(RecordBatch::num_rows).sum::<usize>() <= SMALL => {
                    return self.write_small(reading.schema(), &held).await;
                }
                None => break,
            }
        }
        self.write_streaming(reading, held).await
    }

    /// Returns the next rows, counted.
    async fn next(&self, reading: &mut Reading) -> Result<Option<RecordBatch>, Problem> {
        let Some(batch) = reading.next().await? else {
            self.attempt.advance(|progress| progress.phase = Phase::Storing);
            return Ok(None);
        };
        let mut rows = 0;
        self.attempt.advance(|progress| {
            progress.rows += batch.num_rows() as u64;
            rows = progress.rows;
        });
        self.limits.check_rows(rows)?;
        fail_here!("after_first_rows");
        Ok(Some(batch))
    }

    fn ending(&self) -> Ending {
        Ending { rows: self.attempt.progress().rows, complete: true }
    }

    async fn write_small(&self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<Stored>, Problem> {
        let mut stored = Vec::with_capacity(self.files.len());
        for file in self.files {
            let mut writer = writer(file.format, &self.about);
            let mut out = Vec::new();
            writer.begin(schema, &mut out)?;
            for batch in batches {
                writer.write(batch, &mut out)?;
                self.limits.check_bytes(out.len() as u64)?;
            }
            writer.finish(self.ending(), &mut out)?;
            self.attempt.advance(|progress| progress.bytes += out.len() as u64);
            let mut upload = self.create(file).await?;
            upload.write(Bytes::from(out)).await.map_err(|error| not_stored(&error))?;
            stored.push(finish(file, upload).await?);
        }
        Ok(stored)
    }

    async fn write_streaming(&self, reading: Reading, held: Vec<RecordBatch>) -> Result<Vec<Stored>, Problem> {
        let mut encoders = Vec::with_capacity(self.files.len());
        let mut uploads = Vec::with_capacity(self.files.len());
        for file in self.files {
            let (steps, to_encode) = mpsc::channel(AHEAD);
            let (chunks, to_upload) = mpsc::channel(AHEAD);
            let encoder = Encoder {
                writer: writer(file.format, &self.about),
                limits: self.limits,
                attempt: Arc::clone(self.attempt),
                chunks,
                out: Vec::with_capacity(CHUNK),
                bytes: 0,
            };
            let schema = SchemaRef::clone(reading.schema());
            let encoding = tokio::task::spawn_blocking(move || encoder.encode(&schema, to_encode));
            encoders.push(steps);
            uploads.push(self.upload(file, to_upload, encoding));
        }
        let (_, stored) = future::try_join(self.feed(reading, held, encoders), future::try_join_all(uploads)).await?;
        Ok(stored)
    }

    /// Gives every batch to every encoder. An encoder that is gone has failed, and its upload says why.
    async fn feed(
        &self,
        mut reading: Reading,
        held: Vec<RecordBatch>,
        encoders: Vec<mpsc::Sender<Step>>,
    ) -> Result<(), Problem> {
        let mut held = held.into_iter();
        loop {
            let batch = match held.next() {
                Some(batch) => Some(batch),
                None => self.next(&mut reading).await?,
            };
            for encoder in &encoders {
                let step = batch.clone().map_or_else(|| Step::End(self.ending()), Step::Rows);
                if encoder.send(step).await.is_err() {
                    return Ok(());
                }
            }
            if batch.is_none() {
                return Ok(());
            }
        }
    }

    async fn upload(
        &self,
        file: &File,
        mut chunks: mpsc::Receiver<Bytes>,
        encoding: JoinHandle<Result<(), Problem>>,
    ) -> Result<Stored, Problem> {
        let mut upload = self.create(file).await?;
        while let Some(chunk) = chunks.recv().await {
            upload.write(chunk).await.map_err(|error| not_stored(&error))?;
        }
        match encoding.await {
            Ok(outcome) => outcome?,
            Err(lost) if lost.is_panic() => std::panic::resume_unwind(lost.into_panic()),
            Err(lost) => return Err(Problem::new(ProblemKind::Internal, format!("the encoder was lost: {lost}"))),
        }
        finish(file, upload).await
    }

    async fn create(&self, file: &File) -> Result<shared::storage::Upload, Problem> {
        self.storage.create(&file.key, file.format.media_type()).await.map_err(|error| not_stored(&error))
    }
}

async fn finish(file: &File, upload: shared::storage::Upload) -> Result<Stored, Problem> {
    fail_here!("before_finish_upload");
    file.finishing.store(true, Ordering::Release);
    upload.finish().await.map_err(|error| not_stored(&error))
}

fn not_stored(error: &StorageError) -> Problem {
    Problem::new(ProblemKind::StorageUnavailable, format!("the file could not be stored: {error}"))
}

/// Encodes one file on a blocking thread.
struct Encoder {
    writer: Box<dyn RowWriter>,
    limits: Limits,
    attempt: Arc<Attempt>,
    chunks: mpsc::Sender<Bytes>,
    out: Vec<u8>,
    bytes: u64,
}

impl Encoder {
    fn encode(mut self, schema: &SchemaRef, mut steps: mpsc::Receiver<Step>) -> Result<(), Problem> {
        self.writer.begin(schema, &mut self.out)?;
        loop {
            match steps.blocking_recv() {
                Some(Step::Rows(batch)) => {
                    self.writer.write(&batch, &mut self.out)?;
                    self.limits.check_bytes(self.bytes + self.out.len() as u64)?;
                    if self.out.len() >= CHUNK {
                        self.send()?;
                    }
                }
                Some(Step::End(ending)) => {
                    self.writer.finish(ending, &mut self.out)?;
                    return self.send();
                }
                None => return Err(broken_off()),
            }
        }
    }

    fn send(&mut self) -> Result<(), Problem> {
        let chunk = std::mem::replace(&mut self.out, Vec::with_capacity(CHUNK));
        let bytes = chunk.len() as u64;
        self.bytes += bytes;
        self.limits.check_bytes(self.bytes)?;
        self.attempt.advance(|progress| progress.bytes += bytes);
        self.chunks.blocking_send(Bytes::from(chunk)).map_err(|_| broken_off())
    }
}

fn broken_off() -> Problem {
    Problem::new(ProblemKind::Internal, "the file was broken off before its last row")
}
