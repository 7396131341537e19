//! `[pdf]` and `[chart]` are read and checked: how a report looks on paper.

use super::parse::line_of_text;
use super::table_reader::{TableKeys, TableReader};
use super::{ChartKind, ChartSpec, Orientation, PageSpec, Paper};

/// More series than this cannot be told apart.
const MAX_SERIES: usize = 6;

const PAPERS: [(&str, Paper); 4] =
    [("A4", Paper::A4), ("A3", Paper::A3), ("Letter", Paper::Letter), ("Tabloid", Paper::Tabloid)];
const ORIENTATIONS: [(&str, Orientation); 2] =
    [("portrait", Orientation::Portrait), ("landscape", Orientation::Landscape)];
const KINDS: [(&str, ChartKind); 2] = [("bar", ChartKind::Bar), ("line", ChartKind::Line)];

const PAGE_KEYS: TableKeys = TableKeys { needed: &[], optional: &["page", "orientation"] };
const CHART_KEYS: TableKeys = TableKeys { needed: &["kind", "x", "y"], optional: &["title"] };

pub(super) fn parse_page(file: &mut TableReader<'_>) -> PageSpec {
    let page = file.table("pdf", &PAGE_KEYS, |table| PageSpec {
        paper: table.word("page", &PAPERS).unwrap_or_default(),
        orientation: table.word("orientation", &ORIENTATIONS),
    });
    page.unwrap_or_default()
}

pub(super) fn parse_chart(file: &mut TableReader<'_>) -> Option<ChartSpec> {
    file.table("chart", &CHART_KEYS, |table| {
        let x = table.text("x", |text| line_of_text("x", text));
        let y = table.texts("y", Some(MAX_SERIES), |before: &[String], text| {
            let column = line_of_text("y", text)?;
            if x.as_ref() == Some(&column) || before.contains(&column) {
                return Err(format!("the chart names the column `{column}` twice"));
            }
            Ok(column)
        });
        let kind = table.word("kind", &KINDS);
        let title = table.text("title", |text| line_of_text("title", text));
        Some(ChartSpec { kind: kind?, x: x?, y: y?, title })
    })?
}
