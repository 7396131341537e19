use std::time::Duration;

use model::artifact::Format;
use model::job::Lane;
use proptest::prelude::*;
use report::{
    ChartKind, ColumnAlign, ColumnFormat, ColumnTotal, ColumnType, Compression, CsvOptions, FormulaText, JsonText,
    JsonlOptions, OnLimit, Orientation, Paper, ParamType, RunsAtOnce, TotalRows, parse_definition,
};

const FULL: &str = r#"
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
concurrency_key = ":until :segments"
max_running_per_key = 2
max_rows = 1000
max_bytes = "2MiB"
total = "exact"
unique_names = true
time_zone = "Europe/Berlin"
sql = """
select * from t where d <= :until and s in (:segments) and tenant = :tenant"""

[params.until]
type = "date"
label = "Until"
default = 1998-09-02
min = "1992-01-01"

[params.segments]
type = "choice"
list = true
choices = ["A", "B"]
default = ["A"]
max_items = 2

[[columns]]
name = "sum_qty"
title = "Quantity"
format = "number:2"
total = "sum"
width = 14
time_zone = "America/New_York"
align = "center"

[csv]
separator = ";"
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
"#;

const SMALL: &str = "title = \"T\"\nsource = \"demo\"\nsql = \"\"\"\nselect 1\nfrom t\n\"\"\"\n";

fn fault(text: &str) -> String {
    parse_definition("small", text).unwrap_err().to_string()
}

#[test]
fn every_key_of_the_format_is_read() {
    let def = parse_definition("pricing-summary", FULL).unwrap();
    assert_eq!((def.name.as_str(), def.source.as_str(), def.lane), ("pricing-summary", "demo", Lane::Bulk));
    assert_eq!(def.formats, [Format::Csv, Format::Jsonl]);
    assert_eq!(def.timeout, Duration::from_secs(1800));
    assert_eq!(def.retention, Duration::from_secs(30 * 24 * 3600));
    assert_eq!(def.reuse, Some(Duration::from_secs(3600)));
    let key = vec!["until".to_owned(), "segments".to_owned()];
    assert_eq!(def.running, RunsAtOnce { most: Some(4), key, most_per_key: 2 });
    assert_eq!((def.max_attempts, def.max_rows, def.max_bytes), (3, Some(1000), Some(2 << 20)));
    assert_eq!((def.total, def.on_limit, def.unique_names), (TotalRows::Exact, OnLimit::Truncate, true));
    let zstd = Compression::Zstd;
    assert_eq!(
        def.csv,
        CsvOptions {
            separator: b';',
            header: true,
            bom: true,
            decimal_comma: true,
            formulas: FormulaText::Keep,
            compression: zstd
        }
    );
    assert_eq!(def.jsonl, JsonlOptions { json: JsonText::Nested, compression: Compression::Gzip });
    assert!(def.version.starts_with("sha256:") && def.version.len() == 71);
    let names: Vec<_> = def.params.iter().map(|param| param.name.as_str()).collect();
    assert_eq!(names, ["until", "segments"], "in the order of the file");
    assert_eq!(def.params[0].default, Some("1998-09-02".into()), "a TOML date is a date");
    assert_eq!((def.params[1].kind, def.params[1].list), (ParamType::Choice, true));
    let column = &def.columns[0];
    assert_eq!(
        (column.format.clone(), column.total),
        (Some(ColumnFormat::Number { decimals: 2 }), Some(ColumnTotal::Sum))
    );
    let zones = [def.time_zone, column.time_zone].map(|zone| zone.unwrap().name());
    assert_eq!(zones, ["Europe/Berlin", "America/New_York"]);
    assert_eq!((column.width, column.align), (Some(14), Some(ColumnAlign::Center)));
    assert_eq!((def.page.paper, def.page.orientation), (Paper::Letter, Some(Orientation::Landscape)));
    let chart = def.chart.unwrap();
    assert_eq!(
        (chart.kind, chart.x.as_str(), chart.y, chart.title),
        (ChartKind::Bar, "segment", vec!["sum_qty".into()], None)
    );
}

#[test]
fn a_format_of_a_column_is_one_of_a_closed_set() {
    let format = |text: &str| {
        let def = parse_definition("small", &format!("{SMALL}[[columns]]\nname = \"x\"\nformat = \"{text}\"\n"));
        def.unwrap().columns[0].format.clone().unwrap()
    };
    let amount = |unit: &str, decimals| ColumnFormat::Currency { unit: unit.to_owned(), decimals };
    assert_eq!(format("text"), ColumnFormat::Text);
    assert_eq!(format("number:0"), ColumnFormat::Number { decimals: 0 });
    assert_eq!(format("percent:1"), ColumnFormat::Percent { decimals: 1 });
    assert_eq!(format("currency:EUR"), amount("EUR", 2));
    assert_eq!(format("currency:¥:0"), amount("¥", 0));
    assert_eq!(format("date"), ColumnFormat::Date);
    assert_eq!((format("duration"), format("link")), (ColumnFormat::Duration, ColumnFormat::Link));
    assert_eq!(format("datetime"), ColumnFormat::Datetime);
}

