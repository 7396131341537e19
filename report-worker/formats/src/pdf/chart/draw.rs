//! What every chart has: title, legend, grid. Or the reason why there is none.

use super::scale::Scale;
use super::{Chart, HEAD, LABEL, MAX_POINTS, Shape, bars, lines};
use crate::pdf::canvas::{ACCENT, Canvas, Colour, HAIRLINE, INK, MUTED, Point, Rect, Style, clipped};
use crate::pdf::fonts::{Fonts, Weight};

const TITLE: Style = Style::new(Weight::Bold, 9.0, INK);
/// Colours of series; told apart by lightness too.
const SERIES: [Colour; 6] =
    [ACCENT, "0.929 0.600 0.220", "0.290 0.600 0.500", "0.702 0.302 0.275", "0.478 0.420 0.690", "0.550 0.580 0.620"];

/// The rectangle points are drawn in: `x` grows to the right, `y` upwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
    pub(super) top: f32,
}

impl Plot {
    pub(super) fn y(&self, scale: &Scale, value: f64) -> f32 {
        self.bottom + (self.top - self.bottom) * scale.part(value)
    }
}

pub(super) fn colour(series: usize) -> Colour {
    SERIES[series % SERIES.len()]
}

impl Chart {
    /// Draws below the origin. Returns width and height.
    pub(in crate::pdf) fn draw(&self, canvas: &mut Canvas, fonts: &mut Fonts) -> [f32; 2] {
        let size = [self.width, self.height];
        let title = clipped(fonts, TITLE, &self.title, self.width * 0.6);
        canvas.text(fonts, TITLE, Point::new(0.0, -TITLE.size), &title);
        if let Some(reason) = self.reason_for_none() {
            canvas.text(fonts, LABEL, Point::new(0.0, -TITLE.size - 14.0), &reason);
            return size;
        }
        self.draw_legend(canvas, fonts);
        let unplaceable = self.unplaceable();
        if unplaceable > 0 {
            let note = match unplaceable {
                1 => "1 value is no finite number and is not drawn.".to_owned(),
                some => format!("{some} values are no finite numbers and are not drawn."),
            };
            canvas.text(fonts, LABEL, Point::new(0.0, -TITLE.size - 9.0), &note);
        }
        let lying = (self.height - HEAD) / self.points.len() as f32 >= 5.0;
        match self.shape {
            Shape::Bars if lying => bars::draw_bars(self, canvas, fonts),
            Shape::Lines => lines::draw_lines(self, canvas, fonts),
            Shape::Bars | Shape::Columns => bars::draw_columns(self, canvas, fonts),
        }
        size
    }

    /// Says why there is no picture, if there is none.
    fn reason_for_none(&self) -> Option<String> {
        if self.too_many {
            return Some(format!("Not drawn: {} has more than {MAX_POINTS} different values.", self.x_title));
        }
        if self.points.is_empty() {
            return Some("There is nothing to draw: there are no rows.".to_owned());
        }
        if self.values().next().is_some() {
            return None;
        }
        let names = self.series.join(" and ");
        Some(match self.unplaceable() {
            0 => format!("There is nothing to draw: {names} has no values."),
            _ => format!("There is nothing to draw: no value of {names} is a finite number."),
        })
    }

    /// Returns the values that are drawn.
    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let series = 0..self.series.len();
        self.points.iter().flat_map(move |point| series.clone().filter_map(|series| point.value(series)))
    }

    /// Counts values, and sums of them, that are beyond every axis.
    fn unplaceable(&self) -> u64 {
        let sums = self.points.iter().flat_map(|point| point.values.iter().flatten());
        self.unplaceable + sums.filter(|sum| !sum.is_finite()).count() as u64
    }

    fn draw_legend(&self, canvas: &mut Canvas, fonts: &mut Fonts) {
        if self.series.len() < 2 {
            return;
        }
        let each = self.width * 0.4 / self.series.len() as f32 - 12.0;
        let mut x = self.width;
        for (index, name) in self.series.iter().enumerate().rev() {
            let name = clipped(fonts, LABEL, name, each);
            x -= LABEL.points(fonts.measure(LABEL.weight, &name));
            canvas.text(fonts, LABEL, Point::new(x, -TITLE.size), &name);
            x -= 9.0;
            canvas.fill(colour(index), Rect { x, y: -TITLE.size - 0.3, width: 5.5, height: 5.5 });
            x -= 10.0;
        }
    }

    /// Returns the least and the greatest value. There is one: see [`Self::reason_for_none`].
    pub(super) fn range(&self) -> (f64, f64) {
        self.values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    }

    /// Draws the lines of the grid with their labels, and returns what they leave.
    pub(super) fn draw_grid(&self, canvas: &mut Canvas, fonts: &mut Fonts, scale: &Scale) -> Plot {
        let labels: Vec<(f64, String)> = scale.lines().map(|line| (line, scale.label(line))).collect();
        let width = labels.iter().map(|(_, label)| LABEL.points(fonts.measure(LABEL.weight, label)));
        let left = width.fold(0.0, f32::max) + 6.0;
        let plot = Plot { left, right: self.width, bottom: -self.height + 16.0, top: -HEAD - 2.0 };
        for (line, label) in &labels {
            let y = plot.y(scale, *line);
            let (rule, thickness) = if *line == 0.0 { (MUTED, 0.6) } else { (HAIRLINE, 0.5) };
            canvas.rule(rule, thickness, Point::new(plot.left, y), plot.right - plot.left);
            canvas.text_right_aligned(fonts, LABEL, Point::new(left - 6.0, y - LABEL.size * 0.36), label);
        }
        plot
    }

    /// Writes labels under the points, as many as there is room for.
    pub(super) fn draw_labels(&self, canvas: &mut Canvas, fonts: &mut Fonts, plot: Plot, at: impl Fn(usize) -> f32) {
        let widths = self.points.iter().map(|point| LABEL.points(fonts.measure(LABEL.weight, &point.label)));
        let widest = widths.fold(0.0, f32::max).min(90.0);
        let each = if self.points.len() > 1 { (at(1) - at(0)).abs() } else { plot.right - plot.left };
        let every = ((widest + 5.0) / each).ceil().max(1.0) as usize;
        let mut free = 0.0;
        for (index, point) in self.points.iter().enumerate().step_by(every) {
            let label = clipped(fonts, LABEL, &point.label, 90.0);
            let width = LABEL.points(fonts.measure(LABEL.weight, &label));
            let x = (at(index) - width / 2.0).min(plot.right - width).max(0.0);
            // At the edges labels move inwards, and may meet their neighbours.
            if x < free {
                continue;
            }
            free = x + width + 4.0;
            canvas.text(fonts, LABEL, Point::new(x, plot.bottom - 10.0), &label);
        }
    }
}
