//! Days that are not like others.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, Weekday};
use model::schedule::OnHoliday;
use serde::{Deserialize, Serialize};

/// The days off of a calendar.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holidays(BTreeSet<NaiveDate>);

impl FromIterator<NaiveDate> for Holidays {
    fn from_iter<I: IntoIterator<Item = NaiveDate>>(days: I) -> Self {
        Self(days.into_iter().collect())
    }
}

impl Extend<NaiveDate> for Holidays {
    fn extend<I: IntoIterator<Item = NaiveDate>>(&mut self, days: I) {
        self.0.extend(days);
    }
}

/// No run of holidays and weekends is longer, in days; what stands behind more of them is not looked for.
const LONGEST: u64 = 60;

impl Holidays {
    /// Tells whether a day is one.
    #[must_use]
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.0.contains(&day)
    }

    /// Returns its days, in order.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> {
        self.0.iter().copied()
    }

    /// Returns the last year that it says anything about.
    #[must_use]
    pub fn last_year(&self) -> Option<i32> {
        self.0.last().map(Datelike::year)
    }

    /// Tells whether a day is neither a holiday nor at a weekend.
    #[must_use]
    pub fn is_working_day(&self, day: NaiveDate) -> bool {
        !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) && !self.contains(day)
    }

    /// Returns the days of which the times fall on `day`: itself, where it is no holiday that matters, and the holidays beside it that
    /// give their times away.
    pub(crate) fn sources(&self, day: NaiveDate, rule: OnHoliday) -> Vec<NaiveDate> {
        let own = (rule == OnHoliday::Run || !self.contains(day)).then_some(day);
        if !self.is_working_day(day) {
            return own.into_iter().collect();
        }
        let step = |day: NaiveDate, ahead: u64| match rule {
            OnHoliday::Before => day.checked_add_days(Days::new(ahead)),
            OnHoliday::After => day.checked_sub_days(Days::new(ahead)),
            OnHoliday::Run | OnHoliday::Skip => None,
        };
        let idle = (1..=LONGEST).map_while(|ahead| step(day, ahead)).take_while(|day| !self.is_working_day(*day));
        own.into_iter().chain(idle.filter(|day| self.contains(*day))).collect()
    }
}
