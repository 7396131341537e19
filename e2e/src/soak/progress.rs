//! Says every five seconds how it goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::job::JobState;
use store::Store;

use super::tally::Tally;

const EVERY: Duration = Duration::from_secs(5);

/// Shows progress until aborted, and tells the load how much is waiting.
pub(super) async fn show(tally: Arc<Tally>, store: Arc<dyn Store>) {
    let mut looks = tokio::time::interval(Duration::from_secs(1));
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said = tally.elapsed();
    loop {
        looks.tick().await;
        let counts = tokio::time::timeout(EVERY, store.job_counts()).await;
        let counts = counts.ok().and_then(Result::ok);
        let mut known = "unknown".to_owned();
        if let Some(counts) = counts {
            let of = |wanted: JobState| counts.iter().filter(|(_, s, _)| *s == wanted).map(|(_, _, n)| n).sum::<u64>();
            let all = [JobState::Pending, JobState::Processing, JobState::Retrying].map(of);
            let sum = all.iter().sum::<u64>();
            tally.unfinished.store(usize::try_from(sum).unwrap_or(usize::MAX), Ordering::Relaxed);
            known = format!("{} wait, {} run, {} retry", all[0], all[1], all[2]);
        }
        if tally.elapsed() - said >= EVERY {
            said = tally.elapsed();
            let (faults, left) = (tally.faults().values().sum::<u32>(), tally.left().as_secs());
            let accepted = tally.accepted.load(Ordering::Relaxed);
            let schedules = tally.schedules.load(Ordering::Relaxed);
            tally.say(&format!(
                "{left} s left; {accepted} jobs accepted, {schedules} schedules, {known}; {faults} faults, now: {}",
                tally.now()
            ));
        }
    }
}
