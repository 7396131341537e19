//! The first rows of a job are shown while it runs.
//!
//! They are kept by the store, so that every gateway can show them. A job that is over in a moment costs nothing: its file is
//! there before anybody could look.

use std::convert::Infallible;
use std::time::Duration;

use arrow_array::RecordBatch;
use formats::preview;
use parking_lot::Mutex;
use store::{NewPreview, PREVIEW_BYTES};
use tokio::sync::watch;

use crate::attempt::Attempt;
use crate::worker::Worker;

/// Rows shown.
const MAX_ROWS: usize = 50;
/// A job that is over within this time of its first row has no preview.
const FIRST_SAVE_AFTER: Duration = Duration::from_millis(300);
/// Rows that come slowly are shown at this pace.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// What has been seen of one attempt's rows.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    seen: Mutex<CollectedRows>,
    /// Grows with what is seen.
    version: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct CollectedRows {
    columns: String,
    rows: Vec<String>,
    bytes: usize,
    /// No further row is taken.
    full: bool,
    complete: bool,
    /// The version that the store has; 0: none.
    saved: usize,
}

impl Preview {
    /// Looks at rows, as long as there is room for them.
    pub(crate) fn add(&self, batch: &RecordBatch) {
        let mut seen = self.lock();
        if seen.full {
            return;
        }
        if seen.columns.is_empty() || seen.rows.len() < MAX_ROWS {
            // A column may have got its type since.
            seen.columns = preview::columns_json(batch.schema_ref()).to_string();
        }
        for row in 0..batch.num_rows() {
            let Ok(text) = preview::row_json(batch, row) else {
                seen.full = true;
                break;
            };
            if seen.rows.len() == MAX_ROWS || seen.columns.len() + seen.bytes + text.len() + 100 > PREVIEW_BYTES {
                seen.full = true;
                break;
            }
            seen.bytes += text.len() + 1;
            seen.rows.push(text);
        }
        drop(seen);
        self.version.send_modify(|version| *version += 1);
    }

    /// Says that there are no further rows. `complete`: because every row has been read.
    pub(crate) fn end(&self, complete: bool) {
        let mut seen = self.lock();
        seen.complete = complete && !seen.full;
        seen.full = true;
        drop(seen);
        self.version.send_modify(|version| *version += 1);
    }

    /// Saves what is seen as it grows, for as long as it is polled.
    pub(crate) async fn save_while_the_job_runs(&self, worker: &Worker, attempt: &Attempt) -> Infallible {
        let mut versions = self.version.subscribe();
        let mut pause = FIRST_SAVE_AFTER;
        loop {
            if versions.wait_for(|version| *version > self.lock().saved).await.is_err() {
                return std::future::pending().await;
            }
            tokio::time::sleep(pause).await;
            self.save(worker, attempt).await;
            pause = SAVE_EVERY;
        }
    }

    /// Saves the rest of what was seen, if there is a preview at all.
    pub(crate) async fn save_the_rest(&self, worker: &Worker, attempt: &Attempt) {
        let saved = self.lock().saved;
        if saved > 0 && *self.version.borrow() > saved {
            self.save(worker, attempt).await;
        }
    }

    async fn save(&self, worker: &Worker, attempt: &Attempt) {
        let (version, body) = {
            // The version first: what is seen meanwhile is saved twice rather than not at all.
            let version = *self.version.borrow();
            (version, self.lock().body())
        };
        let preview = NewPreview { job_id: attempt.job_id, worker_id: worker.id, attempt: attempt.attempt, body };
        match worker.backends.store.save_preview(preview).await {
            Ok(_) => self.lock().saved = version,
            Err(error) => tracing::debug!(job = %attempt.job_id, %error, "a preview could not be saved yet"),
        }
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, CollectedRows> {
        self.seen.lock()
    }
}

impl CollectedRows {
    fn body(&self) -> String {
        let (columns, rows, complete) = (&self.columns, self.rows.join(","), self.complete);
        let columns = if columns.is_empty() { "[]" } else { columns.as_str() };
        format!(r#"{{"columns":{columns},"rows":[{rows}],"complete":{complete}}}"#)
    }
}
