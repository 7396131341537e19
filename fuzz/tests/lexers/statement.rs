//! Statements that are often good SQL, made of what opens and closes strings, names and comments.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

/// What strings, names and comments are filled with.
const FILLING: &[&str] = &[
    "'", "''", "\\", "\\\\", "\\'", "\"", "\"\"", "`", "``", "]", "[", "\n", "\r", "\r\n", " ", "--", "-- ", "--\n",
    "/*", "*/", "/**/", "#", ":a", ":b", "$$", "$a$", "$é$", "$", ";", "é", "a", "E'", "x", "1", "\u{a0}", ",", "/*!",
    "||",
];
/// What stands before a string.
const PREFIXES: &[&str] = &["", "", "", "E", "e", "U&", "N", "_utf8", "1", "1E", "1.5e", "0x1E", "a", "é", "E1"];
/// What stands between two things of a list.
const BETWEEN: &[&str] =
    &[",", ",", ", ", "||", " , ", "\n,", "=", "-", "--", "/", "*", "+", "%", " ", "\n", "\r", "::", "\n\n"];
const NUMBERS: &[&str] =
    &["1", "0", "1.5", ".5", "1e5", "0x1f", "1.", "null", "1--1", "5-- 3\n", "1#2\n", "1/*!+1*/", "1 /*!99999 +1 */"];

/// Makes a statement.
pub(crate) fn statement(random: &mut StdRng) -> String {
    let mut sql = String::from("select ");
    for index in 0..random.random_range(1..6) {
        if index > 0 {
            sql.push_str(pick(random, BETWEEN));
        }
        if random.random_ratio(1, 3) {
            blank(random, &mut sql);
        }
        item(random, &mut sql);
        if random.random_ratio(1, 3) {
            blank(random, &mut sql);
        }
    }
    if random.random_ratio(1, 8) {
        sql.push(';');
        blank(random, &mut sql);
    }
    sql
}

fn item(random: &mut StdRng, sql: &mut String) {
    match random.random_range(0..12) {
        0..=2 => sql.push_str(pick(random, &[":a", ":b", ":a_1", ":a::text", ":é", ":a$"])),
        3 => sql.push_str(pick(random, NUMBERS)),
        4..=6 => {
            sql.push_str(pick(random, PREFIXES));
            enclosed(random, sql, "'", "'");
        }
        7 => {
            // A string that may go on.
            sql.push_str(pick(random, PREFIXES));
            enclosed(random, sql, "'", "'");
            blank(random, sql);
            enclosed(random, sql, "'", "'");
        }
        8 => {
            sql.push_str("1 as ");
            let (open, close) = [("\"", "\""), ("`", "`"), ("[", "]")][random.random_range(0..3)];
            enclosed(random, sql, open, close);
        }
        9 => enclosed(random, sql, "\"", "\""),
        10 => {
            let tag = pick(random, &["$$", "$a$", "$é$", "$a_1$", "$a$$"]);
            enclosed(random, sql, tag, tag);
        }
        _ => sql.push_str(pick(random, FILLING)),
    }
}

/// Space, comments, or what one of the servers takes for them.
fn blank(random: &mut StdRng, sql: &mut String) {
    for _ in 0..random.random_range(1..4) {
        match random.random_range(0..7) {
            0 | 1 => sql.push_str(pick(random, &[" ", "\n", "\r", "\t", "\u{c}", "\u{b}"])),
            2 => enclosed(random, sql, "--", "\n"),
            3 => {
                let close = pick(random, &["\n", "\r", "\r\n"]);
                enclosed(random, sql, "-- ", close);
            }
            4 => enclosed(random, sql, "#", "\n"),
            _ => {
                let open = pick(random, &["/*", "/*", "/*!", "/*M!", "/*+"]);
                enclosed(random, sql, open, "*/");
            }
        }
    }
}

fn enclosed(random: &mut StdRng, sql: &mut String, open: &str, close: &str) {
    sql.push_str(open);
    for _ in 0..random.random_range(0..4) {
        sql.push_str(pick(random, FILLING));
    }
    sql.push_str(close);
}

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}
