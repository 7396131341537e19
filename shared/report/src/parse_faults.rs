//! What is wrong with a file is gathered while it is read, so that all of it is told at once.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DefinitionFault, ReportDefinition};

/// More faults than this are counted and not told.
const MOST_TOLD: usize = 200;

/// What is wrong, and at which bytes of the file.
struct ParseFault {
    at: Range<usize>,
    message: String,
}

/// What is wrong with a file.
#[derive(Default)]
pub(super) struct ParseFaults {
    found: Vec<ParseFault>,
    /// What is no TOML: nobody knows what it was meant to be.
    unreadable: Vec<Range<usize>>,
    untold: usize,
}

impl ParseFaults {
    /// Notes what is no TOML.
    pub(super) fn add_unreadable(&mut self, error: &toml::de::Error) {
        let at = error.span().unwrap_or(0..0);
        self.add(at.clone(), error.message().lines().next().unwrap_or("cannot be read"));
        self.unreadable.push(at);
    }

    pub(super) fn add(&mut self, at: Range<usize>, message: impl Into<String>) {
        if self.found.len() < MOST_TOLD {
            self.found.push(ParseFault { at, message: message.into() });
        } else {
            self.untold += 1;
        }
    }

    /// Returns the value, or notes what is wrong with it.
    pub(super) fn keep<T>(&mut self, at: Range<usize>, read: Result<T, impl Into<String>>) -> Option<T> {
        read.map_err(|message| self.add(at, message)).ok()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns how many there are so far.
    pub(super) const fn count(&self) -> usize {
        self.found.len() + self.untold
    }

    /// Whether all of the file is TOML. If not, nobody knows what is missing in it.
    pub(super) const fn is_toml(&self) -> bool {
        self.unreadable.is_empty()
    }

    /// Gives every fault its line and column, in the order of the file.
    pub(super) fn tell(mut self, name: &str, text: &str) -> Vec<DefinitionFault> {
        let unreadable = self.unreadable;
        let lines = LineStarts::of(text);
        // What TOML's reader made of a line that it could not read is no fault of its own.
        let lines_unreadable: Vec<usize> = unreadable.iter().map(|at| lines.place(text, at.start).0).collect();
        self.found.retain(|fault| {
            unreadable.contains(&fault.at) || !lines_unreadable.contains(&lines.place(text, fault.at.start).0)
        });
        self.found.sort_by_key(|fault| fault.at.start);
        let file = format!("{name}.toml");
        let told = |fault: ParseFault| {
            let (line, column) = lines.place(text, fault.at.start);
            DefinitionFault { file: file.clone(), line, column, message: fault.message }
        };
        let mut faults: Vec<DefinitionFault> = self.found.into_iter().map(told).collect();
        if let (Some(last), 1..) = (faults.last().cloned(), self.untold) {
            faults.push(DefinitionFault { message: format!("there are {} faults more", self.untold), ..last });
        }
        faults
    }
}

impl ReportDefinition {
    /// Says what is wrong with a value of the file, for example with that at `["columns", "0", "name"]`. Of a value that is not
    /// there, the table is named in which it would be.
    #[must_use]
    pub fn fault_at(&self, path: &[&str], message: impl Into<String>) -> DefinitionFault {
        let (file, _) = DeTable::parse_recoverable(&self.text);
        let file = Spanned::new(0..0, DeValue::Table(file.into_inner()));
        let mut here = &file;
        for step in path {
            let index = step.parse::<usize>();
            let inner = index.map_or_else(|_| here.get_ref().get(*step), |index| here.get_ref().get(index));
            let Some(inner) = inner else { break };
            here = inner;
        }
        let at = here.span().start;
        let (line, column) = LineStarts::of(&self.text).place(&self.text, at);
        DefinitionFault { file: format!("{}.toml", self.name), line, column, message: message.into() }
    }
}

/// The bytes at which lines begin.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// Finds line and column of a byte, both from 1; columns are characters.
    fn place(&self, text: &str, at: usize) -> (usize, usize) {
        let line = self.0.partition_point(|start| *start <= at);
        let start = self.0.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = text.as_bytes().get(start..at.min(text.len())).unwrap_or_default();
        // Every character has one byte that does not go on with another.
        (line, before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_of_characters() {
        let text = "a\nüß = 1\r\n\nend";
        let lines = LineStarts::of(text);
        let place = |what: &str| lines.place(text, text.find(what).unwrap());
        assert_eq!([place("a"), place("ß"), place("= 1"), place("end")], [(1, 1), (2, 2), (2, 4), (4, 1)]);
        assert_eq!(lines.place(text, text.len()), (4, 4), "the end of the file");
        assert_eq!(LineStarts::of("").place("", 0), (1, 1));
    }

    #[test]
    fn faults_beyond_the_most_are_counted() {
        let mut faults = ParseFaults::default();
        for at in 0..MOST_TOLD + 3 {
            faults.add(at..at, "wrong");
        }
        let told = faults.tell("many", &"\n".repeat(500));
        assert_eq!((told.len(), told[MOST_TOLD].message.as_str()), (MOST_TOLD + 1, "there are 3 faults more"));
    }
}
