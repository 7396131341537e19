//! What was said so far becomes a rule, or it is told what is missing.

use chrono::NaiveTime;

use super::days::{DayKind, DayOfPeriod, DayRule, Period};
use super::parse_words::EXAMPLES;
use super::words::{Times, WordRule};

/// What was said so far.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) days: Option<DayRule>,
    pub(crate) months: Option<[bool; 12]>,
    /// Days that were counted, and not yet of what.
    pub(crate) counted: Vec<DayOfPeriod>,
    /// What was named before its days were: `every month on the 1st`.
    pub(crate) period: Option<Period>,
    /// `every week`: its days are to come.
    pub(crate) weekly: bool,
    pub(crate) at: Vec<NaiveTime>,
    /// Minutes.
    pub(crate) step: Option<u32>,
    pub(crate) past: Option<u32>,
    pub(crate) between: Option<(NaiveTime, NaiveTime)>,
}

impl Draft {
    /// Makes the rule, or says for people what is missing.
    pub(crate) fn finish(self) -> Result<WordRule, String> {
        let months = self.months;
        let times = self.times()?;
        let days = self.days(matches!(times, Times::Each { .. }))?;
        Ok(WordRule { days, months: months.unwrap_or([true; 12]), times })
    }

    fn days(self, any_will_do: bool) -> Result<DayRule, String> {
        if self.counted.is_empty() {
            if self.period.is_some() || (self.weekly && self.days.is_none()) {
                return Err("say which day of it: `every month on the 1st at 08:00`, `every week on Monday at 08:00`"
                    .to_owned());
            }
            return match self.days {
                Some(days) => Ok(days),
                None if any_will_do => Ok(DayRule::Every),
                None => Err(format!("say on which days: `every day at 07:30`; {EXAMPLES}")),
            };
        }
        if self.days.is_some() {
            return Err("two different sets of days are named; make two schedules of it".to_owned());
        }
        let period = match (self.period, self.months) {
            (Some(Period::Quarter), Some(_)) => return Err("name months, or count in quarters: not both".to_owned()),
            (_, Some(_)) => Period::Month,
            (Some(period), None) => period,
            (None, None) => {
                return Err(
                    "say of what: `of the month`, `of the quarter`, `of the year`, or a month's name".to_owned()
                );
            }
        };
        let days_of_it = match period {
            Period::Month => 31,
            Period::Quarter => 92,
            Period::Year => 366,
        };
        let most = |day: &DayOfPeriod| match day.kind {
            DayKind::Day => days_of_it,
            DayKind::Weekday(_) => days_of_it / 7 + 1,
            DayKind::Working => days_of_it / 7 * 5 + 3,
        };
        match self.counted.iter().find(|day| day.number == 0 || day.number > most(day)) {
            Some(day) => Err(format!("there is no {day} of it")),
            None => Ok(DayRule::Of(self.counted, period)),
        }
    }

    fn times(&self) -> Result<Times, String> {
        let mut at = self.at.clone();
        at.sort_unstable();
        at.dedup();
        match (self.step, at.is_empty()) {
            (Some(_), false) => Err("say how often, or at what times: not both".to_owned()),
            (Some(minutes), true) => self.each(minutes),
            (None, false) if self.between.is_some() => {
                Err("say how often between these times: `every 15 minutes between 08:00 and 18:00`".to_owned())
            }
            (None, false) if self.past.is_none() => Ok(Times::At(at)),
            (None, true) if self.past.is_none() => Err(format!("say at what time: `at 07:30`; {EXAMPLES}")),
            (None, _) => Err("`:15` stands behind `every hour`: `every hour at :15`".to_owned()),
        }
    }

    fn each(&self, minutes: u32) -> Result<Times, String> {
        let day = (NaiveTime::MIN, NaiveTime::from_hms_opt(23, 59, 0).unwrap_or(NaiveTime::MIN));
        let (from, to) = self.between.unwrap_or(day);
        let from = match self.past {
            None => from,
            Some(_) if !minutes.is_multiple_of(60) || self.between.is_some() => {
                return Err("`:15` stands behind `every hour` or `every 2 hours`, and not beside `between`".to_owned());
            }
            Some(past) => NaiveTime::from_hms_opt(0, past, 0).unwrap_or(from),
        };
        Ok(Times::Each { minutes, from, to })
    }
}
