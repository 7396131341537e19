//! Memory that the files under way may take together, whatever runs.
//!
//! A job that streams takes the share its files may need before the first of them begins, all at once, so that two jobs
//! never wait for each other; whoever waits longest is served first. Small results need none.

use std::sync::Arc;

use formats::format_writer;
use model::artifact::Format;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MIB: usize = 1 << 20;
/// Batches on their way from a reader to the encoders.
const BATCHES_IN_FLIGHT: usize = 8 * MIB;

/// The memory of one worker process.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    free: Arc<Semaphore>,
    mebibytes: u32,
    /// What an upload holds: the part that fills, and one that is on its way.
    upload: usize,
}

impl MemoryBudget {
    /// Divides `bytes` among jobs whose uploads have parts of `part_size`.
    pub(crate) fn new(bytes: u64, part_size: u64) -> Self {
        let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).clamp(1, 1 << 24);
        let upload = usize::try_from(part_size).unwrap_or(usize::MAX).saturating_mul(2);
        Self { free: Arc::new(Semaphore::new(mebibytes as usize)), mebibytes, upload }
    }

    /// Waits for the share of a job that makes these files, and whose reader takes `reader_memory`. A job that needs more than all there is gets all there is.
    pub(crate) async fn share(
        &self,
        formats: impl Iterator<Item = Format>,
        reader_memory: usize,
    ) -> Option<OwnedSemaphorePermit> {
        let bytes = formats.fold(BATCHES_IN_FLIGHT.saturating_add(reader_memory), |sum, format| {
            sum.saturating_add(format_writer(format).memory).saturating_add(self.upload)
        });
        let share = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX).min(self.mebibytes);
        Arc::clone(&self.free).acquire_many_owned(share).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{MIB, MemoryBudget};
    use model::artifact::Format;

    #[test]
    fn a_job_waits_for_its_whole_share_and_the_first_to_wait_is_the_first_to_get_it() {
        let budget = MemoryBudget::new(32 * MIB as u64, MIB as u64);
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
