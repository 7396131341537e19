//! Memory that the files under way may take together, whatever runs.
//!
//! A job that streams takes the share its files may need before the first of them begins, all at once, so that two jobs
//! never wait for each other; whoever waits longest is served first. Small results need none.

use std::sync::Arc;

use model::artifact::Format;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MIB: usize = 1 << 20;
/// Batches on their way from a reader to the encoders.
const JOB: usize = 8 * MIB;

/// The memory of one worker process.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    mebibytes: u32,
    /// What an upload holds: the part that fills, and one that is on its way.
    upload: usize,
}

impl Budget {
    /// Divides `bytes` among jobs whose uploads have parts of `part_size`.
    pub(crate) fn new(bytes: u64, part_size: u64) -> Self {
        let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).clamp(1, 1 << 24);
        let upload = usize::try_from(part_size).unwrap_or(usize::MAX).saturating_mul(2);
        Self { free: Arc::new(Semaphore::new(mebibytes as usize)), mebibytes, upload }
    }

    /// Waits for the share of a job that makes these files, and whose reader takes `beside`. A job that needs more than all there is gets all there is.
    pub(crate) async fn share(
        &self,
        formats: impl Iterator<Item = Format>,
        beside: usize,
    ) -> Option<OwnedSemaphorePermit> {
        let bytes = formats.fold(JOB.saturating_add(beside), |sum, format| {
            sum.saturating_add(encoder(format)).saturating_add(self.upload)
        });
        let share = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX).min(self.mebibytes);
        Arc::clone(&self.free).acquire_many_owned(share).await.ok()
    }
}

/// What an encoder of the format may hold.
const fn encoder(format: Format) -> usize {
    match format {
        Format::Csv | Format::Jsonl => 4 * MIB,
        // A page, tables of fonts, and a drawing or two.
        Format::Pdf => 8 * MIB,
        // The table of shared texts, and the batch from which the columns get their widths.
        Format::Xlsx => 12 * MIB,
        // A row group in memory, and one being written.
        Format::Parquet => 48 * MIB,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{Budget, MIB};
    use model::artifact::Format;

    #[test]
    fn a_job_waits_for_its_whole_share_and_the_first_to_wait_is_the_first_to_get_it() {
        let budget = Budget::new(32 * MIB as u64, MIB as u64);
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(budget.share([Format::Csv, Format::Csv].into_iter(), 0));
        let Poll::Ready(Some(first)) = first.as_mut().poll(&mut context) else { panic!("there is room for one") };
        let mut large = pin!(budget.share([Format::Parquet; 9].into_iter(), 0));
        assert!(large.as_mut().poll(&mut context).is_pending());
        let mut small = pin!(budget.share([Format::Csv].into_iter(), 0));
        assert!(small.as_mut().poll(&mut context).is_pending(), "nobody overtakes the large one");
        drop(first);
        let Poll::Ready(Some(large)) = large.as_mut().poll(&mut context) else { panic!("all of it is its share") };
        assert!(small.as_mut().poll(&mut context).is_pending());
        drop(large);
        assert!(small.as_mut().poll(&mut context).is_ready());
    }
}
