//! What people see: lines, tables, times.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Local, Utc};
use model::job::JobState;

/// Prints a line. Whoever reads may be gone (`… | head`): then there is nothing left to do, and the process ends.
///
/// # Errors
/// When the line could not be written although it is wanted, as to a disk that is full.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    match write(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context(UNSEEN),
    }
}

/// Writes a line that must not get lost, to standard output.
///
/// # Errors
/// When nobody can have seen it, whatever the reason.
pub(crate) fn write(text: impl Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// What is said when standard output takes nothing.
pub(crate) const UNSEEN: &str = "standard output could not be written";

/// Prints a line to standard error. That it cannot be seen changes nothing.
pub(crate) fn print_error(text: impl Display) {
    let _unseen = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints JSON for programs.
pub(crate) fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(value)?)
}

/// Names a state, in its colour where standard output is a terminal with colours and `NO_COLOR` is not set.
pub(crate) fn format_state(state: JobState) -> String {
    let name = console::style(state.as_str());
    let painted = match state {
        JobState::Done => name.green(),
        JobState::Failed => name.red(),
        JobState::Retrying => name.yellow(),
        JobState::Processing => name.cyan(),
        JobState::Pending | JobState::Cancelled => name.dim(),
    };
    painted.to_string()
}

/// Lays out rows in columns that line up; `right` tells which columns are numbers.
pub(crate) fn table(header: &[&str], right: &[bool], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| console::measure_text_width(cell));
        cells.chain(header.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(right) {
            // Colours take no room.
            let gap = " ".repeat(width.saturating_sub(console::measure_text_width(cell)));
            line.push_str(&if *right { format!("{gap}{cell}") } else { format!("{cell}{gap}") });
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.pop();
    text
}

/// Says when, in local time: the clock today, the day before.
pub(crate) fn format_time(time: DateTime<Utc>) -> String {
    format_time_at(time.with_timezone(&Local), Local::now())
}

fn format_time_at(time: DateTime<Local>, now: DateTime<Local>) -> String {
    let format = if time.date_naive() == now.date_naive() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    time.format(format).to_string()
}

/// Says how long, in two parts at most: `850ms`, `2.4s`, `3m 20s`, `2h 5m`.
pub(crate) fn format_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{:.1}s", time.as_secs_f64()),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// Says how long between two times, where both are known.
pub(crate) fn format_elapsed(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> String {
    let time = from.zip(to).and_then(|(from, to)| (to - from).to_std().ok());
    time.map(format_duration).unwrap_or_default()
}

/// Writes a number with its thousands apart: `1 234 567`.
pub(crate) fn format_count(number: u64) -> String {
    model::locale::grouped(number, " ")
}

/// Writes a number of bytes: `812 B`, `1.4 MiB`.
pub(crate) fn format_bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "5".to_owned()], vec!["länger".to_owned(), "1 234".to_owned()]];
        insta::assert_snapshot!(table(&["NAME", "ROWS"], &[false, true], &rows), @r"
        NAME     ROWS
        a           5
        länger  1 234
        ");
    }

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!(
            [format_count(0), format_count(999), format_count(1000), format_count(1_234_567)],
            ["0", "999", "1 000", "1 234 567"]
        );
        let times =
            [12, 2400, 200_000, 7_500_000, 100_000_000].map(|millis| format_duration(Duration::from_millis(millis)));
        assert_eq!(times, ["12ms", "2.4s", "3m 20s", "2h 5m", "1d 3h"]);
    }

    #[test]
    fn today_is_a_clock_and_another_day_a_date() {
        let now = Local::now();
        assert_eq!(format_time_at(now, now).len(), "12:34:56".len());
        assert_eq!(format_time_at(now - chrono::Duration::days(2), now).len(), "2024-01-01 12:34".len());
    }
}
