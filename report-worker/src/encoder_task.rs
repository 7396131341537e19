//! One file is encoded on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use bytes::Bytes;
use formats::FileSummary;
use model::problem::{Problem, ProblemKind};
use tokio::sync::mpsc;

use crate::attempt::Attempt;
use crate::encode::FileEncoder;

/// Encoded bytes go on when there are about this many.
const CHUNK: usize = 256 << 10;

/// A step on the way from the reader to an encoder. The end is said, never concluded from silence.
pub(crate) enum EncoderInput {
    Rows(RecordBatch),
    /// Whether the rows that came were all there are.
    End(bool),
}

/// Encodes one file on a blocking thread.
pub(crate) struct EncoderTask {
    pub(crate) encoder: FileEncoder,
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) chunks: mpsc::Sender<Bytes>,
    /// Set when no further row fits into the file.
    pub(crate) full: Arc<AtomicBool>,
}

impl EncoderTask {
    /// Encodes what comes until its end is said.
    pub(crate) fn run(
        mut self,
        schema: &Schema,
        mut inputs: mpsc::Receiver<EncoderInput>,
    ) -> Result<FileSummary, Problem> {
        self.encoder.begin(schema)?;
        loop {
            match inputs.blocking_recv() {
                Some(EncoderInput::Rows(batch)) => {
                    self.encoder.add(&batch)?;
                    self.full.store(self.encoder.is_full(), Ordering::Release);
                    if self.encoder.ready() >= CHUNK {
                        let ready = self.encoder.ready();
                        self.send()?;
                        self.encoder.reserve((ready + ready / 8).min(4 * CHUNK));
                    }
                }
                Some(EncoderInput::End(complete)) => {
                    let summary = self.encoder.finish(complete)?;
                    self.send()?;
                    return Ok(summary);
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

fn broken_off() -> Problem {
    Problem::new(ProblemKind::Internal, "the file was broken off before its last row")
}
