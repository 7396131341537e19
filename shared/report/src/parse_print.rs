//! `[pdf]` and `[chart]` are read and checked: how a report looks on paper.

use super::file::{ChartFile, PageFile};
use super::parse::{ParseError, not_blank, one_of};
use super::{ChartKind, ChartSpec, Orientation, PageSpec, Paper};

/// More series than this cannot be told apart.
const MAX_SERIES: usize = 6;

const PAPERS: [(&str, Paper); 4] =
    [("A4", Paper::A4), ("A3", Paper::A3), ("Letter", Paper::Letter), ("Tabloid", Paper::Tabloid)];
const ORIENTATIONS: [(&str, Orientation); 2] =
    [("portrait", Orientation::Portrait), ("landscape", Orientation::Landscape)];
const KINDS: [(&str, ChartKind); 2] = [("bar", ChartKind::Bar), ("line", ChartKind::Line)];

pub(super) fn parse_page(file: &PageFile) -> Result<PageSpec, ParseError> {
    Ok(PageSpec {
        paper: file.page.as_ref().map(|name| one_of("page", name, &PAPERS)).transpose()?.unwrap_or_default(),
        orientation: file.orientation.as_ref().map(|name| one_of("orientation", name, &ORIENTATIONS)).transpose()?,
    })
}

pub(super) fn parse_chart(file: &ChartFile) -> Result<ChartSpec, ParseError> {
    let kind = one_of("kind", &file.kind, &KINDS)?;
    let x = not_blank(&file.x, "x")?;
    let mut y = Vec::new();
    for name in file.y.get_ref() {
        let column = not_blank(name, "y")?;
        if column == x || y.contains(&column) {
            return Err(ParseError::new(name.span(), format!("the chart names the column `{column}` twice")));
        }
        y.push(column);
    }
    if y.is_empty() || y.len() > MAX_SERIES {
        return Err(ParseError::new(file.y.span(), format!("`y` must name between 1 and {MAX_SERIES} columns")));
    }
    let title = file.title.as_ref().map(|title| not_blank(title, "title")).transpose()?;
    Ok(ChartSpec { kind, x, y, title })
}
