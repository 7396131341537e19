//! A chart of the rows: gathered on the way, drawn at the end into the place that the first page keeps for it.

mod bars;
mod draw;
mod lines;
mod scale;

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use model::problem::{Problem, ProblemKind};
use report::{ChartKind, ChartSpec};
use values::is_numeric;

use super::canvas::Style;
use super::fonts::{Fonts, Weight, is_line_break};
use super::row::{NULL, text_of};
use crate::About;
use crate::cell::{ColumnCells, cells};
use crate::presentation::Presentation;

/// More points than this are no picture any more.
const MAX_POINTS: usize = 200;
/// Height of a chart whose points stand side by side.
const UPRIGHT: f32 = 176.0;
/// Bars that lie on top of each other: height of one, and of all.
const BAR: [f32; 2] = [8.6, 14.0];
const LYING: f32 = 460.0;
/// Title and legend.
const HEAD: f32 = 24.0;
pub(super) const LABEL: Style = Style::new(Weight::Regular, 6.5, super::canvas::MUTED);

/// A place on the x axis with its values, one a series. Nothing: no row had one.
#[derive(Debug, Clone)]
struct DataPoint {
    label: String,
    values: Vec<Option<f64>>,
}

impl DataPoint {
    /// Returns the value of a series, if an axis has a place for it: a sum may be beyond all numbers.
    fn value(&self, series: usize) -> Option<f64> {
        self.values.get(series).copied().flatten().filter(|value| value.is_finite())
    }
}

/// How points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Bars side by side.
    Columns,
    /// Bars on top of each other, with room for long labels.
    Bars,
    Lines,
}

/// A chart on its way from rows to a picture.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    kind: ChartKind,
    title: String,
    x_title: String,
    x: (usize, Presentation),
    y: Vec<usize>,
    series: Vec<String>,
    points: Vec<DataPoint>,
    places: HashMap<String, usize>,
    too_many: bool,
    /// Values that no axis has a place for: NaN and infinity.
    unplaceable: u64,
    shape: Shape,
    /// Points of the first rows, and the width of their widest label.
    planned: (usize, f32),
    /// Labels are words: each has to be read. Of years and days some are enough.
    named: bool,
    width: f32,
    height: f32,
}

impl Chart {
    /// Finds the chart's columns.
    pub(super) fn new(spec: &ChartSpec, schema: &Schema, about: &About) -> Result<Self, Problem> {
        let find = |name: &str| {
            let index = schema.fields().iter().position(|field| field.name() == name);
            index.ok_or_else(|| not_drawable(format!("the chart's column `{name}` is not among the report's columns")))
        };
        let title_of =
            |name: &str| about.column(name).and_then(|column| column.title.clone()).unwrap_or_else(|| name.to_owned());
        let mut y = Vec::with_capacity(spec.y.len());
        for name in &spec.y {
            let index = find(name)?;
            if !can_be_drawn(schema.field(index)) {
                return Err(not_drawable(format!("the chart's column `{name}` has no numbers")));
            }
            y.push(index);
        }
        let series: Vec<String> = spec.y.iter().map(|name| one_line(&title_of(name))).collect();
        let x_title = one_line(&title_of(&spec.x));
        let title =
            spec.title.clone().unwrap_or_else(|| format!("{} by {}", series.join(" and "), x_title.to_lowercase()));
        let x = find(&spec.x)?;
        let shown = Presentation::of(about, schema.field(x));
        Ok(Self {
            kind: spec.kind,
            title,
            x: (x, shown),
            x_title,
            y,
            series,
            points: Vec::new(),
            places: HashMap::new(),
            too_many: false,
            unplaceable: 0,
            shape: Shape::Columns,
            planned: (0, 0.0),
            named: false,
            width: 0.0,
            height: UPRIGHT,
        })
    }

