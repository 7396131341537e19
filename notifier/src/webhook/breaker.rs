//! Leaves an endpoint alone that does not answer, or that asked for it. The others notice nothing of it.

use std::time::{Duration, Instant};

/// After so many failures in a row an endpoint is left alone.
const FAILURES: u32 = 5;
/// For so long at first, and for twice as long after each try that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How an exchange with an endpoint went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// Something is there that answers for it.
    Answered,
    /// Nothing did, or it says itself that it cannot.
    Failed,
}

/// Whether an endpoint may be told something now.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    /// Left alone until then.
    until: Option<Instant>,
    pause: Duration,
    /// One is trying whether it answers again, until then at the latest.
    trying: Option<Instant>,
    /// What a try may take.
    patience: Duration,
}

impl Breaker {
    pub(super) const fn new(patience: Duration) -> Self {
        Self { failures: 0, until: None, pause: FIRST_PAUSE, trying: None, patience }
    }

    /// Asks to tell it something.
    ///
    /// # Errors
    /// For how long it is left alone.
    pub(super) fn enter(&mut self, now: Instant) -> Result<(), Duration> {
        let left = |until: Option<Instant>| {
            until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
        };
        if let Some(left) = left(self.until) {
            return Err(left);
        }
        if self.failures < FAILURES {
            return Ok(());
        }
        // One tries; the others see first how it goes.
        if let Some(left) = left(self.trying) {
            return Err(left);
        }
        self.trying = Some(now + self.patience);
        Ok(())
    }

    /// Takes down how it went.
    pub(super) fn leave(&mut self, now: Instant, exchange: Exchange) {
        self.trying = None;
        if exchange == Exchange::Answered {
            (self.failures, self.pause) = (0, FIRST_PAUSE);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        // Several may have been under way: they fail together, and count as one.
        let is_left_alone = self.until.is_some_and(|until| until > now);
        if self.failures >= FAILURES && !is_left_alone {
            self.leave_alone(now, self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Leaves it alone for this long: it asked for it.
    pub(super) fn leave_alone(&mut self, now: Instant, time: Duration) {
        let until = now + time;
        self.until = Some(self.until.map_or(until, |other| other.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fail(breaker: &mut Breaker, now: Instant, times: u32) {
        for _ in 0..times {
            breaker.enter(now).unwrap();
            breaker.leave(now, Exchange::Failed);
        }
    }

    #[test]
    fn who_does_not_answer_is_left_alone_longer_and_longer_and_tried_by_one_at_a_time() {
        let (mut breaker, mut now) = (Breaker::new(15 * SECOND), Instant::now());
        fail(&mut breaker, now, 4);
        breaker.enter(now).unwrap();
        breaker.leave(now, Exchange::Answered);
        fail(&mut breaker, now, 5);
        // Others that were under way fail too, and that is no news.
        breaker.leave(now, Exchange::Failed);
        for pause in [30, 60, 120, 240, 480, 600, 600] {
            assert_eq!(breaker.enter(now), Err(pause * SECOND));
            now += pause * SECOND;
            assert_eq!(breaker.enter(now), Ok(()));
            assert_eq!(breaker.enter(now), Err(15 * SECOND), "another one tries");
            breaker.leave(now, Exchange::Failed);
        }
        now += 600 * SECOND;
        breaker.enter(now).unwrap();
        // That try was cut off and never came back.
        now += 15 * SECOND;
        breaker.enter(now).unwrap();
        breaker.leave(now, Exchange::Answered);
        fail(&mut breaker, now, 4);
        assert_eq!(breaker.enter(now), Ok(()));
    }

    #[test]
    fn who_asks_to_be_left_alone_is_left_alone() {
        let (mut breaker, now) = (Breaker::new(SECOND), Instant::now());
        breaker.leave_alone(now, 7 * SECOND);
        breaker.leave_alone(now, 2 * SECOND);
        breaker.leave(now, Exchange::Answered);
        assert_eq!(breaker.enter(now), Err(7 * SECOND));
        assert_eq!(breaker.enter(now + 7 * SECOND), Ok(()));
    }
}
