// Over 300 lines: one grammar, read in one place.
//! Words become a rule: `every weekday at 07:30`, `last working day of the month at 18:00`, `every 15 minutes between 08:00 and 18:00`.

use super::days::{DayKind, DayOfPeriod, DayRule, Period};
use super::draft::Draft;
use super::tokens::{WordToken, tokens};
use super::words::{MONTHS, WEEKDAYS, WordRule};

/// What to write, for whoever wrote something else.
pub(crate) const EXAMPLES: &str = "write for example `every weekday at 07:30`, `every Monday and Thursday at 9:00`, `last working day of the month at 18:00`, \
     `every 15 minutes between 08:00 and 18:00`, or a cron expression";

/// Words that may begin something, to tell what somebody meant.
const KNOWN: [&str; 29] = [
    "every", "each", "daily", "hourly", "at", "on", "in", "of", "between", "from", "and", "to", "until", "the", "last",
    "day", "days", "weekday", "weekdays", "weekend", "weekends", "working", "business", "week", "month", "quarter",
    "year", "minutes", "hours",
];

/// Reads a rule, or says for people what is wrong with it.
pub(crate) fn parse_words(text: &str) -> Result<WordRule, String> {
    let tokens = tokens(text).map_err(|fault| format!("{fault}; {EXAMPLES}"))?;
    let mut parser = Parser { tokens: &tokens, draft: Draft::default() };
    while !parser.tokens.is_empty() {
        parser.clause()?;
    }
    parser.draft.finish()
}

