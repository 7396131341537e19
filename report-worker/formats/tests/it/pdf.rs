//! PDF, read back by other programs: qpdf and the poppler tools.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use formats::{About, FileSummary, writer};
use model::artifact::Format;
use model::problem::ProblemKind;
use proptest::prelude::*;
use report::parse_definition;

use crate::write::{about, write, write_about};
use testing::pdf::Pdf;

/// What a definition with these lines says about its files.
fn about_with(lines: &str) -> Arc<About> {
    let text = format!("title = \"Test\"\nsource = \"test\"\nsql = \"select 1\"\n{lines}");
    let definition = parse_definition("test", &text).unwrap();
    Arc::new(About {
        columns: definition.columns,
        page: definition.page,
        chart: definition.chart,
        ..About::clone(&about())
    })
}

fn texts(values: &[&str]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("words", DataType::Utf8, true)]);
    let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
}

/// Rows numbered from `from` on, in three columns.
fn numbered(from: i64, to: i64) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("half", DataType::Int64, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(from..to)),
        Arc::new(StringArray::from_iter_values((from..to).map(|id| format!("name-{id}-of-many")))),
        Arc::new(Int64Array::from_iter_values((from..to).map(|id| id / 2))),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn written(batches: &[RecordBatch]) -> Pdf {
    Pdf::of(&write(Format::Pdf, &batches[0].schema(), batches).unwrap())
}

#[test]
fn every_row_is_on_the_pages_in_order_under_a_header() {
    let batches: Vec<RecordBatch> = (0..5).map(|batch| numbered(batch * 1000, (batch + 1) * 1000)).collect();
    let pdf = written(&batches);
    pdf.check();
    let text = pdf.text();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let ids: Vec<i64> = rows
        .iter()
        .filter(|row| row.len() == 3 && row[1].ends_with("-of-many"))
        .map(|row| {
            let id: i64 = row[0].parse().unwrap();
            assert_eq!((row[1], row[2]), (format!("name-{id}-of-many").as_str(), (id / 2).to_string().as_str()));
            id
        })
        .collect();
    assert_eq!(ids, (0..5000).collect::<Vec<_>>());
    let pages = pdf.pages();
    assert!(pages > 64, "more than one node of the page tree: {pages}");
    assert_eq!(rows.iter().filter(|row| row[..] == ["id", "name", "half"]).count(), pages);
    for page in 1..=pages {
        assert!(text.contains(&format!("Page {page} of {pages}")), "{page}");
    }
}

#[test]
fn a_file_without_rows_is_valid_and_says_so() {
    let schema = numbered(0, 0).schema();
    let pdf = Pdf::of(&write(Format::Pdf, &schema, &[]).unwrap());
    pdf.check();
    let text = pdf.text();
    assert!(text.contains("There are no rows.") && text.contains("name"), "{text}");
    assert_eq!(pdf.pages(), 1);
}

