//! A parameter beside a column that cannot be compared with it is refused: to SQLite every text is greater than every number, and a
//! number beside text is compared letter by letter, so that a query would silently find other rows.

use std::collections::{BTreeMap, HashMap};

use model::problem::{Problem, ProblemKind};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::moment::Moment;

/// Comparisons of two registers, `p1` and `p3`. What they compare as is in `p5`.
const COMPARISONS: &[&str] = &["Eq", "Ne", "Lt", "Le", "Gt", "Ge"];
/// Bits of `p5` that hold what the operands are taken for, and their values: as they are, and declared text, integers and floats.
const AFFINITY: i64 = 0x47;
const NONE: i64 = 0x41;
const TEXT: i64 = 0x42;
const INTEGER: i64 = 0x44;
const REAL: i64 = 0x45;
/// Instructions that write the register named by `p2`, and those that write the one named by `p3`.
const WRITE_SECOND: &[&str] = &[
    "Integer", "Int64", "Real", "String8", "String", "Null", "SoftNull", "Blob", "Copy", "SCopy", "IntCopy", "Move",
    "Rowid",
];
const WRITE_THIRD: &[&str] = &[
    "Column",
    "VColumn",
    "Function",
    "PureFunc",
    "Add",
    "Subtract",
    "Multiply",
    "Divide",
    "Remainder",
    "Concat",
    "BitAnd",
    "BitOr",
    "ShiftLeft",
    "ShiftRight",
    "And",
    "Or",
    "AggValue",
    "MakeRecord",
    "Null",
];

/// One instruction of the program that SQLite makes of a query.
struct Instruction {
    name: String,
    p1: i64,
    p2: i64,
    p3: i64,
    p5: i64,
}

/// A parameter that not every column can be compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Particular {
    /// Bound as text.
    Time(String),
    /// Bound as a number.
    Decimal(String),
}

impl Particular {
    /// Says what is wrong with a comparison with a column of this affinity, and what would be right. Where the affinity does not say
    /// what is in the column, `sample` returns something that is.
    fn fault(&self, affinity: i64, sample: impl FnOnce() -> Option<Value>) -> Option<String> {
        match (self, affinity) {
            (Self::Time(name), INTEGER | REAL) => Some(beside_numbers(name)),
            (Self::Time(name), _) => match sample()? {
                Value::Integer(_) | Value::Real(_) => Some(beside_numbers(name)),
                Value::Text(text) if is_unknown_notation(&text) => Some(format!(
                    "the time :{name} is compared with text that looks like a time, but not as one that is known (2024-01-31, \
                     2024-01-31 09:00:00, 2024-01-31T09:00:00Z); write strftime('%Y%m%d', :{name}), or in whatever other notation \
                     the column is, or bring the column to a known one"
                )),
                _ => None,
            },
            (Self::Decimal(name), TEXT) => Some(beside_text(name)),
            (Self::Decimal(name), NONE) => matches!(sample()?, Value::Text(_)).then(|| beside_text(name)),
            (Self::Decimal(_), _) => None,
        }
    }
}

fn beside_numbers(time: &str) -> String {
    format!(
        "the time :{time} is compared with a column of numbers, and would be greater than each of them; write unixepoch(:{time}) for \
         seconds since 1970, unixepoch(:{time}) * 1000 for milliseconds, or julianday(:{time})"
    )
}

fn beside_text(number: &str) -> String {
    format!(
        "the number :{number} is compared with a column of text, which SQLite does letter by letter: 9 would be greater than 10, and \
         1.50 not equal to 1.5; write cast(… as real) around the column"
    )
}

/// Tells whether a text begins as times do, has as many digits as a day, and is none that [`Moment`] knows.
fn is_unknown_notation(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.starts_with(|first: char| first.is_ascii_digit()) && digits >= 6 && Moment::of(text.as_bytes()).is_none()
}

/// Looks for comparisons of a parameter with a column that holds something else. `particular` has them by number.
pub(super) fn check_comparisons(
    connection: &Connection,
    sql: &str,
    particular: &BTreeMap<usize, Particular>,
) -> Result<(), Problem> {
    // What cannot be explained (an `explain` itself) compares nothing.
    let program = (!particular.is_empty()).then(|| program(connection, sql).ok()).flatten();
    let Some(program) = program else { return Ok(()) };
    let mut registers: HashMap<i64, &Particular> = HashMap::new();
    for variable in program.iter().filter(|instruction| instruction.name == "Variable") {
        if let Some(param) = usize::try_from(variable.p1).ok().and_then(|number| particular.get(&number)) {
            registers.insert(variable.p2, param);
        }
    }
    let is_comparison = |instruction: &&Instruction| COMPARISONS.contains(&instruction.name.as_str());
    // A register that holds something else at another time is not looked at.
    for other in program.iter().filter(|other| !is_comparison(other) && other.name != "Variable") {
        if WRITE_THIRD.contains(&other.name.as_str()) {
            registers.remove(&other.p3);
        }
        if WRITE_SECOND.contains(&other.name.as_str()) {
            registers.remove(&other.p2);
        }
    }
    for (at, one) in program.iter().enumerate().filter(|(_, one)| is_comparison(one)) {
        for (compared, beside) in [(one.p1, one.p3), (one.p3, one.p1)] {
            let sample = || sample(connection, &program[..at], beside);
            let fault = registers.get(&compared).and_then(|param| param.fault(one.p5 & AFFINITY, sample));
            if let Some(fault) = fault {
                return Err(Problem::new(ProblemKind::QueryFailed, fault));
            }
        }
    }
    Ok(())
}

/// Returns the first value of the column that a register was filled from. `None`: it is no column of a table, or there is none among
/// its first thousand rows.
fn sample(connection: &Connection, before: &[Instruction], register: i64) -> Option<Value> {
    let read = before.iter().rev().find(|one| one.name == "Column" && one.p3 == register)?;
    // Other databases than the file are not opened.
    let opened = before.iter().find(|one| one.name == "OpenRead" && one.p1 == read.p1 && one.p3 == 0)?;
    let find = "select s.tbl_name, c.name from sqlite_schema as s, pragma_table_xinfo(s.name) as c
            where s.rootpage = ?1 and s.type = 'table' and c.cid = ?2
        union all select s.tbl_name, c.name from sqlite_schema as s, pragma_index_xinfo(s.name) as c
            where s.rootpage = ?1 and s.type = 'index' and c.seqno = ?2";
    let ask = |sql: &str| connection.prepare(sql).ok();
    let found = ask(find)?.query_row((opened.p2, read.p2), |row| Ok((row.get(0)?, row.get(1)?)));
    let (table, column): (String, String) = found.ok()?;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (table, column) = (quoted(&table), quoted(&column));
    let first =
        format!("select v from (select {column} as v from {table} limit 1000) where v is not null and v <> '' limit 1");
    ask(&first)?.query_row([], |row| row.get(0)).ok()
}

fn program(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Instruction>> {
    let mut explained = connection.prepare(&format!("explain {sql}"))?;
    // The program is the same whatever is bound.
    let instructions = explained.raw_query().mapped(|row| {
        Ok(Instruction { name: row.get(1)?, p1: row.get(2)?, p2: row.get(3)?, p3: row.get(4)?, p5: row.get(6)? })
    });
    instructions.collect()
}
