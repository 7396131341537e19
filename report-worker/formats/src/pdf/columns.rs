//! Where columns stand: widths from headings and the first rows, then the page and the size of type that hold them.

use arrow_schema::{DataType, Schema};
use model::problem::{Problem, ProblemKind};
use report::{Orientation, PageSpec, Paper};
use values::is_numeric;

use super::document::{PageSheet, SIDE};
use super::fonts::{Fonts, Weight};
use crate::About;
use crate::display_format::DisplayFormat;
use crate::presentation::Presentation;

/// Sizes of type, the best first.
const SIZES: [f32; 6] = [8.0, 7.5, 7.0, 6.5, 6.0, 5.5];
/// Space between columns, in thousandths of the size.
const GAP: u32 = 1500;
/// A text column is at least this wide if it needs it, comfortably this, and at most this.
const NARROW_TEXT: u32 = 6_000;
const LONG_WORD: u32 = 12_000;
const EASY_TEXT: u32 = 20_000;
const WIDE_TEXT: u32 = 48_000;
/// Characters a definition may ask for; no page holds more.
const MOST_WISHED: u16 = 500;
/// Characters of a text that are looked at to find its width.
const LOOK_AT: usize = 160;

/// What is known of a column before it has a place. Widths count thousandths of the size.
#[derive(Debug, Clone)]
pub(super) struct MeasuredColumn {
    pub(super) shown: Presentation,
    /// Values stand on one line: numbers, dates, times and lengths of time.
    pub(super) whole: bool,
    /// Width the definition asks for.
    wished: Option<u32>,
    title_width: u32,
    title_word: u32,
    widest: u32,
    widest_word: u32,
}

impl MeasuredColumn {
    /// Looks at the headings.
    pub(super) fn of_schema(schema: &Schema, about: &About, fonts: &mut Fonts) -> Vec<Self> {
        let figure = fonts.measure(Weight::Regular, "0");
        let columns = schema.fields().iter().map(|field| {
            let shown = Presentation::of(about, field);
            let text = matches!(field.data_type(), DataType::Utf8)
                && !is_numeric(field)
                && shown.show != DisplayFormat::Duration;
            Self {
                title_width: fonts.measure(Weight::Bold, &shown.title),
                title_word: widest_word(fonts, Weight::Bold, &shown.title),
                wished: shown.width.map(|chars| u32::from(chars.min(MOST_WISHED)) * figure),
                shown,
                whole: !text,
                widest: 0,
                widest_word: 0,
            }
        });
        columns.collect()
    }

    /// Looks at a value.
    pub(super) fn measure(&mut self, fonts: &mut Fonts, text: &str) {
        let end = text.char_indices().nth(LOOK_AT).map_or(text.len(), |(end, _)| end);
        let text = text.get(..end).unwrap_or_default();
        for line in text.lines() {
            let width = fonts.measure(Weight::Regular, line);
            if width > self.widest {
                self.widest = width;
            }
            if !self.whole && width > self.widest_word {
                self.widest_word = self.widest_word.max(widest_word(fonts, Weight::Regular, line));
            }
        }
    }

    /// The least it can do with.
    fn min_width(&self) -> u32 {
        if let Some(wished) = self.wished {
            return wished;
        }
        if self.whole {
            return self.widest.max(self.title_word);
        }
        let word = self.widest_word.clamp(NARROW_TEXT, LONG_WORD);
        self.widest.min(word).max(self.title_word.min(LONG_WORD))
    }

    /// What reads well.
    fn comfortable_width(&self) -> u32 {
        if let Some(wished) = self.wished {
            return wished;
        }
        if self.whole {
            // Later rows may have another digit, and totals have some.
            let with_total =
                if self.shown.total.is_some() { self.widest * 12 / 10 + 600 } else { self.widest * 11 / 10 };
            return with_total.max(self.title_word);
        }
        self.min_width().max(self.widest.min(EASY_TEXT)).max(self.title_width.min(NARROW_TEXT))
    }

    /// What it can use.
    fn max_width(&self) -> u32 {
        self.comfortable_width().max(self.widest.min(WIDE_TEXT)).max(self.title_width.min(LONG_WORD))
    }
}

fn widest_word(fonts: &mut Fonts, weight: Weight, text: &str) -> u32 {
    text.split_whitespace().map(|word| fonts.measure(weight, word)).max().unwrap_or(0)
}

