//! Pauses between tries of something that is tried until it succeeds.

use std::time::Duration;

/// Each pause is twice as long as the one before, up to a longest, and shortened at random by up to half, so that those who failed
/// together do not come back together.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts with a pause of up to `first`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Returns how long to wait before the next try.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())
    }

    /// Starts again with the first pause: a try has succeeded.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again_after_a_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1_000));
        for most in [100, 200, 400, 800, 1_000, 1_000] {
            let pause = backoff.pause();
            assert!(pause <= ms(most) && pause >= ms(most / 2), "{pause:?} and at most {most} ms");
        }
        backoff.reset();
        assert!(backoff.pause() <= ms(100));
    }
}
