//! Who runs beside whom. A job that lost two workers runs alone, so that the third loss can be nobody's but its own.
//!
//! Every other attempt holds one side of a lock, an attempt that is alone holds all of it. While one waits for the others to
//! end, or runs, this worker takes nothing new: what it is offered goes to other workers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch};
use uuid::Uuid;

/// The right of one attempt to run here. It ends when this is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for what its end does")]
pub(crate) enum Place {
    /// Beside others.
    Beside(OwnedRwLockReadGuard<()>),
    /// With nobody else in the process.
    Alone(OwnedRwLockWriteGuard<()>, KeptOut),
}

/// The attempts of this process, as far as they bear each other.
#[derive(Debug)]
pub(crate) struct LoadLevel {
    lock: Arc<RwLock<()>>,
    /// Attempts that are alone here or wait to be.
    alone: watch::Sender<usize>,
    /// Jobs whose doorbell is being looked at by somebody who would run them alone.
    expected: Mutex<HashSet<Uuid>>,
}

/// While it lives nobody else begins.
#[derive(Debug)]
pub(crate) struct KeptOut(watch::Sender<usize>);

impl Drop for KeptOut {
    fn drop(&mut self) {
        self.0.send_modify(|alone| *alone -= 1);
    }
}

/// While it lives further doorbells of the job are one too many.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    company: &'a LoadLevel,
    job_id: Uuid,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.company.expected().remove(&self.job_id);
    }
}

impl Default for LoadLevel {
    fn default() -> Self {
        Self { lock: Arc::default(), alone: watch::Sender::new(0), expected: Mutex::default() }
    }
}

impl LoadLevel {
    /// Takes a place beside others. `None`: somebody is alone here, or is about to be.
    pub(crate) fn join(&self) -> Option<Place> {
        if *self.alone.borrow() > 0 {
            return None;
        }
        Arc::clone(&self.lock).try_read_owned().ok().map(Place::Beside)
    }

    /// Keeps others out, waits until those who run here have ended, and takes the place alone.
    pub(crate) async fn be_alone(&self) -> Place {
        self.alone.send_modify(|alone| *alone += 1);
        let kept_out = KeptOut(self.alone.clone());
        Place::Alone(Arc::clone(&self.lock).write_owned().await, kept_out)
    }

    /// Tells whether nothing runs here.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lock.try_write().is_ok()
    }

    /// Notes that a job is expected to run alone here. `None`: it is already.
    pub(crate) fn expect(&self, job_id: Uuid) -> Option<Expected<'_>> {
        self.expected().insert(job_id).then(|| Expected { company: self, job_id })
    }

    /// Waits until others are kept out.
    pub(crate) async fn closed(&self) {
        self.until(|alone| alone > 0).await;
    }

    /// Waits until others are let in.
    pub(crate) async fn open(&self) {
        self.until(|alone| alone == 0).await;
    }

    async fn until(&self, reached: impl Fn(usize) -> bool) {
        let mut alone = self.alone.subscribe();
        if alone.wait_for(|alone| reached(*alone)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn expected(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;

    #[tokio::test]
    async fn whoever_is_to_be_alone_waits_for_the_others_and_keeps_new_ones_out() {
        let company = LoadLevel::default();
        let (first, second) = (company.join().unwrap(), company.join().unwrap());
        assert!(!company.is_quiet());
        let mut alone = pin!(company.be_alone());
        assert!(poll!(alone.as_mut()).is_pending());
        assert!(company.join().is_none(), "nobody joins while somebody waits to be alone");
        drop(first);
        assert!(poll!(alone.as_mut()).is_pending());
        drop(second);
        let place = alone.await;
        assert!(company.join().is_none() && !company.is_quiet());
        drop(place);
        assert!(company.is_quiet() && company.join().is_some());
        company.open().await;
    }

    #[tokio::test]
    async fn two_that_must_be_alone_come_one_after_the_other() {
        let company = LoadLevel::default();
        let first = company.be_alone().await;
        let mut second = pin!(company.be_alone());
        assert!(poll!(second.as_mut()).is_pending());
        drop(first);
        let second = second.await;
        assert!(company.join().is_none());
        drop(second);
        assert!(company.join().is_some());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_to_be_alone_lets_others_in_again() {
        let company = LoadLevel::default();
        let _running = company.join().unwrap();
        let mut alone = Box::pin(company.be_alone());
        assert!(poll!(alone.as_mut()).is_pending());
        company.closed().await;
        drop(alone);
        assert!(company.join().is_some());
    }

    #[test]
    fn a_job_is_expected_once() {
        let company = LoadLevel::default();
        let job = Uuid::now_v7();
        let expected = company.expect(job).unwrap();
        assert!(company.expect(job).is_none() && company.expect(Uuid::now_v7()).is_some());
        drop(expected);
        assert!(company.expect(job).is_some());
    }
}
