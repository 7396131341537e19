//! The axis of values: round steps, and short labels for them.

/// From the lowest to the highest line of the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) step: f64,
}

impl Scale {
    /// Finds round steps for values from `low` to `high`, both finite. Whatever they are, every line is a finite number.
    pub(super) fn of(low: f64, high: f64) -> Self {
        let most = low.abs().max(high.abs());
        // Differences that a double of this size hardly holds are none: one value has zero on its scale.
        let apart = high / 4.0 - low / 4.0 > most * LEAST_APART;
        let (low, high) = match (apart, most < SMALLEST) {
            (true, false) => (low, high),
            (_, true) => (0.0, 1.0),
            (false, false) => (low.min(0.0), high.max(0.0)),
        };
        // Divided before the difference is taken: from one end of the doubles to the other is more than a double holds.
        let rough = high / 4.0 - low / 4.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * magnitude);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * magnitude);
        let within = |line: f64| line.clamp(f64::MIN, f64::MAX);
        Self {
            low: within((low / step + CLOSE).floor() * step),
            high: within((high / step - CLOSE).ceil() * step),
            step,
        }
    }

    /// Returns the lines of the grid.
    pub(super) fn lines(&self) -> impl Iterator<Item = f64> + use<> {
        let Self { low, high, step } = *self;
        // At both ends of the doubles a line may be less than a step from its neighbour.
        let (first, last) = ((low / step).round(), (high / step).round());
        let count = (last - first).clamp(0.0, 20.0) as u32;
        (0..=count).map(move |number| line(first + f64::from(number), step))
    }

    /// Tells where between low (0) and high (1) a value is.
    pub(super) fn part(&self, value: f64) -> f32 {
        let part = (value / 4.0 - self.low / 4.0) / (self.high / 4.0 - self.low / 4.0);
        (part as f32).clamp(0.0, 1.0)
    }

    /// Labels a line of the grid, so that it is told from its neighbours.
    pub(super) fn label(&self, value: f64) -> String {
        if value.abs() < self.step / 1e6 {
            return "0".to_owned();
        }
        let units = unit(self.low.abs().max(self.high.abs())).into_iter().chain([(1.0, "")]);
        for (unit, name) in units.filter(|(unit, _)| value.abs() / unit < LARGEST_PLAIN) {
            let step = self.step / unit;
            if let Some(decimals) = (0_u8..=6).find(|digits| is_whole(step * 10_f64.powi(i32::from(*digits)))) {
                return format!("{:.*}{name}", usize::from(decimals), value / unit);
            }
        }
        // As many digits as tell a step, and one for steps of two and a half.
        let digits = (value.abs().log10().floor() - self.step.log10().floor()).clamp(0.0, 15.0) as usize + 1;
        let text = format!("{value:.digits$e}");
        let Some((mantissa, exponent)) = text.split_once('e') else { return text };
        let mantissa =
            if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        format!("{mantissa}e{exponent}")
    }
}

/// Returns line `number` from zero.
fn line(number: f64, step: f64) -> f64 {
    (number * step).clamp(f64::MIN, f64::MAX)
}

/// Part of the greatest value that the quarter of a scale is at least.
const LEAST_APART: f64 = 1e-12;
/// Part of a step by which a value may miss a line that it is on.
const CLOSE: f64 = 1e-9;
/// Less than this is nothing: such doubles have no digits left.
const SMALLEST: f64 = 1e-300;
/// Numbers from here on are written with an exponent.
const LARGEST_PLAIN: f64 = 1e7;
/// Numbers below are, too.
const SMALLEST_PLAIN: f64 = 1e-4;

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6 && value.abs() >= 0.5
}

/// Returns the unit for numbers of this size. `None`: they are too large for one.
fn unit(most: f64) -> Option<(f64, &'static str)> {
    match most {
        most if most >= 1e18 => None,
        most if most >= 1e15 => Some((1e15, " qn")),
        most if most >= 1e12 => Some((1e12, " tn")),
        most if most >= 1e9 => Some((1e9, " bn")),
        most if most >= 1e6 => Some((1e6, " M")),
        most if most >= 1e4 => Some((1e3, " k")),
        _ => Some((1.0, "")),
    }
}

