//! A range of durations, by quantiles.

/// Where a duration will fall: a tenth of the time below `p10`, half of it below `p50`, nine tenths below `p90`. In milliseconds;
/// never negative, and in order.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Range {
    /// Nine in ten take longer.
    pub p10: f64,
    /// Half take longer.
    pub p50: f64,
    /// One in ten takes longer.
    pub p90: f64,
}

/// From so many samples on the samples themselves are the quantiles: the smallest and the largest of nine hold eight tenths of
/// what follows, whatever its distribution.
const ENOUGH: usize = 9;

impl Range {
    /// No time at all.
    pub const ZERO: Self = Self { p10: 0.0, p50: 0.0, p90: 0.0 };

    /// Makes a range of a median and the distances of its ends; what would be negative is zero.
    #[must_use]
    pub fn around(p50: f64, below: f64, above: f64) -> Self {
        let p50 = p50.max(0.0);
        Self { p10: (p50 - below.max(0.0)).max(0.0), p50, p90: p50 + above.max(0.0) }
    }

    /// Predicts the next value after `samples`, in any order. `None` for fewer than two.
    ///
    /// The k-th of n samples in order is taken for the quantile k/(n+1): so often is the next value below it. Fewer than
    /// nine do not reach out to a tenth; those are extended as if their logarithms were normally distributed.
    #[must_use]
    pub fn predict(mut samples: Vec<f64>) -> Option<Self> {
        if samples.len() < 2 {
            return None;
        }
        for sample in &mut samples {
            *sample = sample.max(0.0);
        }
        samples.sort_by(f64::total_cmp);
        let p50 = quantile(&samples, 0.5);
        if samples.len() >= ENOUGH {
            return Some(Self { p10: quantile(&samples, 0.1), p50, p90: quantile(&samples, 0.9) });
        }
        let (low, high) = lognormal(&samples);
        Some(Self { p10: low.min(p50), p50, p90: high.max(p50) })
    }

    /// One after the other, independently: medians add up, distances from them like the sides of a right triangle.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let below = (self.p50 - self.p10).hypot(next.p50 - next.p10);
        let above = (self.p90 - self.p50).hypot(next.p90 - next.p50);
        Self::around(self.p50 + next.p50, below, above)
    }

    /// Between two ranges: `share` (0 to 1) of the way from the first to the second.
    #[must_use]
    pub fn blend(self, other: Self, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let mix = |a: f64, b: f64| a.mul_add(1.0 - share, b * share);
        Self { p10: mix(self.p10, other.p10), p50: mix(self.p50, other.p50), p90: mix(self.p90, other.p90) }
    }

    /// Returns the mean, as far as the range tells: medians of long-tailed times add up to less than the times do.
    #[must_use]
    pub fn mean(self) -> f64 {
        (self.p10 + self.p50 + self.p90) / 3.0
    }

    /// Returns a range as many times as long, where how many is uncertain too.
    #[must_use]
    pub fn times(self, factor: Self) -> Self {
        if self.p50 <= 0.0 || factor.p50 <= 0.0 {
            return Self { p10: 0.0, p50: 0.0, p90: self.p90 * factor.p90 };
        }
        let part = |end: f64, middle: f64| (end / middle).ln();
        let below = part(self.p10, self.p50).hypot(part(factor.p10, factor.p50));
        let above = part(self.p90, self.p50).hypot(part(factor.p90, factor.p50));
        let p50 = self.p50 * factor.p50;
        Self { p10: p50 * (-below).exp(), p50, p90: p50 * above.exp() }
    }

    /// Returns a range as many times as long.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { p10: self.p10 * factor, p50: self.p50 * factor, p90: self.p90 * factor }
    }

    /// Returns how far the ends are from the median: `(below, above)`.
    #[must_use]
    pub fn spread(self) -> (f64, f64) {
        (self.p50 - self.p10, self.p90 - self.p50)
    }
}