struct Parser<'t> {
    tokens: &'t [WordToken],
    draft: Draft,
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Option<&'t WordToken> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take_word(&mut self, words: &[&str]) -> bool {
        let found = matches!(self.tokens.first(), Some(WordToken::Word(word)) if words.contains(&word.as_str()));
        if found {
            self.next();
        }
        found
    }

    /// Reads one part of what was said.
    fn clause(&mut self) -> Result<(), String> {
        let Some(token) = self.next() else { return Ok(()) };
        match token {
            WordToken::Comma => Ok(()),
            WordToken::Word(word) => self.word(word),
            WordToken::Ordinal(number) => self.count_days(*number),
            // `March 1`.
            WordToken::Number(number) if self.draft.months.is_some() => self.count(*number, false),
            WordToken::Number(_) | WordToken::Time(_) | WordToken::Past(_) => {
                Err(format!("{} comes unexpectedly: say `at` before a time; {EXAMPLES}", show(token)))
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        match word {
            "every" | "each" => self.every(),
            "on" | "the" | "and" => Ok(()),
            "at" => self.at(),
            "between" => self.between(&["and"]),
            "from" => self.between(&["to", "until"]),
            "daily" => self.set_days(DayRule::Every),
            "hourly" => self.set_step(60),
            "last" => self.count_from_end(1),
            "day" | "days" => self.day_numbers(),
            "of" => self.of(),
            "in" => self.months(),
            _ => self.unit(word),
        }
    }

    fn every(&mut self) -> Result<(), String> {
        let number = match self.tokens.first() {
            Some(WordToken::Number(number)) => {
                self.next();
                Some(*number)
            }
            _ => None,
        };
        let Some(WordToken::Word(word)) = self.tokens.first() else {
            return if number.is_none() {
                Ok(())
            } else {
                Err(format!("say what there are {} of; {EXAMPLES}", number.unwrap_or(0)))
            };
        };
        let unit = match word.as_str() {
            "minute" | "minutes" => Some(1),
            "hour" | "hours" => Some(60),
            _ => None,
        };
        match (unit, number) {
            (Some(unit), number) => {
                self.next();
                self.set_step(number.unwrap_or(1).saturating_mul(unit))
            }
            (None, Some(number)) if number != 1 => Err(format!(
                "`every {number} {word}` would not say which; name the days, for example `the 1st and 15th of every month`, or count \
                 minutes or hours"
            )),
            (None, _) if word == "day" || word == "days" => {
                self.next();
                self.set_days(DayRule::Every)
            }
            (None, _) => Ok(()),
        }
    }

    fn unit(&mut self, word: &str) -> Result<(), String> {
        match word {
            "weekday" | "weekdays" => self.add_weekdays(0..5),
            "weekend" | "weekends" => {
                self.take_word(&["day", "days"]);
                self.add_weekdays(5..7)
            }
            "working" | "business" => {
                self.take_word(&["day", "days"]);
                self.set_days(DayRule::Working)
            }
            "week" | "weekly" => {
                self.draft.weekly = true;
                Ok(())
            }
            "month" | "monthly" => self.set_period(Period::Month),
            "quarter" | "quarterly" => self.set_period(Period::Quarter),
            "year" | "yearly" | "annually" => self.set_period(Period::Year),
            _ => {
                if let Some(number) = weekday(word) {
                    return self.add_weekdays(number..number + 1);
                }
                if let Some(month) = month(word) {
                    return self.add_month(month);
                }
                Err(format!("`{word}` is not known here{}; {EXAMPLES}", meant(word)))
            }
        }
    }

    /// Reads what an ordinal counts.
    fn count_days(&mut self, number: u32) -> Result<(), String> {
        if self.take_word(&["last"]) {
            return self.count_from_end(number);
        }
        self.count(number, false)
    }

    fn count_from_end(&mut self, number: u32) -> Result<(), String> {
        self.count(number, true)
    }

    fn count(&mut self, number: u32, from_end: bool) -> Result<(), String> {
        let kind = match self.tokens.first() {
            Some(WordToken::Word(word)) if word == "day" || word == "days" => Some(DayKind::Day),
            Some(WordToken::Word(word)) if word == "working" || word == "business" => Some(DayKind::Working),
            Some(WordToken::Word(word)) if word == "weekday" || word == "weekdays" => {
                return Err("say `working day`, or which weekday: `first Monday of the month`".to_owned());
            }
            Some(WordToken::Word(word)) => {
                weekday(word).and_then(|number| u8::try_from(number).ok()?.try_into().ok()).map(DayKind::Weekday)
            }
            _ => None,
        };
        if kind.is_some() {
            self.next();
            if kind == Some(DayKind::Working) {
                self.take_word(&["day", "days"]);
            }
        }
        if number == 0 || number > 366 {
            return Err("days are counted from the first".to_owned());
        }
        // `the 1st and 15th day`: what is counted may come later.
        let kind = kind.or_else(|| self.kind_ahead()).unwrap_or(DayKind::Day);
        self.draft.counted.push(DayOfPeriod { kind, number, from_end });
        Ok(())
    }

    /// Looks behind further ordinals for what all of them count.
    fn kind_ahead(&self) -> Option<DayKind> {
        let mut ahead = self.tokens.iter().skip_while(|token| match token {
            WordToken::Ordinal(_) | WordToken::Comma => true,
            WordToken::Word(word) => matches!(word.as_str(), "and" | "the" | "last"),
            _ => false,
        });
        match ahead.next() {
            Some(WordToken::Word(word)) if word == "working" || word == "business" => Some(DayKind::Working),
            Some(WordToken::Word(word)) => {
                weekday(word).and_then(|number| u8::try_from(number).ok()?.try_into().ok()).map(DayKind::Weekday)
            }
            _ => None,
        }
    }

    /// Reads `day 15`.
    fn day_numbers(&mut self) -> Result<(), String> {
        let Some(WordToken::Number(number)) = self.next() else {
            return Err(format!("say which day: `day 15 of the month`; {EXAMPLES}"));
        };
        self.draft.counted.push(DayOfPeriod { kind: DayKind::Day, number: *number, from_end: false });
        Ok(())
    }

    fn of(&mut self) -> Result<(), String> {
        self.take_word(&["the", "each", "every"]);
        match self.tokens.first() {
            Some(WordToken::Word(word)) if month(word).is_some() => self.months(),
            Some(WordToken::Word(word)) if matches!(word.as_str(), "month" | "quarter" | "year") => {
                let Some(WordToken::Word(word)) = self.next() else { return Ok(()) };
                self.unit(word)
            }
            _ => Err("say of what: `of the month`, `of the quarter`, `of the year`, or a month's name".to_owned()),
        }
    }

    fn months(&mut self) -> Result<(), String> {
        let mut any = false;
        loop {
            match self.tokens.first() {
                Some(WordToken::Word(word)) if month(word).is_some() => {
                    self.next();
                    any = true;
                    self.add_month(month(word).unwrap_or_default())?;
                }
                Some(WordToken::Comma) if any => {
                    self.next();
                }
                Some(WordToken::Word(word)) if any && word == "and" => {
                    self.next();
                }
                _ if any => return Ok(()),
                _ => return Err("say which month: `in March`".to_owned()),
            }
        }
    }

    fn add_month(&mut self, month: usize) -> Result<(), String> {
        let months = self.draft.months.get_or_insert([false; 12]);
        if let Some(chosen) = months.get_mut(month) {
            *chosen = true;
        }
        Ok(())
    }

    fn at(&mut self) -> Result<(), String> {
        let mut any = false;
        loop {
            match self.tokens.first() {
                Some(WordToken::Time(time)) => self.draft.at.push(*time),
                Some(WordToken::Past(minutes)) if self.draft.past.is_none() => self.draft.past = Some(*minutes),
                Some(WordToken::Comma) if any => {}
                // `at 8:00 and 18:00`, but not `at 8:00 and on Friday`.
                Some(WordToken::Word(word))
                    if any && word == "and" && matches!(self.tokens.get(1), Some(WordToken::Time(_))) => {}
                _ if any => return Ok(()),
                _ => return Err(format!("say the time behind `at`, like 07:30 or 6pm; {EXAMPLES}")),
            }
            any = true;
            self.next();
        }
    }

    fn between(&mut self, joining: &[&str]) -> Result<(), String> {
        let from = self.next();
        let joined = self.take_word(joining);
        match (from, joined, self.next()) {
            (Some(WordToken::Time(from)), true, Some(WordToken::Time(to))) if from < to => {
                self.draft.between = Some((*from, *to));
                Ok(())
            }
            (Some(WordToken::Time(from)), true, Some(WordToken::Time(to))) => {
                let (from, to) = (from.format("%H:%M"), to.format("%H:%M"));
                Err(format!("{from} is not before {to}: a day ends at midnight"))
            }
            _ => Err("say from when to when: `between 08:00 and 18:00`".to_owned()),
        }
    }

    fn set_days(&mut self, days: DayRule) -> Result<(), String> {
        if self.draft.days.as_ref().is_some_and(|before| *before != days) {
            return Err("two different sets of days are named; make two schedules of it".to_owned());
        }
        self.draft.days = Some(days);
        Ok(())
    }

    fn add_weekdays(&mut self, numbers: std::ops::Range<usize>) -> Result<(), String> {
        let mut chosen = match self.draft.days {
            None => [false; 7],
            Some(DayRule::Weekdays(chosen)) => chosen,
            Some(_) => return Err("two different sets of days are named; make two schedules of it".to_owned()),
        };
        chosen.iter_mut().skip(numbers.start).take(numbers.len()).for_each(|day| *day = true);
        self.draft.days = Some(DayRule::Weekdays(chosen));
        Ok(())
    }

    fn set_period(&mut self, period: Period) -> Result<(), String> {
        if self.draft.period.is_some_and(|before| before != period) {
            return Err("count days in months, quarters or years, in one of them".to_owned());
        }
        self.draft.period = Some(period);
        Ok(())
    }

    fn set_step(&mut self, minutes: u32) -> Result<(), String> {
        if !(1..=720).contains(&minutes) {
            return Err(
                "say every 1 minute to every 12 hours, or the times themselves: `every day at 08:00 and 20:00`"
                    .to_owned(),
            );
        }
        if self.draft.step.replace(minutes).is_some() {
            return Err("say once how often".to_owned());
        }
        Ok(())
    }
}

/// Monday is 0. `mondays` and `mon` are days too.
fn weekday(word: &str) -> Option<usize> {
    WEEKDAYS.iter().position(|name| is_short_for(word, name))
}

/// January is 0.
fn month(word: &str) -> Option<usize> {
    MONTHS.iter().position(|name| is_short_for(word, name))
}

fn is_short_for(word: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    word == name
        || word.strip_suffix('s') == Some(name.as_str())
        || (word.len() >= 3 && word.len() <= 4 && name.starts_with(word))
}

fn meant(word: &str) -> String {
    let names = KNOWN
        .iter()
        .map(|name| (*name).to_owned())
        .chain(WEEKDAYS.iter().chain(&MONTHS).map(|name| name.to_lowercase()));
    let nearest = names.map(|name| (strsim::damerau_levenshtein(word, &name), name)).min();
    nearest.filter(|(far, _)| *far <= 2).map_or(String::new(), |(_, name)| format!(" (did you mean `{name}`?)"))
}

fn show(token: &WordToken) -> String {
    match token {
        WordToken::Number(number) => format!("`{number}`"),
        WordToken::Time(time) => format!("`{}`", time.format("%H:%M")),
        WordToken::Past(minutes) => format!("`:{minutes:02}`"),
        WordToken::Word(word) => format!("`{word}`"),
        WordToken::Ordinal(number) => format!("`{number}.`"),
        WordToken::Comma => "`,`".to_owned(),
    }
}
