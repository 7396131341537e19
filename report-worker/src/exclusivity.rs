//! Who runs beside whom. A job that lost two workers runs alone, so that the third loss can be nobody's but its own.
//!
//! Every other attempt holds one side of a lock, an attempt that is alone holds all of it. While one waits for the others to
//! end, or runs, this worker takes nothing new: what it is offered goes to other workers.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch};
use uuid::Uuid;

/// The right of one attempt to run here. It ends when this is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for what its end does")]
pub(crate) enum RunPermit {
    /// Beside others.
    Shared(OwnedRwLockReadGuard<()>),
    /// With nobody else in the process.
    Exclusive(OwnedRwLockWriteGuard<()>, ExclusiveGuard),
}

/// The attempts of this process, as far as they bear each other.
#[derive(Debug)]
pub(crate) struct Exclusivity {
    lock: Arc<RwLock<()>>,
    /// Attempts that are alone here or wait to be.
    alone: watch::Sender<usize>,
    /// Jobs whose doorbell is being looked at by somebody who would run them alone.
    expected: Mutex<HashSet<Uuid>>,
}

/// While it lives nobody else begins.
#[derive(Debug)]
pub(crate) struct ExclusiveGuard(watch::Sender<usize>);

impl Drop for ExclusiveGuard {
    fn drop(&mut self) {
        self.0.send_modify(|alone| *alone -= 1);
    }
}

/// While it lives further doorbells of the job are one too many.
#[derive(Debug)]
pub(crate) struct ExpectedJob<'a> {
    exclusivity: &'a Exclusivity,
    job_id: Uuid,
}

impl Drop for ExpectedJob<'_> {
    fn drop(&mut self) {
        self.exclusivity.expected().remove(&self.job_id);
    }
}

impl Default for Exclusivity {
    fn default() -> Self {
        Self { lock: Arc::default(), alone: watch::Sender::new(0), expected: Mutex::default() }
    }
}

impl Exclusivity {
    /// Takes a permit to run beside others. `None`: somebody is alone here, or is about to be.
    pub(crate) fn try_share(&self) -> Option<RunPermit> {
        if *self.alone.borrow() > 0 {
            return None;
        }
        Arc::clone(&self.lock).try_read_owned().ok().map(RunPermit::Shared)
    }

    /// Keeps others out, waits until those who run here have ended, and takes the permit to run alone.
    pub(crate) async fn acquire_exclusive(&self) -> RunPermit {
        self.alone.send_modify(|alone| *alone += 1);
        let guard = ExclusiveGuard(self.alone.clone());
        RunPermit::Exclusive(Arc::clone(&self.lock).write_owned().await, guard)
    }

    /// Tells whether nothing runs here.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock.try_write().is_ok()
    }

    /// Notes that a job is expected to run alone here. `None`: it is already.
    pub(crate) fn expect_exclusive(&self, job_id: Uuid) -> Option<ExpectedJob<'_>> {
        self.expected().insert(job_id).then(|| ExpectedJob { exclusivity: self, job_id })
    }

    /// Waits until others are kept out.
    pub(crate) async fn until_exclusive(&self) {
        self.until(|alone| alone > 0).await;
    }

    /// Waits until others are let in.
    pub(crate) async fn until_shared(&self) {
        self.until(|alone| alone == 0).await;
    }

    async fn until(&self, reached: impl Fn(usize) -> bool) {
        let mut alone = self.alone.subscribe();
        if alone.wait_for(|alone| reached(*alone)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn expected(&self) -> parking_lot::MutexGuard<'_, HashSet<Uuid>> {
        self.expected.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;

    #[tokio::test]
    async fn whoever_is_to_be_alone_waits_for_the_others_and_keeps_new_ones_out() {
        let exclusivity = Exclusivity::default();
        let (first, second) = (exclusivity.try_share().unwrap(), exclusivity.try_share().unwrap());
        assert!(!exclusivity.is_idle());
        let mut alone = pin!(exclusivity.acquire_exclusive());
        assert!(poll!(alone.as_mut()).is_pending());
        assert!(exclusivity.try_share().is_none(), "nobody joins while somebody waits to be alone");
        drop(first);
        assert!(poll!(alone.as_mut()).is_pending());
        drop(second);
        let permit = alone.await;
        assert!(exclusivity.try_share().is_none() && !exclusivity.is_idle());
        drop(permit);
        assert!(exclusivity.is_idle() && exclusivity.try_share().is_some());
        exclusivity.until_shared().await;
    }

    #[tokio::test]
    async fn two_that_must_be_alone_come_one_after_the_other() {
        let exclusivity = Exclusivity::default();
        let first = exclusivity.acquire_exclusive().await;
        let mut second = pin!(exclusivity.acquire_exclusive());
        assert!(poll!(second.as_mut()).is_pending());
        drop(first);
        let second = second.await;
        assert!(exclusivity.try_share().is_none());
        drop(second);
        assert!(exclusivity.try_share().is_some());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_to_be_alone_lets_others_in_again() {
        let exclusivity = Exclusivity::default();
        let _running = exclusivity.try_share().unwrap();
        let mut alone = Box::pin(exclusivity.acquire_exclusive());
        assert!(poll!(alone.as_mut()).is_pending());
        exclusivity.until_exclusive().await;
        drop(alone);
        assert!(exclusivity.try_share().is_some());
    }

    #[test]
    fn a_job_is_expected_once() {
        let exclusivity = Exclusivity::default();
        let job = Uuid::now_v7();
        let expected = exclusivity.expect_exclusive(job).unwrap();
        assert!(exclusivity.expect_exclusive(job).is_none() && exclusivity.expect_exclusive(Uuid::now_v7()).is_some());
        drop(expected);
        assert!(exclusivity.expect_exclusive(job).is_some());
    }
}
