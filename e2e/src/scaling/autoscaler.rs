//! How many workers there are to be, as KEDA and the Horizontal Pod Autoscaler say in their documents.
//!
//! KEDA: with no work for `cooldownPeriod` everything is scaled to zero; from zero the first work brings one. In between the HPA decides:
//! `ceil(metric / target)` for each metric, the largest counts; a step down follows only the largest of what was wanted within the
//! stabilisation window; and policies bound how many come and go in a period.

use std::collections::VecDeque;
use std::time::Duration;

/// The HPA leaves things as they are when the metric is this close to what it should be.
const TOLERANCE: f64 = 0.1;
/// Shorter than this nothing is squeezed: a process takes a part of it to start.
const SHORTEST: Duration = Duration::from_secs(1);

/// A `ScaledObject`.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Jobs for each worker.
    pub target: f64,
    /// There are never more.
    pub most: usize,
    /// Between two looks.
    pub polling: Duration,
    /// After so long without work there is none left.
    pub cooldown: Duration,
    /// Of a step down.
    pub stabilisation: Duration,
    /// Up: twice as many or four more, whichever is more, in this time.
    pub up_period: Duration,
    /// Down: one in this time.
    pub down_period: Duration,
}

/// Decides again and again.
#[derive(Debug)]
pub struct Autoscaler {
    /// What it decides by.
    pub rules: Rules,
    last_active: Duration,
    wanted: VecDeque<(Duration, usize)>,
    /// What came (above zero) and went (below), and when.
    changes: VecDeque<(Duration, isize)>,
}

impl Rules {
    /// As `deploy/k8s/components/autoscaling/report-worker-interactive.yaml` says, but down to none.
    #[must_use]
    pub fn interactive() -> Self {
        Self {
            target: f64::from(super::CONCURRENCY),
            most: 20,
            polling: Duration::from_secs(5),
            cooldown: Duration::from_secs(300),
            stabilisation: Duration::from_secs(300),
            up_period: Duration::from_secs(15),
            down_period: Duration::from_secs(30),
        }
    }

    /// The same for a day that passes so many times as fast.
    #[must_use]
    pub fn squeezed(self, times: f64) -> Self {
        let squeeze = |time: Duration| time.div_f64(times).max(SHORTEST);
        Self {
            polling: squeeze(self.polling),
            cooldown: squeeze(self.cooldown),
            stabilisation: squeeze(self.stabilisation),
            up_period: squeeze(self.up_period),
            down_period: squeeze(self.down_period),
            ..self
        }
    }
}

impl Autoscaler {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, last_active: Duration::ZERO, wanted: VecDeque::new(), changes: VecDeque::new() }
    }

    /// Says how many there are to be at `now`, when there are `current` and the triggers say `metrics`.
    pub fn decide(&mut self, now: Duration, metrics: &[f64], current: usize) -> usize {
        let active = metrics.iter().any(|metric| *metric > 0.0);
        if active {
            self.last_active = now;
        }
        let next = if current == 0 {
            usize::from(active)
        } else if !active && now.saturating_sub(self.last_active) >= self.rules.cooldown {
            0
        } else {
            let wanted = metrics.iter().map(|metric| self.wanted_for(*metric, current)).max().unwrap_or(current);
            let stable = self.stabilise(now, wanted.clamp(1, self.rules.most), current);
            self.limit(now, stable, current)
        };
        if next != current {
            self.changes.push_back((now, next.cast_signed() - current.cast_signed()));
        }
        next
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of workers are small"
    )]
    fn wanted_for(&self, metric: f64, current: usize) -> usize {
        let ratio = metric / (self.rules.target * current as f64);
        if (ratio - 1.0).abs() <= TOLERANCE { current } else { (metric / self.rules.target).ceil() as usize }
    }

    /// A step down follows the largest wish of the window.
    fn stabilise(&mut self, now: Duration, wanted: usize, current: usize) -> usize {
        self.wanted.push_back((now, wanted));
        while self.wanted.front().is_some_and(|(at, _)| now - *at > self.rules.stabilisation) {
            self.wanted.pop_front();
        }
        let most = self.wanted.iter().map(|(_, wanted)| *wanted).max().unwrap_or(wanted);
        if wanted >= current { wanted } else { most.min(current) }
    }

    fn limit(&mut self, now: Duration, wanted: usize, current: usize) -> usize {
        let longest = self.rules.up_period.max(self.rules.down_period);
        while self.changes.front().is_some_and(|(at, _)| now - *at >= longest) {
            self.changes.pop_front();
        }
        let moved = |within: Duration, up: bool| -> usize {
            let recent = self.changes.iter().filter(|(at, change)| now - *at < within && (*change > 0) == up);
            recent.map(|(_, change)| change.unsigned_abs()).sum()
        };
        if wanted > current {
            let before = current.saturating_sub(moved(self.rules.up_period, true));
            wanted.min((before * 2).max(before + 4)).max(current)
        } else {
            let before = current + moved(self.rules.down_period, false);
            wanted.max(before.saturating_sub(1)).min(current)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn autoscaler() -> Autoscaler {
        Autoscaler::new(Rules::interactive())
    }

    #[test]
    fn the_first_job_brings_one_and_a_queue_as_many_as_it_takes_but_in_steps() {
        let mut scaler = autoscaler();
        assert_eq!(scaler.decide(SECOND, &[0.0, 0.0], 0), 0);
        assert_eq!(scaler.decide(SECOND * 5, &[41.0, 3.0], 0), 1);
        // One came in this period, so there were none before: four more than none.
        assert_eq!(scaler.decide(SECOND * 10, &[41.0, 3.0], 1), 4);
        // A period later, four more than four; then twice as many, if they were wanted.
        assert_eq!(scaler.decide(SECOND * 30, &[41.0, 3.0], 4), 8);
        assert_eq!(scaler.decide(SECOND * 60, &[41.0, 3.0], 8), 11);
        assert_eq!(scaler.decide(SECOND * 90, &[400.0, 3.0], 11), 20);
    }

    #[test]
    fn the_larger_of_two_metrics_counts_and_what_is_nearly_right_stays() {
        let mut scaler = autoscaler();
        assert_eq!(scaler.decide(SECOND, &[4.0, 16.0], 2), 4);
        assert_eq!(scaler.decide(SECOND * 60, &[17.0, 0.0], 4), 4);
        assert_eq!(scaler.decide(SECOND * 120, &[18.0, 0.0], 4), 5);
    }

    #[test]
    fn a_step_down_waits_for_the_window_and_takes_one_at_a_time() {
        let mut scaler = autoscaler();
        assert_eq!(scaler.decide(SECOND, &[20.0], 5), 5);
        assert_eq!(scaler.decide(SECOND * 200, &[4.0], 5), 5, "within the window of five minutes");
        assert_eq!(scaler.decide(SECOND * 302, &[4.0], 5), 4);
        assert_eq!(scaler.decide(SECOND * 310, &[4.0], 4), 4, "one in half a minute");
        assert_eq!(scaler.decide(SECOND * 333, &[4.0], 4), 3);
    }

    #[test]
    fn nothing_is_left_once_there_was_no_work_for_the_cooldown() {
        let mut scaler = autoscaler();
        assert_eq!(scaler.decide(SECOND, &[4.0], 1), 1);
        assert_eq!(scaler.decide(SECOND * 299, &[0.0], 1), 1);
        assert_eq!(scaler.decide(SECOND * 301, &[0.0], 1), 0);
    }
}
