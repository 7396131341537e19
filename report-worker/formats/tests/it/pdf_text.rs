//! Text in print: what is never seen, where words are broken, and what leads to the web.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use formats::About;
use model::artifact::Format;
use report::parse_definition;
use testing::pdf::Pdf;

use crate::write::{about, write_about};

fn written(lines: &str, columns: &[(&str, &str)]) -> Pdf {
    let text = format!("title = \"Marks\"\nsource = \"test\"\nsql = \"select 1\"\nformats = [\"pdf\"]\n{lines}");
    let definition = parse_definition("test", &text).unwrap();
    let about = Arc::new(About { columns: definition.columns, page: definition.page, ..About::clone(&about()) });
    let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
    let arrays = columns.iter().map(|(_, text)| Arc::new(StringArray::from(vec![*text])) as ArrayRef);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.collect()).unwrap();
    let pdf = Pdf::of(&write_about(&about, Format::Pdf, &batch.schema(), std::slice::from_ref(&batch)).unwrap());
    pdf.check();
    pdf
}

#[test]
fn characters_that_are_never_seen_are_not_drawn() {
    let text = written(
        "",
        &[("shy", "Zucker\u{ad}rübe"), ("lrm", "a\u{200e}b\u{200f}c"), ("zwj", "a\u{200d}b"), ("rlo", "a\u{202e}b")],
    )
    .text();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["Zuckerrübe", "abc", "ab", "ab"]), "{text}");
}

#[test]
fn each_invisible_character_takes_neither_room_nor_a_note() {
    let invisible = (0x200B..=0x200F)
        .chain(0x202A..=0x202E)
        .chain(0x2060..=0x206F)
        .chain(0xFE00..=0xFE0F)
        .chain(0xE0000..=0xE007F)
        .chain(0xE0100..=0xE01EF)
        .chain([0xAD, 0x34F, 0x61C, 0x180E, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB]);
    let word: String = ["a".to_owned(), "b".to_owned()].join(&invisible.filter_map(char::from_u32).collect::<String>());
    let pdf = written("", &[("word", &word)]);
    let text = pdf.raw_text();
    assert!(text.lines().any(|line| line == "ab"), "{text}");
    assert!(!text.contains("No font has a glyph"), "{text}");
    let boxes = String::from_utf8(pdf.run("pdftotext", &["-bbox"], &["-"]).stdout).unwrap();
    let edges = boxes.lines().find(|line| line.contains(">ab</word>")).unwrap();
    let edges: Vec<f32> = edges.split('"').skip(1).step_by(2).map(|edge| edge.parse().unwrap()).collect();
    assert!(edges[2] - edges[0] < 12.0, "two letters are as wide as two letters: {edges:?}");
}

#[test]
fn a_word_is_broken_at_a_soft_hyphen_and_then_has_one() {
    let syllables = ["donau", "dampf", "schiff", "fahrts", "gesellschafts", "kapitäns"];
    let word: Vec<&str> = syllables.into_iter().cycle().take(90).collect();
    let broken = written("", &[("w", &word.join("\u{ad}"))]).raw_text();
    let lines: Vec<&str> = broken.lines().filter(|line| line.contains("fahrts")).collect();
    assert!(lines.len() > 3, "{broken}");
    for line in &lines[..lines.len() - 1] {
        let last = line.strip_suffix('-').unwrap_or_else(|| panic!("{line} ends with a hyphen"));
        assert!(syllables.iter().any(|syllable| last.ends_with(syllable)), "{line}");
    }
    assert_eq!(lines.concat().replace('-', ""), word.concat());
    assert!(!written("", &[("w", "end\u{ad}")]).raw_text().contains("end-"), "nothing is broken at the end");
}

#[test]
fn an_address_of_the_web_leads_there() {
    let long = format!("https://example.com/{}", "path/".repeat(60));
    let script = "javascript:alert(1)";
    let columns = [
        ("page", "https://example.com/a b"),
        ("long", long.as_str()),
        ("script", script),
        ("bare", "https://example.org/"),
    ];
    let lines = "[[columns]]\nname = \"page\"\nformat = \"link\"\n[[columns]]\nname = \"long\"\nformat = \"link\"\n\
                 [[columns]]\nname = \"script\"\nformat = \"link\"\n";
    let pdf = written(lines, &columns);
    let found = String::from_utf8(pdf.run("pdfinfo", &["-url"], &[]).stdout).unwrap();
    assert!(found.contains("https://example.com/a%20b") && found.contains(&long), "{found}");
    assert!(!found.contains("javascript") && !found.contains("example.org"), "{found}");
    let alone = written(lines, &columns[..1]);
    let found = String::from_utf8(alone.run("pdfinfo", &["-url"], &[]).stdout).unwrap();
    assert!(found.contains("https://example.com/a%20b"), "a row of one line: {found}");
}

#[test]
fn lengths_of_time_are_hours_minutes_and_seconds() {
    let lines = "[[columns]]\nname = \"took\"\nformat = \"duration\"\ntotal = \"sum\"\n\
                 [[columns]]\nname = \"late\"\nformat = \"duration\"\n[[columns]]\nname = \"month\"\nformat = \"duration\"\n";
    let text = written(lines, &[("took", "P1DT2H3M4.5S"), ("late", "-00:00:01"), ("month", "P1M")]).text();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["26:03:04.5", "-0:00:01", "P1M"]), "{text}");
    assert!(rows.iter().any(|row| row.starts_with(&["Total", "26:03:04.5"])), "{text}");
}

#[test]
fn points_in_time_have_the_offset_of_their_zone() {
    let text = "title = \"Marks\"\nsource = \"test\"\nsql = \"select 1\"\nformats = [\"pdf\"]\ntime_zone = \"Europe/Berlin\"\n";
    let time_zone = parse_definition("test", text).unwrap().time_zone;
    let kind = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let fields = vec![Field::new("at", kind(Some("UTC")), true), Field::new("local", kind(None), true)];
    // Both sides of the hour that there is twice.
    let times = TimestampMicrosecondArray::from(vec![1_729_987_200_000_000, 1_729_990_800_000_000]);
    let arrays: Vec<ArrayRef> = vec![Arc::new(times.clone().with_timezone("UTC")), Arc::new(times)];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let print = |time_zone| {
        let about = Arc::new(About { time_zone, ..About::clone(&about()) });
        Pdf::of(&write_about(&about, Format::Pdf, &batch.schema(), std::slice::from_ref(&batch)).unwrap()).text()
    };
    let there = print(time_zone);
    assert!(there.contains("2024-10-27 02:00:00+02:00") && there.contains("2024-10-27 02:00:00+01:00"), "{there}");
    assert_eq!(there.matches("2024-10-27 00:00:00").count(), 1, "a time of no zone stays: {there}");
    assert!(print(None).contains("2024-10-27 01:00:00Z"));
}