/// The middle of samples in any order; zero of none.
pub(super) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    if samples.is_empty() { 0.0 } else { quantile(&samples, 0.5) }
}

/// The quantile of sorted, non-empty samples, between its two neighbours.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = (p * (sorted.len() + 1) as f64 - 1.0).clamp(0.0, (sorted.len() - 1) as f64);
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(low), Some(high)) => low + (high - low) * place.fract(),
        _ => 0.0,
    }
}

/// The tenths of a log-normal distribution's next value, with Student's t for few samples.
fn lognormal(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    // A millisecond is the least that differs.
    let logs: Vec<f64> = samples.iter().map(|sample| sample.max(1.0).ln()).collect();
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
    // Within a hundredth of Student's t at nine tenths from four degrees of freedom on.
    let student = 1.2816 + 1.0 / (count - 1.0);
    let reach = student * (variance * (1.0 + 1.0 / count)).sqrt();
    ((mean - reach).exp(), (mean + reach).exp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(0.0..1e7_f64, 2..120)
    }

    fn ordered(range: Range) -> bool {
        range.p10 >= 0.0 && range.p10 <= range.p50 && range.p50 <= range.p90 && range.p90.is_finite()
    }

    proptest! {
        #[test]
        fn quantiles_are_in_order_and_never_negative(samples in samples()) {
            prop_assert!(ordered(Range::predict(samples).unwrap()));
        }

        #[test]
        fn what_follows_takes_longer_than_each_part(one in samples(), other in samples(), share in 0.0..1.0_f64) {
            let (one, other) = (Range::predict(one).unwrap(), Range::predict(other).unwrap());
            let both = one.then(other);
            prop_assert!(ordered(both) && ordered(one.blend(other, share)));
            prop_assert!(ordered(one.times(other)));
            prop_assert!(both.p50 >= one.p50.max(other.p50) && both.p90 >= one.p90.max(other.p90) - 1e-6);
        }

        #[test]
        fn slower_samples_are_never_predicted_faster(samples in samples(), factor in 1.0..10.0_f64) {
            let slower = Range::predict(samples.iter().map(|sample| sample * factor).collect()).unwrap();
            let range = Range::predict(samples).unwrap();
            prop_assert!(slower.p50 >= range.p50 && slower.p90 >= range.p90 - 1e-6);
        }
    }

    #[test]
    fn nothing_is_predicted_from_one_sample() {
        assert_eq!((Range::predict(vec![]), Range::predict(vec![5.0])), (None, None));
    }

    #[test]
    fn equal_samples_are_a_range_without_width() {
        for count in [2, 8, 9, 50] {
            let range = Range::predict(vec![20.0; count]).unwrap();
            assert!((range.p10 - 20.0).abs() < 1e-9 && (range.p90 - 20.0).abs() < 1e-9, "{count}: {range:?}");
        }
    }

    /// Draws that are the same each time, of a distribution with a long tail.
    fn draws(count: usize) -> Vec<f64> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..count).map(|_| (0..6).map(|_| uniform()).sum::<f64>().exp()).collect()
    }

    #[test]
    fn eight_in_ten_fall_inside_whatever_the_number_of_samples() {
        for known in [5, 7, 9, 12, 25, 50] {
            let draws = draws(20_000);
            let (mut inside, mut below, mut all) = (0.0, 0.0, 0.0);
            for part in draws.chunks_exact(known + 1) {
                let (next, samples) = part.split_last().unwrap();
                let range = Range::predict(samples.to_vec()).unwrap();
                all += 1.0;
                inside += f64::from(u8::from(range.p10 <= *next && *next <= range.p90));
                below += f64::from(u8::from(*next <= range.p50));
            }
            let (inside, below) = (inside / all, below / all);
            assert!((0.75..=0.87).contains(&inside), "{known}: {inside}");
            assert!((0.44..=0.56).contains(&below), "{known}: {below}");
        }
    }
}
