//! The days of a rule in words: which of them, of which months.

use chrono::{Datelike as _, Days, Months, NaiveDate, Weekday};

use super::holidays::Holidays;

/// Days on which something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DayRule {
    /// Every day.
    Every,
    /// The days of the week, Monday first.
    Weekdays([bool; 7]),
    /// Monday to Friday, without holidays.
    Working,
    /// Some days of each period.
    Of(Vec<DayOfPeriod>, Period),
}

/// One day of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayOfPeriod {
    pub(crate) kind: DayKind,
    /// From 1.
    pub(crate) number: u32,
    /// Counted from its end.
    pub(crate) from_end: bool,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DayKind {
    Day,
    Weekday(Weekday),
    Working,
}

/// What days are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    Month,
    Quarter,
    Year,
}

impl Period {
    /// Returns its length in months.
    pub(crate) const fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        }
    }

    /// Returns its first day, and that of the next.
    pub(crate) fn around(self, day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        let month = day.month0() / self.months() * self.months() + 1;
        let first = NaiveDate::from_ymd_opt(day.year(), month, 1)?;
        Some((first, first.checked_add_months(Months::new(self.months()))?))
    }
}

impl DayRule {
    /// Tells whether a day is one. `holidays`: on which nobody works.
    pub(crate) fn is_on(&self, day: NaiveDate, holidays: &Holidays) -> bool {
        match self {
            Self::Every => true,
            Self::Weekdays(chosen) => usize::try_from(day.weekday().num_days_from_monday())
                .is_ok_and(|number| chosen.get(number) == Some(&true)),
            Self::Working => holidays.is_working_day(day),
            Self::Of(wanted, period) => {
                period.around(day).is_some_and(|around| wanted.iter().any(|wanted| wanted.is(day, around, holidays)))
            }
        }
    }
}

impl DayOfPeriod {
    fn is(&self, day: NaiveDate, (first, next): (NaiveDate, NaiveDate), holidays: &Holidays) -> bool {
        if !self.kind.counts(day, holidays) {
            return false;
        }
        // Itself, and all that count between it and the end that is counted from.
        let others = if self.from_end { (next - day).num_days() } else { (day - first).num_days() + 1 };
        if self.kind == DayKind::Day {
            return others == i64::from(self.number);
        }
        let beside = (1..others.unsigned_abs()).filter_map(|far| {
            if self.from_end { day.checked_add_days(Days::new(far)) } else { day.checked_sub_days(Days::new(far)) }
        });
        beside.filter(|day| self.kind.counts(*day, holidays)).count() + 1 == self.number as usize
    }
}

impl DayKind {
    fn counts(self, day: NaiveDate, holidays: &Holidays) -> bool {
        match self {
            Self::Day => true,
            Self::Weekday(weekday) => day.weekday() == weekday,
            Self::Working => holidays.is_working_day(day),
        }
    }
}