#[test]
fn a_small_file_gets_the_defaults() {
    let def = parse_definition("small", SMALL).unwrap();
    assert_eq!((def.lane, def.formats.as_slice()), (Lane::Interactive, [Format::Csv].as_slice()));
    assert_eq!((def.timeout, def.max_attempts), (Duration::from_secs(1800), 5));
    assert_eq!((def.reuse, def.max_rows, def.total), (None, None, TotalRows::Estimate));
}

#[test]
fn the_version_changes_with_every_byte_and_only_then() {
    let first = parse_definition("small", SMALL).unwrap();
    assert_eq!(first.version, parse_definition("other", SMALL).unwrap().version);
    assert_ne!(first.version, parse_definition("small", &format!("{SMALL}\n")).unwrap().version);
}

#[test]
fn each_fault_of_a_files_options_names_its_line() {
    let after = |extra: &str| fault(&format!("{SMALL}{extra}"));
    let faults = [
        after("on_limit = \"shrug\"\n"),
        after("time_zone = \"Berlin\"\n"),
        after("[csv]\nseparator = \"::\"\n"),
        after("[csv]\ndecimal_comma = true\n"),
        after("[csv]\nquote = \"'\"\n"),
        after("[csv]\ncompression = \"rar\"\n"),
        after("[jsonl]\ncompression = \"gzip\"\n"),
        after("visible_to = [\"role:analyst\",\n  \"analyst\"]\n"),
        after("visible_to = [\"principal:ana\"]\n"),
        after("visible_to = [\"tenant:acme\", \"tenant:acme\"]\n"),
        after("visible_to = []\n"),
        after("visible_to = \"role:analyst\"\n"),
    ];
    insta::assert_snapshot!(faults.join("\n"));
}

/// What is said of columns, pages and charts that cannot be.
fn faults_of_presentation() -> Vec<String> {
    let after = |extra: &str| fault(&format!("{SMALL}{extra}"));
    vec![
        after("[[columns]]\nname = \"x\"\nformat = \"number\"\n"),
        after("[[columns]]\nname = \"x\"\ntotal = \"median\"\n"),
        after("[[columns]]\nname = \"x\"\ntitle = \"X\"\nformat = \"number:16\"\n"),
        after("[[columns]]\nname = \"x\"\nformat = \"currency:1\"\n"),
        after("[[columns]]\nname = \"x\"\nformat = \"date\"\ntotal = \"sum\"\n"),
        after("[[columns]]\nname = \"x\"\nalign = \"middle\"\n"),
        after("[[columns]]\nname = \"x\"\nwidth = 256\n"),
        after("[[columns]]\nname = \"x\"\n[[columns]]\nname = \"x\"\n"),
        after("[[columns]]\nname = \"\"\n"),
        after("[[columns]]\nheight = 5\n"),
        after("[pdf]\npage = \"A9\"\n"),
        after("[pdf]\norientation = \"upright\"\n"),
        after("[chart]\nkind = \"pie\"\nx = \"a\"\ny = [\"b\"]\n"),
        after("[chart]\nkind = \"bar\"\nx = \"a\"\ny = []\n"),
        after("[chart]\nkind = \"bar\"\nx = \"a\"\ny = [\"b\",\n  \"a\"]\n"),
        after("[chart]\nkind = \"bar\"\ny = [\"b\"]\n"),
    ]
}

