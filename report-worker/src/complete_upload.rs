//! The last step of a file: what was uploaded gets its name.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use storage::{StorageError, Stored, Upload};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::failpoint::fail_here;

/// Whether a file may have its name by now, and whether it may still get it.
///
/// A request on its way to the storage cannot be called back: the object may appear after it was deleted. So this step is never
/// broken off, only left to itself, and whoever deletes the file waits for its end.
#[derive(Debug, Default)]
pub(crate) struct UploadCompletion {
    begun: AtomicBool,
    detached: TaskTracker,
}

impl UploadCompletion {
    /// Makes the file durable and visible.
    ///
    /// # Errors
    /// Those of [`Upload::finish`].
    pub(crate) async fn complete(&self, upload: Upload) -> Result<Stored, StorageError> {
        fail_here!("before_finish_upload");
        self.begun.store(true, Ordering::Release);
        DetachOnDrop { completing: Some(Box::pin(upload.finish())), detached: &self.detached }.await
    }

    /// Tells whether an object may stand under the file's key, or still come to stand there.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Waits until no object can come any more.
    pub(crate) async fn wait_for_detached(&self) {
        self.detached.close();
        self.detached.wait().await;
    }
}

type Completion = Pin<Box<dyn Future<Output = Result<Stored, StorageError>> + Send>>;

/// Goes on in the background when nobody waits for it any more.
struct DetachOnDrop<'a> {
    completing: Option<Completion>,
    detached: &'a TaskTracker,
}

impl Future for DetachOnDrop<'_> {
    type Output = Result<Stored, StorageError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(completing) = self.completing.as_mut() else { return Poll::Pending };
        let polled = completing.as_mut().poll(context);
        if polled.is_ready() {
            self.completing = None;
        }
        polled
    }
}

impl Drop for DetachOnDrop<'_> {
    fn drop(&mut self) {
        if let (Some(completing), Ok(runtime)) = (self.completing.take(), Handle::try_current()) {
            self.detached.spawn_on(completing, &runtime);
        }
    }
}
