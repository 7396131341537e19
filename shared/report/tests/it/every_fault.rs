//! A file with several mistakes: each is told, with its place, and nothing that only follows from another.

use proptest::prelude::*;
use proptest::sample::subsequence;
use report::{Dialect, check_definition, check_definition_for, parse_definition};

/// Every key of the format, one a line.
const EVERYTHING: &str = r#"
title = "Pricing summary"
description = "What was shipped."
source = "demo"
lane = "bulk"
formats = ["csv", "jsonl"]
on_limit = "truncate"
timeout = "30m"
max_attempts = 3
retention = "30d"
reuse = "1h"
max_running = 4
concurrency_key = ":clerk :count"
max_running_per_key = 2
max_rows = 1000
max_bytes = "2MiB"
total = "exact"
links = "tenant"
visible_to = ["role:analyst", "principal:acme/ana"]
unique_names = true
time_zone = "Europe/Berlin"
sql = "select * from t where d <= :until and s in (:segments) and n = :count and c = :clerk and :tenant <> ''"

[params.until]
type = "date"
label = "Until"
description = "The last day."
default = 1998-09-02
min = "1992-01-01"
max = "1998-12-31"
sensitive = true

[params.segments]
type = "choice"
list = true
choices = ["A", "B"]
default = ["A"]
max_items = 2

[params.count]
type = "integer"
min = 1
max = 5

[params.clerk]
type = "text"
optional = true
max_length = 20

[[columns]]
name = "sum_qty"
type = "decimal"
title = "Quantity"
format = "number:2"
total = "sum"
width = 14
time_zone = "America/New_York"
align = "center"

[[columns]]
name = "placed_at"
format = "datetime"
total = "max"

[csv]
separator = ";"
header = false
bom = true
decimal_comma = true
formulas = "keep"
compression = "zstd"

[jsonl]
json = "nested"
compression = "gzip"

[pdf]
page = "Letter"
orientation = "landscape"

[chart]
kind = "bar"
x = "segment"
y = ["sum_qty"]
title = "Quantities"

[[schedules]]
name = "daily"
tenant = "acme"
owner = "ana"
title = "What was shipped"
params = { count = 3 }
formats = ["csv"]
on_refusal = "fail"
notify = [{ channel = "email", to = "ana@example.com" }]
alert = [{ channel = "email", to = "ops@example.com" }]
when = "every day at 07:30"
zone = "Europe/Berlin"
calendar = "de"
on_holiday = "before"
starts_at = 2026-03-01T00:00:00Z
ends_at = "2027-03-01T00:00:00Z"
on_empty = "tell"
overlap = "allow"
catch_up = "2h"
within = "15m"
alarm_after = "26h"
pause_after = 3
"#;

/// Marks of every kind of mistake, in every section.
const WRONG_EVERYWHERE: &str = r##"|>colour = "red"
lane = |>"slow"
timeout = |>5
formats = ["csv", |>"docx", |>"csv", |>3]
title = "Ü"
source = |>"  "
max_attempts = |>1000
max_running = |>0
concurrency_key = |>"customer"
unique_names = |>"yes"
sql = """
select 1 from t where a = :a and
  b = |>:beta and c in (:c) /* ü */ and d = |>:delta"""
[params.a]
type = |>"dat"
default = "whatever: its type is not known"
|>lable = "A"
|>[params.c]
list = true
label = |>7
[params.|>unused]
type = "integer"
min = |>"six"
max_items = |>3
[params.|>tenant]
type = "text"
[csv]
separator = |>"::"
decimal_comma = true
|>quote = "'"
[pdf]
page = |>"A9"
orientation = |>1
[chart]
kind = |>"pie"
x = |>""
y = ["a", |>"a", |>2]
|>[[columns]]
format = |>"number:99"
width = |>0
[[columns]]
name = "x"
align = |>"up"
[[columns]]
name = |>"x"
"##;

/// Line and column of each fault, and what its message says first: within backquotes, if it has any.
fn places(text: &str) -> Vec<(usize, usize, String)> {
    let faults = check_definition("broken", text).err().unwrap_or_default();
    let word = |message: &str| message.split('`').nth(1).unwrap_or(message).to_owned();
    faults.into_iter().map(|fault| (fault.line, fault.column, word(&fault.message))).collect()
}

