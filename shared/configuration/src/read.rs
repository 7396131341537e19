//! Reads single settings and gathers what is wrong with them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use model::units::{ByteSize, parse_duration};

use super::Secret;

/// What is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `section.key`, or the name of a variable or file.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    /// Says what is wrong with `key`.
    #[must_use]
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), message: message.into() }
    }
}

/// Everything that is wrong with the configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Fault>);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the configuration is not valid:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {}: {}", fault.key, fault.message))
    }
}

impl std::error::Error for ConfigError {}

/// Reads settings one by one. A setting that is wrong is noted and replaced by something harmless, so that all mistakes
/// are found in one go; the caller must not use the result when `faults` is not empty.
pub(super) struct Reader {
    pub(super) config: config::Config,
    pub(super) faults: Vec<Fault>,
}

impl Reader {
    /// Returns the text of a setting; numbers and booleans are taken as written.
    pub(super) fn text(&mut self, key: &str) -> String {
        self.config.get_string(key).unwrap_or_else(|_| self.fault(key, "a single value is needed"))
    }

    /// Returns `None` for an empty text.
    pub(super) fn optional(&mut self, key: &str) -> Option<String> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    pub(super) fn secret(&mut self, key: &str) -> Secret {
        Secret::new(self.text(key))
    }

    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.optional(key).map(PathBuf::from)
    }

    pub(super) fn duration(&mut self, key: &str) -> Duration {
        let text = self.text(key);
        match parse_duration(&text) {
            Ok(duration) if !duration.is_zero() => duration,
            Ok(_) => self.fault(key, "must be longer than zero"),
            Err(message) => self.fault(key, message),
        }
    }

    /// Reads a duration; `0` is `None`.
    pub(super) fn duration_or_never(&mut self, key: &str) -> Option<Duration> {
        let text = self.text(key);
        if text.trim() == "0" { None } else { Some(self.duration(key)) }
    }

    pub(super) fn size(&mut self, key: &str) -> ByteSize {
        let text = self.text(key);
        ByteSize::from_str(&text).unwrap_or_else(|message| self.fault(key, message))
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        match self.config.get_bool(key) {
            Ok(flag) => flag,
            Err(_) => {
                let text = self.text(key);
                self.fault(key, format!("`{text}` is neither true nor false"))
            }
        }
    }

    /// Reads a whole number of at least `least`.
    pub(super) fn number<T: FromStr + Default + PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        key: &str,
        least: T,
    ) -> T {
        let text = self.text(key);
        match text.parse::<T>() {
            Ok(number) if number >= least => number,
            Ok(_) => self.fault(key, format!("`{text}` is too small; at least {least} is needed")),
            Err(_) => self.fault(key, format!("`{text}` is not a whole number in range")),
        }
    }

    /// Reads a list: an array in a file, or values parted by commas in the environment.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        if let Ok(list) = self.config.get::<Vec<String>>(key) {
            return list;
        }
        let text = self.text(key);
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    /// Reads a name out of a closed set.
    pub(super) fn one_of<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key);
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.fault::<()>(key, format!("`{text}` is not one of {}", names.join(", ")));
        }
        found
    }

    /// Notes a fault and returns something harmless.
    pub(super) fn fault<T: Default>(&mut self, key: &str, message: impl Into<String>) -> T {
        self.faults.push(Fault::new(key, message));
        T::default()
    }
}