#[test]
fn the_same_rows_make_the_same_bytes() {
    let batch = numbered(0, 500);
    let first = write(Format::Pdf, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
    assert_eq!(first, write(Format::Pdf, &batch.schema(), std::slice::from_ref(&batch)).unwrap());
}

#[test]
fn a_file_that_was_cut_says_so_on_every_page() {
    let batch = numbered(0, 100);
    let (mut writer, mut out) = (writer(Format::Pdf, &about()), Vec::new());
    writer.begin(&batch.schema(), &mut out).unwrap();
    writer.write(&batch, &mut out).unwrap();
    writer.finish(FileSummary { rows: 100, complete: false }, &mut out).unwrap();
    let pdf = Pdf::of(&out);
    pdf.check();
    let text = pdf.text();
    assert_eq!(text.matches("cut off at a limit").count(), pdf.pages());
    assert!(text.contains("100, cut off") && text.contains("There are more."), "{text}");
    assert_eq!(pdf.info()["Complete"], "false");
}

#[test]
fn properties_tell_what_the_receipt_tells() {
    let info = written(&[numbered(0, 10)]).info();
    assert_eq!((info["Title"].as_str(), info["Rows"].as_str(), info["Complete"].as_str()), ("Test", "10", "true"));
    assert_eq!((info["Report"].as_str(), info["ReportVersion"].as_str()), ("test", "sha256:0"));
    assert_eq!(info["Snapshot"], "1970-01-01T00:00:00.000000Z");
}

#[test]
fn greek_and_cyrillic_are_text_in_embedded_fonts() {
    let words = ["Ξεσκεπάζω ψυχοφθόρα βδελυγμία", "Съешь ещё этих мягких французских булок", "Zażółć gęślą jaźń"];
    let pdf = written(&[texts(&words)]);
    pdf.check();
    let text = pdf.text();
    for word in words {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let fonts = String::from_utf8(pdf.run("pdffonts", &[], &[]).stdout).unwrap();
    let embedded = fonts.lines().skip(2).filter(|line| line.contains("yes yes yes")).count();
    assert_eq!(embedded, 2, "regular and bold are embedded, subset and with their texts: {fonts}");
}

#[test]
fn a_character_that_no_font_has_is_a_box_that_is_copied_as_itself() {
    let pdf = written(&[texts(&["tea 茶", "bell \u{7}"])]);
    pdf.check();
    let text = pdf.text();
    assert!(text.contains("tea 茶") && text.contains("bell ␇"), "{text}");
    assert!(text.contains("No font has a glyph for 2 characters of this file: U+0007, U+8336"), "{text}");
}

#[test]
fn long_text_goes_on_over_pages_and_keeps_every_word() {
    let words: Vec<String> = (0..20_000).map(|word| format!("word{word}")).collect();
    let pdf = written(&[texts(&["before", &words.join(" "), "after\nin two lines"])]);
    pdf.check();
    let text = pdf.raw_text();
    let found: Vec<&str> =
        text.split_whitespace().filter(|word| word.starts_with("word") && *word != "words").collect();
    assert_eq!(found, words);
    assert!(text.contains("before") && text.contains("after\nin two lines"));
    assert!(pdf.pages() > 10);
}

#[test]
fn more_columns_than_a_page_holds_are_an_error_that_says_what_to_do() {
    let wide = |columns: usize| {
        let fields: Vec<Field> =
            (0..columns).map(|column| Field::new(format!("column_{column}"), DataType::Int64, true)).collect();
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1234]));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![column; columns]).unwrap()
    };
    let few = wide(16);
    Pdf::of(&write(Format::Pdf, &few.schema(), std::slice::from_ref(&few)).unwrap()).check();
    let many = wide(1600);
    let problem = write(Format::Pdf, &many.schema(), std::slice::from_ref(&many)).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    assert!(problem.detail.contains("1600 columns") && problem.detail.contains("page = \"A3\""), "{}", problem.detail);
}

#[test]
fn page_and_orientation_follow_the_definition() {
    let batch = numbered(0, 10);
    let size = |lines: &str| {
        let bytes =
            write_about(&about_with(lines), Format::Pdf, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
        Pdf::of(&bytes).info()["Page size"].clone()
    };
    assert!(size("").starts_with("595.28 x 841.89"), "{}", size(""));
    assert_eq!(size("[pdf]\npage = \"Letter\"\norientation = \"landscape\"\n"), "792 x 612 pts (letter)");
}

#[test]
fn a_chart_adds_up_rows_of_one_name_and_says_what_it_cannot_draw() {
    let schema =
        Schema::new(vec![Field::new("name", DataType::Utf8, true), Field::new("value", DataType::Int64, true)]);
    let chart = "[chart]\nkind = \"bar\"\nx = \"name\"\ny = [\"value\"]\ntitle = \"Sums of names\"\n";
    let draw = |names: usize| {
        let rows = 400;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("a long name {}", row % names)))),
            Arc::new(Int64Array::from_iter_values((0..rows).map(|_| 3))),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap();
        let bytes =
            write_about(&about_with(chart), Format::Pdf, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
        let pdf = Pdf::of(&bytes);
        pdf.check();
        pdf.text()
    };
    let text = draw(20);
    assert!(text.contains("Sums of names"), "{text}");
    let bars = text.lines().filter(|line| line.contains("a long name") && line.trim_end().ends_with(" 60")).count();
    assert_eq!(bars, 20, "{text}");
    assert!(draw(201).contains("Not drawn: name has more than 200 different values."));
    let unknown = about_with("[chart]\nkind = \"line\"\nx = \"name\"\ny = [\"price\"]\n");
    let problem = write_about(&unknown, Format::Pdf, &Arc::new(schema), &[]).unwrap_err();
    assert!(problem.detail.contains("`price` is not among"), "{}", problem.detail);
}

