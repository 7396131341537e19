//! Pages, one after the other: opened, filled from top to bottom, written out and forgotten.

use model::problem::{Problem, ProblemKind};
use report::{Orientation, Paper};

use super::canvas::{Canvas, HAIRLINE, MUTED, Point, Rect, Style, clipped, hundredths, number};
use super::deflate::Deflater;
use super::fonts::{Fonts, Weight};
use super::objects::{FixedObject, Objects, PageLink};

/// White space around the page.
pub(super) const SIDE: f32 = 42.0;
const TOP: f32 = 42.0;
const BOTTOM: f32 = 54.0;
/// Where the line at the foot stands.
const FOOT: f32 = 30.0;
pub(super) const FOOT_STYLE: Style = Style::new(Weight::Regular, 7.0, MUTED);

/// Width and height of a page in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PageSheet {
    pub(super) width: f32,
    pub(super) height: f32,
}

impl PageSheet {
    pub(super) fn new(paper: Paper, orientation: Orientation) -> Self {
        let (short, long) = match paper {
            Paper::A4 => (595.28, 841.89),
            Paper::A3 => (841.89, 1190.55),
            Paper::Letter => (612.0, 792.0),
            Paper::Tabloid => (792.0, 1224.0),
        };
        match orientation {
            Orientation::Portrait => Self { width: short, height: long },
            Orientation::Landscape => Self { width: long, height: short },
        }
    }

    /// Returns the width between the margins.
    pub(super) fn text_width(&self) -> f32 {
        self.width - 2.0 * SIDE
    }

    /// Returns the height between the margins.
    pub(super) fn depth(&self) -> f32 {
        self.height - TOP - BOTTOM
    }
}

/// The file with the page that is being filled.
#[derive(Debug, Clone)]
pub(super) struct PdfDocument {
    pub(super) objects: Objects,
    pub(super) fonts: Fonts,
    pub(super) sheet: PageSheet,
    pub(super) canvas: Canvas,
    /// Rules between rows, drawn in one go.
    hairlines: Vec<u8>,
    /// The height at which the next thing goes; it shrinks.
    pub(super) y: f32,
    /// Places of the page that lead to the web.
    links: Vec<PageLink>,
    /// Stands at the foot of each page.
    foot: String,
    deflater: Deflater,
    content: Vec<u8>,
}

impl PdfDocument {
    /// Opens the first page.
    pub(super) fn new(fonts: Fonts, sheet: PageSheet, foot: &str, out: &mut Vec<u8>) -> Self {
        let mut document = Self {
            objects: Objects::new(fonts.faces.len(), out),
            fonts,
            sheet,
            canvas: Canvas::default(),
            hairlines: Vec::new(),
            y: sheet.height - TOP,
            links: Vec::new(),
            foot: String::new(),
            deflater: Deflater::new(),
            content: Vec::new(),
        };
        document.foot = clipped(&mut document.fonts, FOOT_STYLE, foot, sheet.text_width() * 0.7);
        document
    }

    /// Returns the height that is left on the page.
    pub(super) fn remaining_height(&self) -> f32 {
        self.y - BOTTOM
    }

    /// Tells whether nothing stands on the page yet.
    pub(super) fn at_top(&self) -> bool {
        self.y >= self.sheet.height - TOP
    }

    /// Draws a hairline over the width of the table at the current height.
    pub(super) fn hairline(&mut self, width: f32) {
        let y = hundredths(self.y);
        let ops = &mut self.hairlines;
        number(ops, hundredths(SIDE));
        number(ops, y);
        ops.extend_from_slice(b"m ");
        number(ops, hundredths(SIDE + width));
        number(ops, y);
        ops.extend_from_slice(b"l\n");
    }

    /// Makes a place of the page lead to the web.
    pub(super) fn link(&mut self, place: Rect, address: &str) {
        self.links.push(PageLink { place, address: address.to_owned() });
    }

    /// Writes the page out and opens the next.
    pub(super) fn break_page(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.finish_page(out)?;
        self.y = self.sheet.height - TOP;
        Ok(())
    }

    /// Writes the page out.
    pub(super) fn finish_page(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.write_foot();
        self.content.clear();
        if !self.hairlines.is_empty() {
            self.content.extend_from_slice(HAIRLINE.as_bytes());
            self.content.extend_from_slice(b" RG .4 w\n");
            self.content.append(&mut self.hairlines);
            self.content.extend_from_slice(b"S\n");
        }
        self.content.append(&mut self.canvas.ops);
        let content = self.deflater.deflate(&self.content).map_err(|error| unfinished(&error))?;
        self.objects.put_page(content, [self.sheet.width, self.sheet.height], &self.links, out);
        self.links.clear();
        Ok(())
    }

    fn write_foot(&mut self) {
        let page = format!("Page {} ", self.objects.pages() + 1);
        let width = FOOT_STYLE.points(self.fonts.measure(FOOT_STYLE.weight, &page));
        self.canvas.text(&mut self.fonts, FOOT_STYLE, Point::new(SIDE, FOOT), &page);
        // How many pages there are is known at the end: every page shows the same drawing.
        self.canvas.place(name_of(FixedObject::PageCount), Point::new(SIDE + width, FOOT));
        self.canvas.text_right_aligned(
            &mut self.fonts,
            FOOT_STYLE,
            Point::new(self.sheet.width - SIDE, FOOT),
            &self.foot,
        );
    }

    /// Writes what pages show of what is known at the end.
    pub(super) fn put_drawing(&mut self, which: FixedObject, canvas: &Canvas, size: [f32; 2], out: &mut Vec<u8>) {
        let data = super::deflate::deflated(&canvas.ops);
        self.objects.put(which, out, |chunk, id| {
            let mut form = chunk.form_xobject(id, &data);
            form.filter(pdf_writer::Filter::FlateDecode);
            form.bbox(pdf_writer::Rect::new(-1.0, -size[1], size[0], size[1]));
            form.pair(pdf_writer::Name(b"Resources"), super::objects::fixed(FixedObject::Resources));
        });
    }
}

/// Returns the name by which pages call a drawing.
pub(super) fn name_of(which: FixedObject) -> &'static str {
    match which {
        FixedObject::PageCount => "N",
        FixedObject::Summary => "S",
        _ => "C",
    }
}

pub(super) fn unfinished(error: &std::io::Error) -> Problem {
    Problem::new(ProblemKind::Internal, format!("the page could not be compressed: {error}"))
}
