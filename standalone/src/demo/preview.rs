//! The first rows of a CSV file, as a table.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::Context as _;

use crate::terminal;

/// Columns that do not fit in this many characters are left out, and said so.
const WIDTH: usize = 100;

/// Reads the first `rows` rows of a file.
///
/// # Errors
/// When the file cannot be read or has no header.
pub(super) fn preview(path: &Path, rows: usize) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut lines = BufReader::new(file).lines();
    let header = lines.next().context("the file is empty")??;
    let header = cells(&header);
    let body = lines.take(rows).map(|line| line.map(|line| cells(&line))).collect::<Result<Vec<_>, _>>()?;
    let width = |column: usize| {
        let all = std::iter::once(&header).chain(&body);
        all.filter_map(|row| row.get(column)).map(|cell| cell.chars().count() + 2).max().unwrap_or(0)
    };
    let mut left = WIDTH;
    let fitting = (0..header.len()).take_while(|column| {
        let fits = width(*column) <= left;
        left = left.saturating_sub(width(*column));
        fits
    });
    let shown = fitting.count().max(1);
    let names: Vec<&str> = header.iter().take(shown).map(String::as_str).collect();
    let number = |column: usize| body.iter().filter_map(|row| row.get(column)).all(|cell| cell.parse::<f64>().is_ok());
    let right: Vec<bool> = (0..shown).map(number).collect();
    let mut table = terminal::table(&names, &right, &body);
    if shown < header.len() {
        table.push_str(&format!("\n… and {} more columns", header.len() - shown));
    }
    Ok(table)
}

/// Parts a line of RFC 4180. A line break inside of quotes ends the preview's cell early, which a preview may.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.trim_end_matches('\r').chars().peekable();
    while let Some(next) = chars.next() {
        match (next, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut cells, '"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => cells.push(String::new()),
            (other, _) => push(&mut cells, other),
        }
    }
    cells
}

fn push(cells: &mut [String], letter: char) {
    if let Some(cell) = cells.last_mut() {
        cell.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_cells_are_read_as_they_were_meant() {
        assert_eq!(cells("a,\"b, \"\"c\"\"\",,1\r"), ["a", "b, \"c\"", "", "1"]);
    }
}
