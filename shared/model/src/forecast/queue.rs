//! How long a job waits for its turn: slots of a lane, those who hold them, and those who come before.

use super::Range;

/// Many jobs, of which only their work in all is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Backlog {
    count: usize,
    /// Of which nobody knows how long they take.
    unknown: usize,
    work: f64,
    below: f64,
    above: f64,
}

impl Backlog {
    /// Returns how many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes one in.
    pub fn add(&mut self, job: Option<Range>) {
        self.count += 1;
        self.change(job, 1.0);
    }

    /// Lets one go.
    pub fn remove(&mut self, job: Option<Range>) {
        self.count = self.count.saturating_sub(1);
        self.change(job, -1.0);
    }

    /// Takes in `more` of which nothing is known but that they are like those that are here.
    pub fn grow_by(&mut self, more: u64) {
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        if self.count == 0 {
            self.unknown = more;
        } else {
            let factor = 1.0 + more as f64 / self.count as f64;
            self.work *= factor;
            self.below *= factor;
            self.above *= factor;
        }
        self.count = self.count.saturating_add(more);
    }

    /// Returns the first `count` of them, as far as these are like all.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let count = count.min(self.count);
        let part = if self.count == 0 { 0.0 } else { count as f64 / self.count as f64 };
        Self {
            count,
            unknown: (self.unknown as f64 * part).ceil() as usize,
            work: self.work * part,
            below: self.below * part,
            above: self.above * part,
        }
    }

    fn change(&mut self, job: Option<Range>, sign: f64) {
        let Some(range) = job else {
            self.unknown = if sign > 0.0 { self.unknown + 1 } else { self.unknown.saturating_sub(1) };
            return;
        };
        let (below, above) = range.spread();
        self.work = range.mean().mul_add(sign, self.work).max(0.0);
        self.below = (below * below).mul_add(sign, self.below).max(0.0);
        self.above = (above * above).mul_add(sign, self.above).max(0.0);
    }
}

/// Those ahead are put into slots one by one up to this many for each place; beyond, they are a stream.
const ONE_BY_ONE: usize = 4;

/// What stands between a job and its turn.
#[derive(Debug, Clone, Default)]
pub struct QueueModel {
    /// Jobs that live workers of the lane run at once.
    pub slots: usize,
    /// How much longer each running job takes; `None`: nobody knows.
    pub running: Vec<Option<Range>>,
    /// How long each job takes that comes before; `None`: nobody knows.
    pub ahead: Vec<Option<Range>>,
    /// Those that come before and are too many to be named.
    pub backlog: Backlog,
}

impl QueueModel {
    /// Predicts the wait.
    ///
    /// `None` when nobody knows: there is no worker, or there is no place free and somebody is ahead of whom nothing is known.
    #[must_use]
    pub fn wait(&self) -> Option<Range> {
        if self.slots == 0 {
            return None;
        }
        let ahead = self.ahead.len() + self.backlog.count;
        if self.running.len() + ahead < self.slots {
            return Some(Range::ZERO);
        }
        if self.backlog.unknown > 0 {
            return None;
        }
        let running: Vec<Range> = self.running.iter().copied().collect::<Option<_>>()?;
        let named: Vec<Range> = self.ahead.iter().copied().collect::<Option<_>>()?;
        let slots = self.slots as f64;
        let p50 = if ahead <= ONE_BY_ONE * self.slots && self.backlog.count == 0 {
            self.turn(&running, &named)
        } else {
            (sum(&running) + sum(&named) + self.backlog.work) / slots
        };
        let (mut below, mut above) = (self.backlog.below, self.backlog.above);
        for (low, high) in running.iter().chain(&named).map(|range| range.spread()) {
            below += low * low;
            above += high * high;
        }
        // Whoever is next depends on one place alone; with more ahead chances even out over all of them.
        let next = running.iter().min_by(|a, b| a.p50.total_cmp(&b.p50)).map_or((0.0, 0.0), |range| range.spread());
        let alone = 1.0 + ahead as f64 / slots;
        // What is wrong with every estimate alike does not even out.
        let shared = p50 * 0.1;
        let below = (below.sqrt() / slots).max(next.0 / alone).hypot(shared);
        let above = (above.sqrt() / slots).max(next.1 / alone).hypot(shared);
        Some(Range::around(p50, below, above))
    }