/// Writes a value with three digits that matter.
pub(super) fn short(value: f64) -> String {
    let Some((unit, name)) = unit(value.abs()).filter(|_| value == 0.0 || value.abs() >= SMALLEST_PLAIN) else {
        return format!("{value:.2e}");
    };
    let value = value / unit;
    let decimals = if value.abs() >= 100.0 || (name.is_empty() && value.fract() == 0.0) {
        0
    } else if value.abs() >= 10.0 {
        1
    } else if value.abs() >= 0.1 {
        2
    } else {
        // 0.05, 0.0005
        (1.0 - value.abs().log10().floor()) as usize
    };
    format!("{value:.decimals$}{name}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Scale, short};

    fn labels(low: f64, high: f64) -> Vec<String> {
        let scale = Scale::of(low, high);
        scale.lines().map(|line| scale.label(line)).collect()
    }

    #[test]
    fn steps_are_round_and_labels_short() {
        assert_eq!(labels(0.0, 9.3e6), ["0", "2.5 M", "5.0 M", "7.5 M", "10.0 M"]);
        assert_eq!(labels(0.0, 4.0), ["0", "1", "2", "3", "4"]);
        assert_eq!(labels(-30.0, 45.0), ["-40", "-20", "0", "20", "40", "60"]);
        assert_eq!(labels(0.0, 0.31), ["0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(labels(7.0, 7.0), ["0", "2", "4", "6", "8"], "one value has a scale too");
        assert_eq!(labels(-7.0, -7.0), ["-8", "-6", "-4", "-2", "0"]);
        assert_eq!(labels(0.0, 0.0), ["0", "0.25", "0.50", "0.75", "1.00"]);
        assert_eq!(labels(1e-12, 4e-12), ["1e-12", "2e-12", "3e-12", "4e-12"]);
        assert_eq!(labels(0.0, 1e300), ["0", "2.5e299", "5e299", "7.5e299", "1e300"]);
        assert_eq!(labels(f64::MIN, f64::MAX), ["-1.8e308", "-1e308", "0", "1e308", "1.8e308"]);
        assert_eq!(labels(0.0, 5e-324), ["0", "0.25", "0.50", "0.75", "1.00"]);
        assert_eq!(labels(1_000_000.0, 1_000_000.4), ["1000000.0", "1000000.1", "1000000.2", "1000000.3", "1000000.4"]);
    }

    /// Doubles of every size, most of them not near one.
    fn any_size() -> impl Strategy<Value = f64> {
        let size = (-1.0_f64..1.0, -320_i32..308).prop_map(|(value, size)| value * 10_f64.powi(size));
        let ends = [0.0, -0.0, 5e-324, f64::MIN_POSITIVE, 1e-12, 1e300, f64::MAX, f64::MIN, 1.0, -1.0];
        prop_oneof![size, proptest::sample::select(ends.to_vec()), -1000.0..1000.0]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_value_lies_on_a_scale_whose_lines_are_told_apart(one in any_size(), other in any_size(), near in any::<bool>()) {
            let other = if near { one * (1.0 - other.abs().min(1.0) * 1e-9) } else { other };
            let (low, high) = (one.min(other), one.max(other));
            let scale = Scale::of(low, high);
            let lines: Vec<f64> = scale.lines().collect();
            prop_assert!((2..=12).contains(&lines.len()), "{scale:?} of {low:e} to {high:e} has {} lines", lines.len());
            prop_assert!(lines.iter().all(|line| line.is_finite()), "{lines:?}");
            // Ends of a scale are doubles: close beside each other they lie no nearer to their place than doubles of their size do.
            let resolution = 4.0 * f64::EPSILON * (low.abs().max(high.abs()) / 4.0) / (scale.high / 4.0 - scale.low / 4.0);
            let off = resolution.max(1e-9);
            for value in [low, high] {
                let part = (value / 4.0 - scale.low / 4.0) / (scale.high / 4.0 - scale.low / 4.0);
                prop_assert!((-off..=1.0 + off).contains(&part), "{value:e} is at {part} of {scale:?}");
                prop_assert!((0.0..=1.0).contains(&scale.part(value)));
            }
            let mut labels: Vec<String> = lines.iter().map(|line| scale.label(*line)).collect();
            prop_assert!(labels.iter().all(|label| label.len() < 26 && !label.contains(['N', 'i'])), "{labels:?}");
            labels.sort();
            labels.dedup();
            prop_assert_eq!(labels.len(), lines.len(), "{:?}", labels);
        }

        #[test]
        fn a_figure_is_short(value in any_size()) {
            prop_assert!(short(value).len() <= 11, "{}", short(value));
        }
    }

    #[test]
    fn three_digits_are_enough() {
        assert_eq!([5_482_113.0, 12_345.0, 999.0, 7.0, 0.125].map(short), ["5.48 M", "12.3 k", "999", "7", "0.12"]);
        assert_eq!([0.0, 0.012, 1e-12, -1e300].map(short), ["0", "0.012", "1.00e-12", "-1.00e300"]);
    }
}