/// A column with its place.
#[derive(Debug, Clone)]
pub(super) struct PlacedColumn {
    pub(super) column: MeasuredColumn,
    /// Left edge and width of its text, in points.
    pub(super) x: f32,
    pub(super) width: f32,
}

/// Page, size of type, and the columns on it.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) sheet: PageSheet,
    pub(super) size: f32,
    pub(super) columns: Vec<PlacedColumn>,
    /// Of the whole table.
    pub(super) width: f32,
}

impl Layout {
    /// Finds the best page for the columns.
    pub(super) fn find(columns: Vec<MeasuredColumn>, page: PageSpec) -> Result<Self, Problem> {
        for width_of in [MeasuredColumn::comfortable_width, MeasuredColumn::min_width] {
            for size in SIZES {
                for sheet in sheets(page) {
                    let widths: Vec<u32> = columns.iter().map(width_of).collect();
                    if needed(&widths, size) <= sheet.text_width() {
                        return Ok(Self::place(columns, &widths, sheet, size));
                    }
                }
            }
        }
        Err(too_wide(&columns, page))
    }

    fn place(columns: Vec<MeasuredColumn>, widths: &[u32], sheet: PageSheet, size: f32) -> Self {
        let mut spare = sheet.text_width() - needed(widths, size);
        let mut widths: Vec<f32> = widths.iter().map(|width| points(*width, size)).collect();
        let wishes: Vec<f32> =
            columns.iter().zip(&widths).map(|(column, width)| points(column.max_width(), size) - width).collect();
        let wished: f32 = wishes.iter().sum();
        if wished > 0.0 {
            let share = (spare / wished).min(1.0);
            for (width, wish) in widths.iter_mut().zip(&wishes) {
                *width += wish * share;
            }
            spare -= wished * share;
        }
        // A table fills the page unless its columns would be too far from each other to be read together.
        let each = (spare / widths.len().max(1) as f32).min(size * 14.0);
        let (gap, mut x) = (points(GAP, size), SIDE);
        let mut placed = Vec::with_capacity(columns.len());
        for (column, width) in columns.into_iter().zip(widths) {
            let width = width + each;
            placed.push(PlacedColumn { column, x, width });
            x += width + gap;
        }
        Self { sheet, size, width: (x - gap - SIDE).max(0.0), columns: placed }
    }
}

fn sheets(page: PageSpec) -> impl Iterator<Item = PageSheet> {
    let both = [Orientation::Portrait, Orientation::Landscape];
    let wished = move |orientation: &Orientation| page.orientation.is_none_or(|wished| wished == *orientation);
    both.into_iter().filter(wished).map(move |orientation| PageSheet::new(page.paper, orientation))
}

fn points(units: u32, size: f32) -> f32 {
    units as f32 * size / 1000.0
}

fn needed(widths: &[u32], size: f32) -> f32 {
    let gaps = GAP * u32::try_from(widths.len().saturating_sub(1)).unwrap_or(u32::MAX / GAP);
    // The last hundredth is lost in rounding.
    points(widths.iter().sum::<u32>() + gaps, size) + 0.01
}

fn too_wide(columns: &[MeasuredColumn], page: PageSpec) -> Problem {
    let smallest = SIZES[SIZES.len() - 1];
    let widest = sheets(page).map(|sheet| sheet.text_width()).fold(0.0, f32::max);
    let (mut fit, mut used) = (0, 0.0);
    for column in columns {
        used += points(column.min_width() + GAP, smallest);
        fit += usize::from(used - points(GAP, smallest) <= widest);
    }
    let larger = match page.paper {
        Paper::A4 => "a larger page ([pdf] page = \"A3\"), ",
        Paper::Letter => "a larger page ([pdf] page = \"Tabloid\"), ",
        Paper::A3 | Paper::Tabloid => "",
    };
    let turned =
        if page.orientation == Some(Orientation::Portrait) { "[pdf] orientation = \"landscape\", " } else { "" };
    Problem::new(
        ProblemKind::UnsupportedColumn,
        format!(
            "a page holds the first {fit} of the report's {} columns in the smallest type; take {turned}{larger}fewer \
             columns, or another format",
            columns.len()
        ),
    )
}