    /// Looks at the labels of the first rows, from which the size follows.
    pub(super) fn plan(&mut self, batch: &RecordBatch, fonts: &mut Fonts) -> Result<(), Problem> {
        self.read(batch)?;
        let widths = self.points.iter().map(|point| LABEL.points(fonts.measure(LABEL.weight, &point.label)));
        self.planned = (self.points.len(), widths.fold(0.0, f32::max));
        self.named = self.points.iter().any(|point| point.label.contains(char::is_alphabetic));
        self.points.clear();
        self.places.clear();
        self.unplaceable = 0;
        Ok(())
    }

    /// Decides on shape and height.
    pub(super) fn set_width(&mut self, width: f32) {
        let (points, label) = self.planned;
        self.width = width;
        let each = (width - 40.0) / points.max(1) as f32;
        self.shape = match self.kind {
            ChartKind::Line => Shape::Lines,
            ChartKind::Bar if self.named && label + 4.0 > each && points as f32 * BAR[0] <= LYING => Shape::Bars,
            ChartKind::Bar => Shape::Columns,
        };
        if self.shape == Shape::Bars {
            self.height = HEAD + points as f32 * (LYING / points as f32).clamp(BAR[0], BAR[1]) + 4.0;
        }
    }

    pub(super) fn height(&self) -> f32 {
        self.height
    }

    /// Takes the rows of a batch in. Rows with the same label are one point: their values are added up.
    pub(super) fn read(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        if self.too_many {
            return Ok(());
        }
        let cells = cells(batch)?;
        let mut buffer = Vec::new();
        for row in 0..batch.num_rows() {
            let Some(x) = cells.get(self.x.0) else { return Ok(()) };
            let label = text_of(&mut buffer, x, row, &self.x.1).unwrap_or(NULL);
            let Some(place) = self.place(label) else {
                self.too_many = true;
                self.points.clear();
                return Ok(());
            };
            for (series, column) in self.y.iter().enumerate() {
                let Some(value) = cells.get(*column).and_then(|cells| value_of(cells, row)) else { continue };
                if value.is_finite() {
                    let sum = &mut self.points[place].values[series];
                    *sum = Some(sum.unwrap_or(0.0) + value);
                } else {
                    self.unplaceable += 1;
                }
            }
        }
        Ok(())
    }

    /// Finds the point of a label, or makes one while there may be another.
    fn place(&mut self, label: &str) -> Option<usize> {
        if let Some(place) = self.places.get(label) {
            return Some(*place);
        }
        let place = self.points.len();
        if place == MAX_POINTS {
            return None;
        }
        self.points.push(DataPoint { label: one_line(label), values: vec![None; self.y.len()] });
        self.places.insert(label.to_owned(), place);
        Some(place)
    }
}

fn can_be_drawn(field: &Field) -> bool {
    let data_type = field.data_type();
    data_type.is_numeric() || is_numeric(field) || *data_type == DataType::Null
}

fn value_of(cells: &ColumnCells<'_>, row: usize) -> Option<f64> {
    if cells.is_null(row) {
        return None;
    }
    Some(match cells {
        ColumnCells::Int16(array) => f64::from(array.value(row)),
        ColumnCells::Int32(array) => f64::from(array.value(row)),
        // A picture needs no more digits than this has.
        ColumnCells::Int64(array) => array.value(row) as f64,
        ColumnCells::Float32(array) => f64::from(array.value(row)),
        ColumnCells::Float64(array) => array.value(row),
        ColumnCells::Numeric(array) => array.value(row).parse().unwrap_or(f64::NAN),
        ColumnCells::Decimal(array, scale) => array.value(row) as f64 / 10_f64.powi(*scale as i32),
        _ => return None,
    })
}

/// A label stands on one line.
fn one_line(text: &str) -> String {
    text.replace(is_line_break, " ")
}

fn not_drawable(detail: String) -> Problem {
    Problem::new(ProblemKind::UnsupportedColumn, detail)
}
