//! The axis of values: round steps, and short labels for them.

/// From the lowest to the highest line of the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) step: f64,
}

impl Scale {
    /// Finds round steps for values from `low` to `high`.
    pub(super) fn of(low: f64, high: f64) -> Self {
        let (low, high) = if low < high { (low, high) } else { (low.min(0.0), (low + 1.0).max(0.0)) };
        let rough = (high - low) / 4.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * magnitude);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * magnitude);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
    }

    /// Returns the lines of the grid.
    pub(super) fn lines(&self) -> impl Iterator<Item = f64> + use<> {
        let Self { low, high, step } = *self;
        let count = ((high - low) / step).round().clamp(0.0, 20.0) as u32;
        (0..=count).map(move |line| low + f64::from(line) * step)
    }

    /// Tells where between low (0) and high (1) a value is.
    pub(super) fn part(&self, value: f64) -> f32 {
        ((value - self.low) / (self.high - self.low)) as f32
    }

    /// Labels a line of the grid.
    pub(super) fn label(&self, value: f64) -> String {
        let (unit, name) = unit(self.low.abs().max(self.high.abs()));
        let step = self.step / unit;
        let decimals = (0_u8..4).find(|digits| is_whole(step * 10_f64.powi(i32::from(*digits)))).unwrap_or(4);
        if value.abs() < self.step / 1e6 {
            return "0".to_owned();
        }
        format!("{:.*}{name}", usize::from(decimals), value / unit)
    }
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6 && value.abs() >= 0.5
}

fn unit(most: f64) -> (f64, &'static str) {
    match most {
        most if most >= 1e15 => (1e15, " qn"),
        most if most >= 1e12 => (1e12, " tn"),
        most if most >= 1e9 => (1e9, " bn"),
        most if most >= 1e6 => (1e6, " M"),
        most if most >= 1e4 => (1e3, " k"),
        _ => (1.0, ""),
    }
}

/// Writes a value with three digits that matter.
pub(super) fn short(value: f64) -> String {
    let (unit, name) = unit(value.abs());
    let value = value / unit;
    let decimals = if value.abs() >= 100.0 || (name.is_empty() && value.fract() == 0.0) {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}{name}")
}

#[cfg(test)]
mod tests {
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
        assert_eq!(labels(7.0, 7.0).len(), 5, "one value has a scale too");
    }

    #[test]
    fn every_value_lies_on_the_scale() {
        for (low, high) in [(0.0, 1e-9), (-1e300, 1e300), (0.0, 123_456.0), (-5.0, 0.0)] {
            let scale = Scale::of(low, high);
            assert!((0.0..=1.0).contains(&scale.part(low)) && (0.0..=1.0).contains(&scale.part(high)), "{scale:?}");
        }
    }

    #[test]
    fn three_digits_are_enough() {
        assert_eq!([5_482_113.0, 12_345.0, 999.0, 7.0, 0.125].map(short), ["5.48 M", "12.3 k", "999", "7", "0.12"]);
    }
}
