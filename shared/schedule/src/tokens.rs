//! The words of a rule, one by one.

use chrono::NaiveTime;

use super::words::ORDINALS;

/// A word, as far as it is known what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WordToken {
    /// In lower case.
    Word(String),
    Number(u32),
    /// `first`, `15th`.
    Ordinal(u32),
    /// `07:30`, `6pm`, `noon`.
    Time(NaiveTime),
    /// `:15`: so many minutes past each hour.
    Past(u32),
    Comma,
}

/// Takes a text apart.
///
/// # Errors
/// The word that is none, for people.
pub(crate) fn tokens(text: &str) -> Result<Vec<WordToken>, String> {
    let text = text.replace(',', " , ").to_lowercase();
    let mut words = text.split_whitespace().peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let half = words.peek().copied().filter(|next| matches!(*next, "am" | "pm"));
        let token = match half {
            Some(half) if word.starts_with(|first: char| first.is_ascii_digit()) => {
                words.next();
                time(&format!("{word}{half}")).map(WordToken::Time)
            }
            _ => read(word),
        };
        found.push(token.ok_or_else(|| format!("`{word}` is no time, number or word; write times like 07:30 or 6pm"))?);
    }
    Ok(found)
}

fn read(word: &str) -> Option<WordToken> {
    if word == "," {
        return Some(WordToken::Comma);
    }
    if let Some(past) = word.strip_prefix(':') {
        return past.parse().ok().filter(|minutes| *minutes < 60 && past.len() == 2).map(WordToken::Past);
    }
    if let Some(index) = ORDINALS.iter().position(|ordinal| *ordinal == word) {
        return u32::try_from(index + 1).ok().map(WordToken::Ordinal);
    }
    if word.starts_with(|first: char| first.is_ascii_digit()) {
        if let Some(number) = ["st", "nd", "rd", "th"].iter().find_map(|ending| word.strip_suffix(ending)) {
            return number.parse().ok().map(WordToken::Ordinal);
        }
        return word.parse().ok().map(WordToken::Number).or_else(|| time(word).map(WordToken::Time));
    }
    match word {
        "noon" => NaiveTime::from_hms_opt(12, 0, 0).map(WordToken::Time),
        "midnight" => Some(WordToken::Time(NaiveTime::MIN)),
        _ => {
            word.chars().all(|letter| letter.is_alphabetic() || letter == '-').then(|| WordToken::Word(word.to_owned()))
        }
    }
}

fn time(word: &str) -> Option<NaiveTime> {
    let (digits, half) = match word {
        word if word.ends_with("am") => (word.strip_suffix("am")?, Some(0)),
        word if word.ends_with("pm") => (word.strip_suffix("pm")?, Some(12)),
        word => (word, None),
    };
    let (hour, minute) = match digits.split_once(':') {
        Some((hour, minute)) if minute.len() == 2 => (hour, minute.parse().ok()?),
        Some(_) => return None,
        // Without minutes nobody knows that a number is a time.
        None => (digits, half.map(|_| 0)?),
    };
    let hour: u32 = hour.parse().ok()?;
    let hour = match half {
        None => hour,
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
    };
    NaiveTime::from_hms_opt(hour, minute, 0)
}
