//! A table of a catalogue file is read key by key, and what is wrong is gathered. Every section is read with this, so that each
//! tells unknown keys, missing ones, wrong types and wrong values alike.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::parse_faults::ParseFaults;
use super::validate::nearest;

/// A value of the file, with its place.
pub(super) type FileValue<'a> = Spanned<DeValue<'a>>;

/// The keys of a kind of table.
pub(super) struct TableKeys {
    pub(super) needed: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
}

impl TableKeys {
    fn all(&self) -> impl Iterator<Item = &'static str> {
        self.needed.iter().chain(self.optional).copied()
    }
}

/// A table under way. Whoever reads a key gets its good value or none; what is wrong is noted.
pub(super) struct TableReader<'a> {
    place: Range<usize>,
    entries: &'a DeTable<'a>,
    /// Keys with something wrong, and those that a misspelt one was probably meant to be: nothing follows from them.
    unsure: Vec<&'static str>,
    pub(super) faults: &'a mut ParseFaults,
}

impl<'a> TableReader<'a> {
    /// Begins to read a table. `name` is as it stands in the file, `[csv]`; empty for the file itself.
    pub(super) fn open(
        name: &str,
        place: Range<usize>,
        entries: &'a DeTable<'a>,
        keys: &TableKeys,
        faults: &'a mut ParseFaults,
    ) -> Self {
        let mut unsure = Vec::new();
        let within = if name.is_empty() { String::new() } else { format!(" in {name}") };
        for key in entries.keys().filter(|key| keys.all().all(|known| known != key.get_ref())) {
            let meant = nearest(key.get_ref(), keys.all().filter(|known| !entries.contains_key(*known)));
            unsure.extend(meant);
            let hint = meant.or_else(|| nearest(key.get_ref(), keys.all())).map_or_else(
                || format!(", expected one of {}", quoted(keys.all())),
                |near| format!("; did you mean `{near}`?"),
            );
            faults.add(key.span(), format!("unknown key `{}`{within}{hint}", key.get_ref()));
        }
        for key in keys.needed {
            if !entries.contains_key(*key) && !unsure.contains(key) && faults.is_toml() {
                faults.add(place.clone(), format!("`{key}` is missing{within}"));
                unsure.push(key);
            }
        }
        Self { place, entries, unsure, faults }
    }

