//! Numbers and sizes as somebody reads them: in their language.

use super::conventions::{Conventions, Counted};
use super::{Tz, fill, grouped};

/// Writes for one recipient: in their language, by their clock.
#[derive(Debug, Clone, Copy)]
pub struct Localizer<'a> {
    /// Of their language.
    pub conventions: &'a Conventions,
    /// Where their clock is.
    pub zone: Tz,
}

impl Localizer<'_> {
    /// Returns `1234567` as `1,234,567`, `1.234.567` or `1 234 567`.
    #[must_use]
    pub fn number(&self, value: u64) -> String {
        let numbers = &self.conventions.numbers;
        let enough = value.checked_ilog10().unwrap_or(0) as usize + 1 >= numbers.group_from;
        grouped(value, if enough { &numbers.group } else { "" })
    }

    /// Returns `1 row`, `2 rows`.
    #[must_use]
    pub fn rows(&self, value: u64) -> String {
        self.counted(&self.conventions.units.row, value)
    }

    fn counted(&self, noun: &Counted, value: u64) -> String {
        let one = value == 1 || (value == 0 && self.conventions.numbers.zero_is_one);
        fill(if one { &noun.one } else { &noun.other }, &[("n", &self.number(value))])
    }

    /// Returns a size with three digits at least where they matter: `512 bytes`, `12.3 MB`, `1.05 GB`. Units are of 1000, as in
    /// file managers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    pub fn bytes(&self, value: u64) -> String {
        if value < 1000 {
            return self.counted(&self.conventions.units.byte, value);
        }
        let mut size = value as f64;
        let mut unit = "{n}";
        for next in &self.conventions.units.scaled {
            // 999,950 would be written 1000.0 kB.
            if size < 999.5 {
                break;
            }
            size /= 1000.0;
            unit = next;
        }
        let digits = match size {
            size if size < 9.995 => format!("{size:.2}"),
            size if size < 99.95 => format!("{size:.1}"),
            size => format!("{size:.0}"),
        };
        fill(unit, &[("n", &self.decimal(&digits))])
    }

    pub(super) fn decimal(&self, digits: &str) -> String {
        digits.replace('.', &self.conventions.numbers.decimal)
    }
}

#[cfg(test)]
mod tests {
    use crate::locale::{Language, in_language};

    #[test]
    fn sizes_have_a_unit_people_know() {
        let sizes = [0, 1, 999, 1000, 12_340, 999_949, 999_950, 12_300_000, 1_050_000_000, 20_000_000_000_000];
        let said = in_language(Language::En, |localizer| sizes.map(|size| localizer.bytes(size)).join("; "));
        assert_eq!(said, "0 bytes; 1 byte; 999 bytes; 1.00 kB; 12.3 kB; 1.00 MB; 1.00 MB; 12.3 MB; 1.05 GB; 20.0 TB");
    }

    #[test]
    fn each_language_writes_numbers_its_own_way() {
        let said = Language::ALL.map(|language| {
            in_language(language, |localizer| {
                [
                    localizer.rows(0),
                    localizer.rows(1),
                    localizer.rows(1234),
                    localizer.rows(1_234_567),
                    localizer.bytes(12_300_000),
                ]
                .join("; ")
            })
        });
        assert_eq!(
            said,
            [
                "0 rows; 1 row; 1,234 rows; 1,234,567 rows; 12.3 MB",
                "0 Zeilen; 1 Zeile; 1.234 Zeilen; 1.234.567 Zeilen; 12,3 MB",
                "0 ligne; 1 ligne; 1\u{202f}234 lignes; 1\u{202f}234\u{202f}567 lignes; 12,3 Mo",
                "0 filas; 1 fila; 1234 filas; 1.234.567 filas; 12,3 MB",
                "0 行; 1 行; 1,234 行; 1,234,567 行; 12.3 MB",
            ]
        );
    }
}
