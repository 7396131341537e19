//! Charts of every kind of values, as other programs find them on the page.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use formats::About;
use model::artifact::Format;
use report::parse_definition;
use testing::pdf::Pdf;

use crate::write::{about, write_about};

/// A page with a chart of `values` by `labels`.
fn drawn(kind: &str, labels: &[String], values: &[Option<f64>]) -> Pdf {
    let text = format!(
        "title = \"Sales\"\nsource = \"test\"\nsql = \"select 1\"\nformats = [\"pdf\"]\n\
         [chart]\nkind = \"{kind}\"\nx = \"x\"\ny = [\"v\"]\ntitle = \"Sales by month\"\n"
    );
    let chart = parse_definition("test", &text).unwrap().chart;
    let about = Arc::new(About { title: "Sales".to_owned(), chart, ..About::clone(&about()) });
    let schema = Schema::new(vec![Field::new("x", DataType::Utf8, true), Field::new("v", DataType::Float64, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(labels.to_vec())), Arc::new(Float64Array::from(values.to_vec()))];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let bytes = write_about(&about, Format::Pdf, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
    Pdf::of(&bytes)
}

fn months(count: usize) -> Vec<String> {
    (1..=count).map(|month| format!("month {month}")).collect()
}

/// The words of the first page above the table, with their left, upper, right and lower edges.
fn words_of_chart(pdf: &Pdf) -> Vec<(String, [f32; 4])> {
    let page = String::from_utf8(pdf.run("pdftotext", &["-bbox", "-l", "1"], &["-"]).stdout).unwrap();
    let words = page.lines().filter_map(|line| line.trim().strip_prefix("<word ")).map(|line| {
        let (edges, rest) = line.split_once('>').unwrap();
        let edges: Vec<f32> = edges.split('"').skip(1).step_by(2).map(|edge| edge.parse().unwrap()).collect();
        (rest.split('<').next().unwrap().to_owned(), [edges[0], edges[1], edges[2], edges[3]])
    });
    let mut words: Vec<_> = words.collect();
    let title = words.iter().position(|(word, _)| word == "Sales").unwrap();
    assert_eq!(title, 0, "nothing stands above the title");
    let table =
        words.iter().find(|(word, edges)| word == "v" && edges[1] > 100.0).map_or(f32::MAX, |(_, edges)| edges[1]);
    words.retain(|(_, edges)| edges[3] < table);
    words
}

const KINDS: [&str; 2] = ["line", "bar"];

#[test]
fn values_that_are_missing_are_no_picture_and_the_page_says_so() {
    for kind in KINDS {
        for (values, reason) in [
            (vec![None, None, None], "There is nothing to draw: v has no values."),
            (
                vec![Some(f64::NAN), None, Some(f64::INFINITY)],
                "There is nothing to draw: no value of v is a finite number.",
            ),
            (vec![Some(f64::MAX), Some(f64::MAX)], "There is nothing to draw: no value of v is a finite number."),
            (vec![], "There is nothing to draw: there are no rows."),
        ] {
            // Two of the greatest numbers under one name are more than a number.
            let labels = if values.len() == 2 { vec!["same".to_owned(); 2] } else { months(values.len()) };
            let pdf = drawn(kind, &labels, &values);
            pdf.check();
            let text = pdf.text();
            assert!(text.contains(reason), "{kind} {values:?}: {text}");
            let words = words_of_chart(&pdf);
            assert!(words.iter().all(|(word, _)| word != "NaN" && word != "inf"), "{words:?}");
        }
    }
}

#[test]
fn whatever_the_values_a_chart_stands_under_its_heading_with_labels_that_are_told_apart() {
    let sets: Vec<Vec<Option<f64>>> = vec![
        vec![Some(5.0)],
        vec![Some(0.0)],
        vec![Some(7.0); 12],
        vec![Some(-3.0), Some(-1.5), Some(-9.0)],
        vec![Some(1e-12), Some(3e-12), Some(2e-12)],
        vec![Some(1e300), Some(2e300), Some(-1e300)],
        vec![Some(f64::MAX), Some(f64::MIN)],
        vec![Some(1_000_000.0), Some(1_000_000.3)],
        vec![Some(1.0), None, Some(f64::NAN), Some(4.0), Some(f64::NEG_INFINITY)],
        vec![Some(5e-324), Some(0.0)],
        (0..200).map(|number| Some(f64::from(number % 17) - 8.0)).collect(),
    ];
    for kind in KINDS {
        for values in &sets {
            let pdf = drawn(kind, &months(values.len()), values);
            pdf.check();
            let words = words_of_chart(&pdf);
            let heading = words.iter().position(|(word, _)| word == "by").map(|at| words[at].1).unwrap();
            assert!(
                !words.iter().any(|(word, _)| ["NaN", "inf", "-inf"].contains(&word.as_str())),
                "{kind} {values:?}"
            );
            // Labels of the grid stand at the left margin under the heading, and differ.
            let grid = words.iter().filter(|(word, edges)| {
                edges[1] > heading[3] && !word.starts_with("month") && word.contains(|char: char| char.is_ascii_digit())
            });
            let lowest = words.iter().map(|(_, edges)| edges[3]).fold(0.0, f32::max);
            assert!(lowest < 420.0, "{kind} {values:?}: a chart is no higher than this");
            assert!(grid.count() > 0, "{kind} {values:?}: {words:?}");
            for (word, edges) in &words {
                assert!(edges[0] >= 0.0 && edges[2] <= 595.3 && edges[1] >= 0.0, "{word} at {edges:?}");
            }
        }
    }
}

#[test]
fn long_names_and_many_names_stay_on_the_page() {
    for kind in KINDS {
        let long: Vec<String> =
            (0..6).map(|number| format!("{number} {}", "a very long name of a thing ".repeat(9))).collect();
        let values: Vec<Option<f64>> = (0..6).map(|number| Some(f64::from(number))).collect();
        drawn(kind, &long, &values).check();
        let lines: Vec<String> = (0..6).map(|number| format!("two\nlines {number}")).collect();
        let text = drawn(kind, &lines, &values).raw_text();
        assert!(text.contains("two lines 3"), "{kind}: {text}");
        let many: Vec<Option<f64>> = vec![Some(1.0); 201];
        assert!(drawn(kind, &months(201), &many).text().contains("Not drawn: x has more than 200 different values."));
        let same = vec!["again".to_owned(); 201];
        assert!(!drawn(kind, &same, &many).text().contains("Not drawn"), "rows of one name are one point");
    }
}
