//! Bars: standing side by side, or lying on top of each other.

use super::draw::colour;
use super::scale::{Scale, short};
use super::{Chart, HEAD, LABEL};
use crate::pdf::canvas::{Canvas, INK, MUTED, Point, Rect, Style, clipped};
use crate::pdf::fonts::{Fonts, Weight};

const NAME: Style = Style::new(Weight::Regular, 6.5, INK);
/// Part of a point's place that its bars fill.
const FILLED: f32 = 0.66;
/// A bar is not wider than this.
const WIDEST: f32 = 40.0;

pub(super) fn draw_columns(chart: &Chart, canvas: &mut Canvas, fonts: &mut Fonts) {
    let (low, high) = chart.range();
    let scale = Scale::of(low.min(0.0), high.max(0.0));
    let plot = chart.draw_grid(canvas, fonts, &scale);
    let each = (plot.right - plot.left) / chart.points.len() as f32;
    let filled = (each * FILLED).min(WIDEST * chart.series.len() as f32);
    let width = filled / chart.series.len() as f32;
    let middle = |index: usize| plot.left + (index as f32 + 0.5) * each;
    let zero = plot.y(&scale, 0.0);
    for (index, point) in chart.points.iter().enumerate() {
        for series in 0..chart.series.len() {
            let Some(value) = point.value(series) else { continue };
            let x = middle(index) - filled / 2.0 + series as f32 * width;
            canvas.fill(colour(series), Rect { x, y: zero, width: width * 0.94, height: plot.y(&scale, value) - zero });
        }
    }
    canvas.rule(MUTED, 0.6, Point::new(plot.left, zero), plot.right - plot.left);
    chart.draw_labels(canvas, fonts, plot, middle);
}

pub(super) fn draw_bars(chart: &Chart, canvas: &mut Canvas, fonts: &mut Fonts) {
    let (low, high) = chart.range();
    let (low, high) = (low.min(0.0), high.max(0.0));
    // Halved, because from one end of the doubles to the other is more than a double holds.
    let range = Some(high / 2.0 - low / 2.0).filter(|range| *range > 0.0).unwrap_or(1.0);
    let names = chart.points.iter().map(|point| NAME.points(fonts.measure(NAME.weight, &point.label)));
    let name_width = names.fold(0.0, f32::max).min(chart.width * 0.28);
    // Room for the figures behind the longest bar, and before it where values are negative.
    let figures = 34.0;
    let left = name_width + 8.0 + if low < 0.0 { figures } else { 0.0 };
    let right = chart.width - figures;
    let each = (chart.height - HEAD) / chart.points.len() as f32;
    let x_of = |value: f64| left + (right - left) * ((value / 2.0 - low / 2.0) / range) as f32;
    let thickness = each * 0.68 / chart.series.len() as f32;
    for (index, point) in chart.points.iter().enumerate() {
        let middle = -HEAD - (index as f32 + 0.5) * each;
        let name = clipped(fonts, NAME, &point.label, name_width);
        canvas.text_right_aligned(fonts, NAME, Point::new(name_width, middle - NAME.size * 0.36), &name);
        for series in 0..chart.series.len() {
            let Some(value) = point.value(series) else { continue };
            let top = middle + each * 0.34 - series as f32 * thickness;
            let (from, to) = (x_of(0.0), x_of(value));
            canvas.fill(
                colour(series),
                Rect { x: from, y: top - thickness * 0.96, width: to - from, height: thickness * 0.96 },
            );
            let stands = top - thickness / 2.0 - LABEL.size * 0.36;
            if thickness < LABEL.size * 0.8 {
                continue;
            }
            if value < 0.0 {
                canvas.text_right_aligned(fonts, LABEL, Point::new(to - 3.0, stands), &short(value));
            } else {
                canvas.text(fonts, LABEL, Point::new(to + 3.0, stands), &short(value));
            }
        }
    }
    canvas.stroke(MUTED, 0.6, [Point::new(x_of(0.0), -HEAD + 1.0), Point::new(x_of(0.0), -chart.height + 1.0)]);
}