/// Checks that a file has faults where `|>` marks them and nowhere else, and what their messages name.
fn expect(name: &str, marked: &str, words: &[&str]) {
    let mut expected = Vec::new();
    for (index, line) in marked.lines().enumerate() {
        let mut column = 1;
        let mut parts = line.split("|>");
        column += parts.next().unwrap_or_default().chars().count();
        for part in parts {
            expected.push((index + 1, column));
            column += part.chars().count();
        }
    }
    let found = places(&marked.replace("|>", ""));
    let found_at: Vec<(usize, usize)> = found.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(found_at, expected, "{name}: {found:#?}");
    let said: Vec<&str> = found.iter().map(|(.., word)| word.as_str()).collect();
    assert_eq!(said, words, "{name}");
}

#[test]
fn the_file_with_everything_is_good() {
    parse_definition("everything", EVERYTHING).unwrap();
}

#[test]
fn every_fault_of_a_file_is_told_at_once() {
    let words = "colour slow timeout docx csv formats source max_attempts max_running customer unique_names :beta :delta type lable type label unused \
                 min max_items :tenant separator quote page orientation kind x a y name number:99 width align x";
    expect("every section", WRONG_EVERYWHERE, &words.split(' ').collect::<Vec<_>>());
}

#[test]
fn a_mistake_is_told_once_and_nothing_that_only_follows_from_it() {
    let start = "title = \"T\"\nsource = \"s\"\n";
    let a = "[params.a]\ntype = \"date\"\n";
    let small = format!("{start}sql = \"select 1\"\n");
    let unclosed = "a string that opens in line 1 of the query is never closed";
    let cases: &[(&str, String, &[&str])] = &[
        (
            "a misspelt key is not missing",
            format!("|>titel = \"T\"\n{small}").replacen("title = \"T\"\n", "", 1),
            &["titel"],
        ),
        ("formats decide on [jsonl]", format!("{small}|>format = [\"csv\"]\n[jsonl]\njson = \"text\"\n"), &["format"]),
        (
            "[params] decides on the query",
            format!("{start}sql = \"select :a\"\n[|>parms.a]\ntype = \"date\"\n"),
            &["parms"],
        ),
        (
            "a misspelt parameter",
            format!("{start}sql = \"select |>:until\"\n[params.untill]\ntype = \"date\"\n"),
            &[":until"],
        ),
        (
            "an optional list beside others",
            format!(
                "{start}sql = \"select 1 in (:ids, 0)\"\n[params.|>ids]\ntype = \"integer\"\nlist = true\noptional = true\n"
            ),
            &[":ids"],
        ),
        ("a name that is none", format!("{small}[params.|>'']\ntype = \"date\"\n"), &[""]),
        ("a list where a table should be", format!("{small}csv = |>[{{}}]\n"), &["[csv] must be a table, not a list"]),
        ("a table where a list should be", format!("{small}columns = |>{{}}\n"), &["columns"]),
        ("no table of parameters", format!("{start}params = |>3\nsql = \"select :a\"\n"), &["params"]),
        (
            "a parameter that is no table",
            format!("{start}sql = \"select :a\"\nparams.a = |>\"date\"\n"),
            &["[params.a] must be a table, not a text"],
        ),
        ("a query that is no text", format!("{start}sql = |>[\"select :a\"]\n{a}"), &["sql"]),
        (
            "what is never closed hides the rest",
            format!("{start}sql = \"select |>'open from t where a = :a\"\n{a}"),
            &[unclosed],
        ),
        ("what follows a bad placeholder", format!("{start}sql = '''\nselect |>:nä, |>:b'''\n"), &[":n", ":b"]),
        (
            "what is no TOML",
            format!("{start}lane = \"x\" |>y\nsql = \"select :a\"\nmax_rows = |>0\n"),
            &["#", "max_rows"],
        ),
        ("a key twice", format!("{small}|>title = \"U\"\n|>width = 1\n"), &["duplicate key", "width"]),
    ];
    for (name, marked, words) in cases {
        expect(name, marked, words);
    }
}