    /// Returns the place of a key's value, or of the table.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map_or_else(|| self.place.clone(), Spanned::span)
    }

    /// Whether what was read of these keys is what the file means, so that something may follow from it.
    pub(super) fn is_sure(&self, keys: &[&str]) -> bool {
        self.faults.is_toml() && keys.iter().all(|key| !self.unsure.contains(key))
    }

    /// Notes that the value of a key is wrong.
    pub(super) fn fault(&mut self, key: &'static str, message: impl Into<String>) {
        let place = self.place(key);
        self.faults.add(place, message);
        self.unsure.push(key);
    }

    /// Returns the value of a key as it stands in the file.
    pub(super) fn value(&self, key: &'static str) -> Option<&'a FileValue<'a>> {
        self.entries.get(key)
    }

    /// Returns a value that may be of any type but a table.
    pub(super) fn no_table(&mut self, key: &'static str) -> Option<&'a FileValue<'a>> {
        let value = self.value(key)?;
        if value.get_ref().is_table() {
            self.fault(key, format!("`{key}` must be a value, not a table"));
            return None;
        }
        Some(value)
    }

    /// Reads a value that one of the functions of [`DeValue`] knows, and then the caller.
    fn read<V, T>(
        &mut self,
        key: &'static str,
        expected: &str,
        typed: impl FnOnce(&'a DeValue<'a>) -> Option<V>,
        read: impl FnOnce(V) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let typed = typed(value.get_ref()).ok_or_else(|| wrong_type(&format!("`{key}`"), expected, value.get_ref()));
        match typed.and_then(read) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fault(key, message);
                None
            }
        }
    }

    /// Reads a text.
    pub(super) fn text<T>(&mut self, key: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.read(key, A_TEXT, |value| value.as_str(), read)
    }

    /// Reads a text that may be anything.
    pub(super) fn plain_text(&mut self, key: &'static str) -> Option<String> {
        self.text(key, |text| Ok(text.trim().to_owned()))
    }

    /// Reads a key that takes one of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        self.text(key, |word| {
            let found = choices.iter().find(|(choice, _)| *choice == word);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known = quoted(choices.iter().map(|(choice, _)| *choice));
                format!("`{key}` must be one of {known}, not `{word}`")
            })
        })
    }

    /// Reads `true` or `false`.
    pub(super) fn truth(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", |value| value.as_bool(), Ok)
    }

    /// Reads a whole number.
    pub(super) fn whole(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let (least, most) = (*range.start(), *range.end());
        self.read(
            key,
            "a whole number",
            |value| value.as_integer(),
            |number| {
                let number = i64::from_str_radix(number.as_str(), number.radix());
                number.ok().filter(|number| range.contains(number)).ok_or_else(|| {
                    if most == i64::MAX {
                        format!("`{key}` must be {least} or more")
                    } else {
                        format!("`{key}` must be between {least} and {most}")
                    }
                })
            },
        )
    }

    /// Reads a list of texts, each with those before it. `most` is how many there may be, where it is not any number.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        most: Option<usize>,
        mut read: impl FnMut(&[T], &str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let items = self.read(
            key,
            "a list of texts",
            |value| value.as_array(),
            |items| match most {
                Some(most) if items.is_empty() || items.len() > most => {
                    Err(format!("`{key}` must name between 1 and {most}"))
                }
                None if items.is_empty() => Err(format!("`{key}` must name at least one")),
                _ => Ok(items),
            },
        )?;
        let mut good = Vec::with_capacity(items.len());
        for item in items {
            let text = item.get_ref().as_str();
            let text = text.ok_or_else(|| wrong_type(&format!("each of `{key}`"), A_TEXT, item.get_ref()));
            match self.faults.keep(item.span(), text.and_then(|text| read(&good, text))) {
                Some(value) => good.push(value),
                None => self.unsure.push(key),
            }
        }
        Some(good)
    }

    /// Reads a table within this one.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        keys: &TableKeys,
        read: impl FnOnce(&mut TableReader<'_>) -> T,
    ) -> Option<T> {
        let value = self.value(key)?;
        self.inner(&format!("[{key}]"), key, value, keys, read)
    }

    /// Reads a list of tables.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        keys: &TableKeys,
        mut read: impl FnMut(&mut TableReader<'_>) -> T,
    ) -> Vec<T> {
        let name = format!("[[{key}]]");
        let items = self.read(key, &format!("a list of tables, {name}"), |value| value.as_array(), Ok);
        items.into_iter().flatten().filter_map(|item| self.inner(&name, key, item, keys, &mut read)).collect()
    }

    /// Returns tables that have a name each, in the order of the file, with the place of the name.
    pub(super) fn members(&mut self, key: &'static str) -> Vec<(&'a str, Range<usize>, &'a FileValue<'a>)> {
        let members = self.read(key, &format!("tables, [{key}.<name>]"), |value| value.as_table(), Ok);
        let members = members.into_iter().flatten();
        let mut members: Vec<_> = members.map(|(name, value)| (name.get_ref().as_ref(), name.span(), value)).collect();
        members.sort_by_key(|(_, place, _)| place.start);
        members
    }

    /// Reads a table of this one, however it was found.
    pub(super) fn inner<T>(
        &mut self,
        name: &str,
        key: &'static str,
        value: &FileValue<'_>,
        keys: &TableKeys,
        read: impl FnOnce(&mut TableReader<'_>) -> T,
    ) -> Option<T> {
        let Some(entries) = value.get_ref().as_table() else {
            let message = wrong_type(name, "a table", value.get_ref());
            self.faults.add(value.span(), message);
            self.unsure.push(key);
            return None;
        };
        Some(read(&mut TableReader::open(name, value.span(), entries, keys, &mut *self.faults)))
    }
}

const A_TEXT: &str = "a text in quotes";

/// Lists words, each in quotes.
pub(super) fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn wrong_type(what: &str, expected: &str, value: &DeValue<'_>) -> String {
    let given = match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("{what} must be {expected}, not {given}")
}