#[test]
fn each_fault_names_its_line_and_what_would_be_right() {
    let after = |extra: &str| fault(&format!("{SMALL}{extra}"));
    let param = |lines: &str| fault(&format!("{}[params.p]\n{lines}", SMALL.replace("from t", "from t where x = :p")));
    let faults = [
        after("colour = 1\n"),
        after("timeout = 5\n"),
        after("timeout = \"5 parsecs\"\n"),
        after("timeout = \"0s\"\n"),
        after("lane = \"slow\"\n"),
        after("formats = [\"csv\",\n  \"docx\"]\n"),
        after("formats = [\"csv\", \"csv\"]\n"),
        after("formats = []\n"),
        after("max_attempts = 0\n"),
        after("max_rows = 0\n"),
        after("max_bytes = \"2 elephants\"\n"),
        after("total = \"guess\"\n"),
        after("max_running = 0\n"),
        after("concurrency_key = \":customer\"\n"),
        after("concurrency_key = \" \"\n"),
        after("max_running_per_key = 2\n"),
        after("[params.unused]\ntype = \"date\"\n"),
        after("[params.tenant]\ntype = \"text\"\n"),
        after("[params.'a b']\ntype = \"text\"\n"),
    ];
    let further = [
        after("title = \"again\"\n"),
        after("title\n"),
        param("type = \"dat\"\n"),
        param("label = \"P\"\n"),
        param("type = \"date\"\nfrom = \"2024-01-01\"\n"),
        param("type = \"date\"\ndefault = \"2024-02-30\"\n"),
        param("type = \"integer\"\ndefault = 5\nmin = 6\n"),
        param("type = \"integer\"\nmin = 6\nmax = 5\n"),
        param("type = \"text\"\nmin = 6\n"),
        param("type = \"decimal\"\nmin = \"six\"\n"),
        param("type = \"choice\"\n"),
        param("type = \"choice\"\nchoices = []\n"),
        param("type = \"choice\"\nchoices = [\"A\", \"A\"]\n"),
        param("type = \"choice\"\nchoices = [\"A\"]\ndefault = \"B\"\n"),
        param("type = \"text\"\nchoices = [\"A\"]\n"),
        param("type = \"text\"\nmax_items = 3\n"),
        param("type = \"date\"\nmax_length = 3\n"),
        param("type = \"text\"\nlist = true\ndefault = []\n"),
        param("type = \"text\"\nlist = true\ndefault = \"a\"\n"),
        fault(&SMALL.replace("from t", "from t where\n x = :missing")),
        fault(&SMALL.replace("select 1\nfrom t", "select 1; select 2")),
        fault(&SMALL.replace("select 1\nfrom t", "-- nothing")),
        fault(&SMALL.replace("select 1\nfrom t", "select 'open")),
        fault(&SMALL.replace("title = \"T\"", "title = \" \"")),
        fault("title = \"T\"\nsource = \"demo\"\n"),
        fault(""),
        parse_definition("Not A Name", SMALL).unwrap_err().to_string(),
    ];
    let faults = faults.into_iter().chain(faults_of_presentation()).chain(further).collect::<Vec<_>>();
    insta::assert_snapshot!(faults.join("\n"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(cut in 0..FULL.len(), noise in "[\\[\\]=\"'a-z0-9:;\n.#-]{0,12}", keep in 0..FULL.len()) {
        let (cut, keep) = (cut.min(keep), cut.max(keep));
        let text = format!("{}{noise}{}", &FULL[..cut], &FULL[keep..]);
        if let Err(fault) = parse_definition("noise", &text) {
            prop_assert!(fault.line >= 1 && fault.line <= text.lines().count() + 1);
            prop_assert!(!fault.message.is_empty());
        }
    }
}

#[test]
fn every_key_of_a_definition_is_in_the_documentation() {
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CATALOGUE.md");
    let page = std::fs::read_to_string(pages).unwrap();
    let documented: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1)).collect();
    let examples: String = page.split("```toml").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    // Who gives an unknown key is told the known ones.
    for extra in [
        "unknown = 1\n",
        "[csv]\nunknown = 1\n",
        "[jsonl]\nunknown = 1\n",
        "[pdf]\nunknown = 1\n",
        "[params.p]\ntype = \"date\"\nunknown = 1\n",
        "[[columns]]\nunknown = 1\n",
        "[[schedules]]\nunknown = 1\n",
        "[chart]\nunknown = 1\n",
        "[attributes.a]\ntype = \"text\"\nunknown = 1\n",
    ] {
        let text = format!("formats = [\"csv\", \"jsonl\"]\n{SMALL}{extra}");
        let faults = report::check_definition("small", &text).unwrap_err();
        let message = &faults.iter().find(|fault| fault.message.starts_with("unknown key")).unwrap().message;
        let known = message.split_once("expected one of ").unwrap().1;
        for key in known.split(", ") {
            assert!(
                documented.iter().any(|cell| cell.contains(key))
                    || examples.contains(&format!("\n{} = ", key.trim_matches('`'))),
                "{key} is not in CATALOGUE.md"
            );
        }
    }
}

#[test]
fn a_column_has_a_type_or_it_is_said_which_there_are() {
    let with = |kind: &str| {
        parse_definition("small", &format!("{SMALL}[[columns]]\nname = \"x\"\ntype = \"{kind}\"\n"))
            .map(|definition| definition.columns[0].kind)
    };
    for kind in ColumnType::ALL {
        assert_eq!(with(kind.as_str()).unwrap(), Some(kind));
    }
    assert_eq!(with("decimal(38, 6)").unwrap(), Some(ColumnType::Decimal));
    for wrong in ["decimal(39, 2)", "decimal(0, 0)", "decimal(2, 3)", "decimal(2)", "decimal(+2, 1)", "decimal(2, 1"] {
        let fault = with(wrong).unwrap_err();
        assert!(fault.message.contains("1 to 38 digits"), "{fault}");
    }
    let fault = with("blob").unwrap_err();
    assert!(fault.message.contains("`blob`") && fault.message.contains("`date`, `datetime`"), "{fault}");
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CATALOGUE.md")).unwrap();
    let examples: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        // A whole report, or a part of one.
        let whole = if example.contains("sql = ") {
            example.to_owned()
        } else {
            format!("{SMALL}formats = [\"csv\", \"jsonl\", \"parquet\", \"pdf\", \"xlsx\"]\n{example}")
        };
        parse_definition("example", &whole).unwrap_or_else(|fault| panic!("{fault}:\n{whole}"));
    }
}
