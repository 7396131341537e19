//! Lines: points joined in the order of the rows, with a gap where a value is missing.

use super::Chart;
use super::draw::colour;
use super::scale::Scale;
use crate::pdf::canvas::{Canvas, Point};
use crate::pdf::fonts::Fonts;

/// Points are marked while they can be told apart.
const MARKED: usize = 40;

pub(super) fn draw_lines(chart: &Chart, canvas: &mut Canvas, fonts: &mut Fonts) {
    let (low, high) = chart.range();
    // Zero is on the axis unless that would flatten the line.
    let low = if low >= 0.0 && low < high * 0.6 { 0.0 } else { low };
    let scale = Scale::of(low, if low < 0.0 { high.max(0.0) } else { high });
    let plot = chart.draw_grid(canvas, fonts, &scale);
    let each = (plot.right - plot.left) / chart.points.len() as f32;
    let x_of = |index: usize| plot.left + (index as f32 + 0.5) * each;
    for series in (0..chart.series.len()).rev() {
        let at = |index: usize| {
            chart.points[index].value(series).map(|value| Point::new(x_of(index), plot.y(&scale, value)))
        };
        let places: Vec<Option<Point>> = (0..chart.points.len()).map(at).collect();
        for run in places.split(Option::is_none) {
            let run: Vec<Point> = run.iter().flatten().copied().collect();
            canvas.push(b"1 j 1 J ");
            if run.len() > 1 {
                canvas.stroke(colour(series), 1.5, run.iter().copied());
            }
            if run.len() == 1 || chart.points.len() <= MARKED {
                for place in run {
                    // A line of no length with round ends is a dot.
                    canvas.stroke(colour(series), 4.0, [place, place]);
                }
            }
        }
    }
    chart.draw_labels(canvas, fonts, plot, x_of);
}