#[test]
fn what_a_report_reads_of_whoever_asks_is_held_against_its_query() {
    let start = "title = \"T\"\nsource = \"s\"\n";
    let small = format!("{start}sql = \"select 1\"\n");
    let cases: &[(&str, String, &[&str])] = &[
        (
            "a misspelt attribute",
            format!("{start}sql = \"select |>:attribute.regoin\"\n[attributes.region]\ntype = \"text\"\n"),
            &[":attribute.regoin"],
        ),
        (
            "an attribute that nobody uses, with a name and a type that are none",
            format!("{small}[attributes.|>unused]\ntype = \"text\"\n[attributes.|>Region]\ntype = |>\"choice\"\n"),
            &["unused", "Region", "type"],
        ),
        (
            "what credentials say has no default and is not left out",
            format!(
                "{start}sql = \"select :attribute.a\"\n[attributes.a]\ntype = \"text\"\n|>optional = true\n|>default = \"x\"\n"
            ),
            &["optional", "default"],
        ),
        (
            "a list that may be empty beside others",
            format!(
                "{start}sql = \"select 1 in (:attribute.a, 0)\"\n[attributes.|>a]\ntype = \"integer\"\nlist = true\n"
            ),
            &[":attribute.a"],
        ),
        (
            "[attributes] decides on the query",
            format!("{start}sql = \"select :attribute.a\"\n[|>atributes.a]\ntype = \"date\"\n"),
            &["atributes"],
        ),
    ];
    for (name, marked, words) in cases {
        expect(name, marked, words);
    }
}

#[test]
fn the_kind_of_database_decides_when_it_is_known_and_the_one_that_understands_most_when_not() {
    let text = "title = \"\"\nsource = \"shop\"\nsql = '''\nselect a ? b # it's :x\n'''\n";
    let of = |dialect: Option<Dialect>| -> Vec<usize> {
        let checked = match dialect {
            Some(dialect) => check_definition_for("d", text, &|source| (source == "shop").then_some(dialect)),
            None => check_definition("d", text),
        };
        checked.unwrap_err().iter().map(|fault| fault.column).collect()
    };
    assert_eq!(of(Some(Dialect::Mysql)), [9, 10], "the blank title, and `?`");
    assert_eq!(of(Some(Dialect::Postgres)), [9, 18], "`#` is an operator, and the apostrophe is never closed");
    assert_eq!(of(None), [9, 10], "MySQL reads it to its end");
}

/// What can be done to a line `key = value`.
#[derive(Debug, Clone, Copy)]
enum Break {
    Misspell,
    WrongType,
}

proptest! {
    #[test]
    fn each_of_many_broken_lines_is_told_with_its_place_and_no_other(
        broken in subsequence(lines_with_a_key(), 0..=lines_with_a_key().len()),
        how in prop::collection::vec(prop_oneof![Just(Break::Misspell), Just(Break::WrongType)], lines_with_a_key().len()),
    ) {
        let mut lines: Vec<String> = EVERYTHING.lines().map(str::to_owned).collect();
        let mut expected = Vec::new();
        for (index, how) in broken.iter().zip(how) {
            let (key, value) = lines[*index].split_once(" = ").unwrap();
            let (line, column) = match how {
                Break::Misspell => (format!("{key}{} = {value}", &key[key.len() - 1..]), 1),
                Break::WrongType => {
                    let wrong = if value.starts_with('{') { "3" } else { "{ wrong = 1 }" };
                    (format!("{key} = {wrong}"), key.len() + " = ".len() + 1)
                }
            };
            lines[*index] = line;
            expected.push((index + 1, column));
        }
        let text = lines.join("\n");
        let found: Vec<(usize, usize)> = places(&text).into_iter().map(|(line, column, _)| (line, column)).collect();
        prop_assert_eq!(found, expected, "{}", text);
    }
}

fn lines_with_a_key() -> Vec<usize> {
    EVERYTHING.lines().enumerate().filter(|(_, line)| line.contains(" = ")).map(|(index, _)| index).collect()
}