#[test]
fn values_are_formatted_and_totals_stand_under_the_last_row() {
    let lines = "[[columns]]\nname = \"id\"\ntotal = \"max\"\n[[columns]]\nname = \"name\"\ntitle = \"The name\"\n\
                 [[columns]]\nname = \"half\"\nformat = \"number:2\"\ntotal = \"sum\"\n";
    let batches = [numbered(0, 1500), numbered(1500, 3000)];
    let bytes = write_about(&about_with(lines), Format::Pdf, &batches[0].schema(), &batches).unwrap();
    let pdf = Pdf::of(&bytes);
    pdf.check();
    let text = pdf.text();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = text.lines().map(words).collect();
    assert!(rows.contains(&words("2999 name-2999-of-many 1,499.00")), "{text}");
    let last = rows.iter().position(|row| row.first().is_some_and(|word| word == "2999")).unwrap();
    let below: Vec<&Vec<String>> = rows[last + 1..].iter().filter(|row| !row.is_empty()).take(2).collect();
    assert_eq!(below, [&words("Total 2,248,500.00"), &words("Maximum 2999")]);
    assert_eq!(text.matches("The name").count(), pdf.pages());
}

#[test]
fn memory_does_not_grow_with_the_rows() {
    let write_rows = |rows: i64| {
        let (mut writer, mut out, mut bytes) = (writer(Format::Pdf, &about()), Vec::new(), 0);
        writer.begin(&numbered(0, 0).schema(), &mut out).unwrap();
        for from in (0..rows).step_by(1000) {
            writer.write(&numbered(from, from + 1000), &mut out).unwrap();
            bytes += out.len();
            out.clear();
        }
        writer.finish(FileSummary { rows: rows.unsigned_abs(), complete: true }, &mut out).unwrap();
        bytes + out.len()
    };
    let small = write_rows(5_000);
    let before = peak_kib();
    assert!(write_rows(50_000) > 9 * small);
    let grown = peak_kib() - before;
    assert!(grown < 3000, "ten times the rows took {grown} KiB more");
}

/// Reads the most memory this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Text as it may come, without what pdftotext itself changes: ligatures, reordering, spaces.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9()\\\\<>,.;:'\"/%#&-]{1,12}", "[α-ωΑ-Ωа-яА-Я]{1,10}", "[à-öø-ž]{1,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn random_rows_come_back_by_pdftotext(rows in proptest::collection::vec((any::<i64>(), proptest::collection::vec(piece(), 1..40)), 1..60)) {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1.join(" ")))),
        ];
        let pdf = written(&[RecordBatch::try_new(Arc::new(schema), columns).unwrap()]);
        pdf.check();
        let text = pdf.raw_text();
        let solid: String = text.split_whitespace().collect();
        for (number, pieces) in &rows {
            prop_assert!(solid.contains(&number.to_string()), "{number}");
            for piece in pieces {
                prop_assert!(solid.contains(piece.as_str()), "{piece} is not in {text}");
            }
        }
    }
}