    /// Puts everybody ahead into the place that is free first, and returns when the next place is free.
    fn turn(&self, running: &[Range], ahead: &[Range]) -> f64 {
        let mut free: Vec<f64> = running.iter().map(|range| range.p50).collect();
        // More run than there are slots, where a worker has gone and its jobs have not been taken over yet.
        free.sort_by(f64::total_cmp);
        let beyond = free.len().saturating_sub(self.slots);
        free.drain(..beyond);
        free.resize(self.slots, 0.0);
        for job in ahead {
            if let Some(first) = free.iter_mut().min_by(|a, b| a.total_cmp(b)) {
                *first += job.p50;
            }
        }
        free.into_iter().min_by(f64::total_cmp).unwrap_or_default()
    }
}

fn sum(ranges: &[Range]) -> f64 {
    ranges.iter().map(|range| range.mean()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second() -> Range {
        Range { p10: 900.0, p50: 1000.0, p90: 1300.0 }
    }

    fn line(slots: usize, running: usize, ahead: usize) -> QueueModel {
        QueueModel {
            slots,
            running: vec![Some(second()); running],
            ahead: vec![Some(second()); ahead],
            ..QueueModel::default()
        }
    }

    #[test]
    fn nobody_waits_for_a_free_place() {
        assert_eq!(line(4, 3, 0).wait(), Some(Range::ZERO));
        assert_eq!(line(4, 1, 2).wait(), Some(Range::ZERO));
    }

    #[test]
    fn without_workers_or_knowledge_nothing_is_said() {
        assert_eq!(line(0, 0, 0).wait(), None);
        assert_eq!(QueueModel { running: vec![None], ..line(1, 0, 0) }.wait(), None);
        assert_eq!(QueueModel { ahead: vec![Some(second()), None], ..line(1, 1, 0) }.wait(), None);
        // Where a place is free it does not matter.
        assert_eq!(QueueModel { running: vec![None], ..line(2, 0, 0) }.wait(), Some(Range::ZERO));
    }

    #[test]
    fn the_wait_is_that_for_the_turn() {
        let near = |line: QueueModel, ms: f64| {
            let wait = line.wait().unwrap();
            assert!((wait.p50 / ms - 1.0).abs() < 0.15, "{wait:?} is not about {ms}");
            assert!(wait.p10 < wait.p50 && wait.p50 < wait.p90);
        };
        near(line(1, 1, 0), 1000.0);
        near(line(1, 1, 3), 4000.0);
        near(line(2, 2, 2), 2000.0);
        near(line(2, 2, 3), 2000.0);
        near(line(4, 4, 400), 101_000.0);
    }

    #[test]
    fn a_crowd_weighs_what_its_members_weigh() {
        let mut backlog = Backlog::default();
        for _ in 0..200 {
            backlog.add(Some(second()));
        }
        backlog.grow_by(300);
        for _ in 0..100 {
            backlog.remove(Some(second()));
        }
        let by_crowd = QueueModel { backlog, ..line(4, 4, 0) }.wait().unwrap();
        let by_name = line(4, 4, 400).wait().unwrap();
        assert_eq!(backlog.count(), 400);
        for (one, other) in [(by_crowd.p10, by_name.p10), (by_crowd.p50, by_name.p50), (by_crowd.p90, by_name.p90)] {
            assert!((one / other - 1.0).abs() < 1e-6, "{by_crowd:?} {by_name:?}");
        }
        backlog.add(None);
        assert_eq!(QueueModel { backlog, ..line(4, 4, 0) }.wait(), None);
    }

    proptest! {
        #[test]
        fn more_ahead_never_shortens_the_wait_and_more_places_never_lengthen_it(
            slots in 1..20_usize, running in 0..20_usize, ahead in 0..200_usize,
        ) {
            let running = running.min(slots);
            let wait = line(slots, running, ahead).wait().unwrap();
            prop_assert!(wait.p10 >= 0.0 && wait.p10 <= wait.p50 && wait.p50 <= wait.p90);
            // Where those ahead become a stream there is a step of half a job at most.
            let step = 700.0;
            prop_assert!(line(slots, running, ahead + 1).wait().unwrap().p50 >= wait.p50 - step);
            prop_assert!(line(slots + 1, running, ahead).wait().unwrap().p50 <= wait.p50 + step);
        }
    }
}
