//! The days off of a country or a company: `[calendars.<name>]`.

use std::path::{Path, PathBuf};

use schedule::Holidays;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::encoding::texts;
use super::paths::path;

/// A larger file is a mistake, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// `[calendars.<name>]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Days off.
    #[serde(default, deserialize_with = "dates")]
    pub dates: Holidays,
    /// A file with more of them.
    #[serde(default, deserialize_with = "file", skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

impl Calendar {
    /// Returns all of its days; the file is read.
    ///
    /// # Errors
    /// When the file cannot be read, or is no calendar.
    pub fn holidays(&self) -> Result<Holidays, String> {
        let mut holidays = self.dates.clone();
        if let Some(file) = &self.file {
            holidays.extend(read(file)?.days());
        }
        Ok(holidays)
    }
}

fn dates<'de, D: Deserializer<'de>>(from: D) -> Result<Holidays, D::Error> {
    let read = |text: &String| {
        Holidays::read(text).map_err(|_| text.clone()).and_then(|day| match day.days().count() {
            1 => Ok(day),
            _ => Err(text.clone()),
        })
    };
    let days = texts(from)?.iter().map(read).collect::<Result<Vec<_>, _>>();
    let days =
        days.map_err(|text| D::Error::custom(format!("`{text}` is no day; write for example \"2026-12-25\"")))?;
    Ok(days.iter().flat_map(Holidays::days).collect())
}

fn file<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = path(from)?;
    read(&path).map_err(D::Error::custom)?;
    Ok(Some(path))
}

fn read(path: &Path) -> Result<Holidays, String> {
    let shown = path.display();
    let about = std::fs::metadata(path).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    // Opening a pipe waits for whoever writes into it.
    if !about.is_file() || about.len() > MAX_FILE {
        return Err(format!("`{shown}` is no file of at most {MAX_FILE} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    Holidays::read(&text).map_err(|fault| format!("`{shown}`: {fault}"))
}

/// Says what is wrong with a calendar as a whole.
pub(super) fn check(name: &str, calendar: &Calendar) -> Option<&'static str> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 60 || !name.chars().all(good) {
        return Some("is no name of a calendar; write 1 to 60 lower-case letters, digits, - and _");
    }
    let is_empty = calendar.file.is_none() && calendar.dates.last_year().is_none();
    is_empty.then_some("names no day; give it dates, or a file")
}
