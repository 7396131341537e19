//! How many jobs wait in a lane, and how many of them before a moment, without ever counting them all at once.
//!
//! The queue is cut into parts of some thousand jobs by the time they were rung. A part that has been counted changes little: jobs leave
//! at the front and come at the end. So each look counts the first part anew, what has come behind the last one, and one part in
//! between, in turn. Everything is off by what has happened in the parts between since they were counted.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use super::{ForecastStore, QueuePart, Result};
use model::job::Lane;

/// Jobs in a part.
const PART: u32 = 5_000;
/// Parts that are counted in one look at each end.
const AT_ONCE: usize = 16;

/// The jobs that wait in one lane, as one process counts them.
#[derive(Debug, Clone)]
pub struct QueueCensus {
    lane: Lane,
    /// Full parts, those first that were rung first.
    parts: VecDeque<QueueSlice>,
    /// Those behind the last full part, once it is known that there are no more.
    rest: Option<u64>,
    /// The part whose turn it is.
    turn: usize,
}

#[derive(Debug, Clone, Copy)]
struct QueueSlice {
    until: DateTime<Utc>,
    count: u64,
}

impl QueueCensus {
    /// Has counted nothing yet.
    #[must_use]
    pub fn new(lane: Lane) -> Self {
        Self { lane, parts: VecDeque::new(), rest: None, turn: 0 }
    }

    /// Counts what has changed at both ends, and one part in between.
    ///
    /// # Errors
    /// The store's. What was counted stays.
    pub async fn look(&mut self, store: &(impl ForecastStore + ?Sized)) -> Result<()> {
        for _ in 0..AT_ONCE {
            let Some(first) = self.parts.front_mut() else { break };
            let part = QueuePart { after: None, until: Some(first.until) };
            first.count = store.count_waiting(self.lane, part, 2 * PART).await?.count;
            if first.count > 0 {
                break;
            }
            self.parts.pop_front();
        }
        self.turn = if self.turn + 1 < self.parts.len() { self.turn + 1 } else { 1 };
        let after = self.parts.get(self.turn - 1).map(|part| part.until);
        if let Some(part) = self.parts.get_mut(self.turn) {
            let between = QueuePart { after, until: Some(part.until) };
            part.count = store.count_waiting(self.lane, between, 2 * PART).await?.count;
        }
        for _ in 0..AT_ONCE {
            let after = self.parts.back().map(|part| part.until);
            let page = store.count_waiting(self.lane, QueuePart { after, until: None }, PART).await?;
            match page.until.filter(|_| page.full) {
                Some(until) => self.parts.push_back(QueueSlice { until, count: page.count }),
                None => {
                    self.rest = Some(page.count);
                    return Ok(());
                }
            }
        }
        // There is more than one look counts: what was behind the last part is not known any more.
        self.rest = None;
        Ok(())
    }

    /// Returns how many wait. `None`: they have not been counted to the end.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        Some(self.counted() + self.rest?)
    }

    /// Returns how many of those that wait have been counted so far.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.parts.iter().map(|part| part.count).sum()
    }

    /// Returns how many wait that were rung before `at`, of a queue whose end is `now`. `None`: that was not counted yet.
    #[must_use]
    pub fn before(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> Option<u64> {
        let mut before = 0;
        let mut began = None;
        for part in &self.parts {
            if at <= part.until {
                return Some(before + share(part.count, began, at, part.until));
            }
            before += part.count;
            began = Some(part.until);
        }
        Some(before + share(self.rest?, began, at, now))
    }
}

/// The part of `count` jobs, rung evenly from `began` until `ended`, that was rung before `at`. Of a part that has no beginning it is
/// not known how they lie: about half.
fn share(count: u64, began: Option<DateTime<Utc>>, at: DateTime<Utc>, ended: DateTime<Utc>) -> u64 {
    let Some(began) = began else { return count / 2 };
    let (passed, whole) = ((at - began).as_seconds_f64(), (ended - began).as_seconds_f64());
    if whole <= 0.0 { count } else { (count as f64 * (passed / whole).clamp(0.0, 1.0)) as u64 }
}
