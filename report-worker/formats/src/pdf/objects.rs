//! The objects of the file: each goes out as soon as it is whole, and only its length is kept.
//!
//! Ids are laid out so that nobody has to look ahead. The first ones, [`FixedObject`] and fonts, belong to what is known at the end:
//! catalogue, fonts, resources. Then come groups of pages: content and page by turns, and after a full group its node of the page
//! tree, whose id follows from the group's number. Objects of pages are written in the order of their ids, so lengths are enough
//! to find them again: some five bytes a page.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{ActionType, AnnotationFlags, AnnotationType};
use pdf_writer::writers::Annotation;
use pdf_writer::{Chunk, Finish as _, Name, Ref, Settings, Str};

/// Pages of one node of the page tree.
const GROUP: u64 = 64;
/// Ids of a group: content and page of each of its pages, and the node.
const GROUP_IDS: u64 = 2 * GROUP + 1;
/// Bytes of an entry of the cross-reference table: kind and offset.
const ENTRY: usize = 7;

/// What is written once, at the end. The number is the object's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FixedObject {
    Catalog = 1,
    Pages,
    Resources,
    Info,
    Xmp,
    PageCount,
    Summary,
    Chart,
    CrossReferences,
}

/// Ids that do not belong to pages, those of the fonts included.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObjectIds {
    fonts: u64,
}

/// Objects of a font.
pub(super) const FONT_OBJECTS: u64 = 6;
const FIRST_FONT: u64 = FixedObject::CrossReferences as u64 + 1;

impl ObjectIds {
    fn first_page(self) -> u64 {
        FIRST_FONT + self.fonts * FONT_OBJECTS
    }

    fn content(self, page: u64) -> u64 {
        self.first_page() + page / GROUP * GROUP_IDS + page % GROUP * 2
    }

    fn node(self, group: u64) -> u64 {
        self.first_page() + group * GROUP_IDS + 2 * GROUP
    }
}

/// The file so far.
/// A place of a page that leads to the web.
#[derive(Debug, Clone)]
pub(super) struct PageLink {
    pub(super) place: super::canvas::Rect,
    pub(super) address: String,
}

impl PageLink {
    fn write(&self, annotation: &mut Annotation<'_>) {
        let super::canvas::Rect { x, y, width, height } = self.place;
        annotation.subtype(AnnotationType::Link).rect(pdf_writer::Rect::new(x, y, x + width, y + height));
        annotation.border(0.0, 0.0, 0.0, None).flags(AnnotationFlags::PRINT);
        annotation.action().action_type(ActionType::Uri).uri(Str(self.address.as_bytes()));
    }
}

#[derive(Debug, Clone)]
pub(super) struct Objects {
    ids: ObjectIds,
    written: u64,
    fixed: Vec<u64>,
    /// Lengths of pages' objects, seven bits a byte, least significant first.
    lengths: Vec<u8>,
    first_page_at: u64,
    pages: u64,
    /// The first objects behind the pages end their row of lengths.
    last_id: u64,
}

impl Objects {
    /// Starts a file with so many fonts.
    pub(super) fn new(fonts: usize, out: &mut Vec<u8>) -> Self {
        let ids = ObjectIds { fonts: fonts as u64 };
        // The second line tells programs that look at the first bytes that this is not text.
        let header = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n";
        out.extend_from_slice(header);
        Self {
            ids,
            written: header.len() as u64,
            fixed: vec![0; usize::try_from(ids.first_page()).unwrap_or(0)],
            lengths: Vec::new(),
            first_page_at: header.len() as u64,
            pages: 0,
            last_id: ids.first_page() - 1,
        }
    }

    /// Returns the number of pages written.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// Returns the id of one of a font's objects.
    pub(super) fn font(&self, font: usize, object: u64) -> Ref {
        reference(FIRST_FONT + font as u64 * FONT_OBJECTS + object)
    }

    /// Writes a page whose content is compressed already.
    pub(super) fn put_page(&mut self, content: &[u8], size: [f32; 2], links: &[PageLink], out: &mut Vec<u8>) {
        let page = self.pages;
        let id = self.ids.content(page);
        let mut chunk = chunk();
        chunk.stream(reference(id), content).filter(pdf_writer::Filter::FlateDecode);
        self.put_in_order(&chunk, out);
        let mut chunk = self::chunk();
        let mut object = chunk.page(reference(id + 1));
        object.parent(reference(self.ids.node(page / GROUP))).contents(reference(id));
        if page == 0 {
            // Readers that look at the first page only need not climb the tree.
            object.media_box(pdf_writer::Rect::new(0.0, 0.0, size[0], size[1]));
        }
        if !links.is_empty() {
            let mut places = object.insert(Name(b"Annots")).array();
            for link in links {
                link.write(&mut places.push().start::<Annotation<'_>>());
            }
        }
        object.finish();
        self.put_in_order(&chunk, out);
        self.pages += 1;
        self.last_id = id + 1;
        if self.pages.is_multiple_of(GROUP) {
            self.put_node(out);
        }
    }

    /// Ends the page tree, whose pages have the size and the resources in common. There must be a page.
    pub(super) fn finish_pages(&mut self, size: [f32; 2], out: &mut Vec<u8>) {
        if !self.pages.is_multiple_of(GROUP) {
            self.put_node(out);
        }
        let (ids, pages) = (self.ids, self.pages);
        self.put(FixedObject::Pages, out, |chunk, id| {
            let nodes = (0..pages.div_ceil(GROUP)).map(|group| reference(ids.node(group)));
            let mut tree = chunk.pages(id);
            tree.kids(nodes).count(i32::try_from(pages).unwrap_or(i32::MAX));
            tree.media_box(pdf_writer::Rect::new(0.0, 0.0, size[0], size[1]));
            tree.pair(Name(b"Resources"), fixed(FixedObject::Resources));
        });
    }

    fn put_node(&mut self, out: &mut Vec<u8>) {
        let group = (self.pages - 1) / GROUP;
        let pages = self.pages - group * GROUP;
        let (ids, id) = (self.ids, self.ids.node(group));
        let mut chunk = chunk();
        let kids = (0..pages).map(|page| reference(ids.content(group * GROUP + page) + 1));
        let mut node = chunk.pages(reference(id));
        node.parent(fixed(FixedObject::Pages)).kids(kids).count(i32::try_from(pages).unwrap_or(i32::MAX));
        node.finish();
        // The last group may not be full: ids of pages that it has not are free.
        for _ in self.last_id + 1..id {
            self.note_length(0);
        }
        self.put_in_order(&chunk, out);
        self.last_id = id;
    }

    /// Writes an object that stands outside of the order of the pages.
    pub(super) fn put(&mut self, which: FixedObject, out: &mut Vec<u8>, write: impl FnOnce(&mut Chunk, Ref)) {
        self.put_at(fixed(which), out, write);
    }

    /// Writes an object under one of the ids that do not belong to pages. After the last page only.
    pub(super) fn put_at(&mut self, id: Ref, out: &mut Vec<u8>, write: impl FnOnce(&mut Chunk, Ref)) {
        let mut chunk = chunk();
        write(&mut chunk, id);
        if let Some(place) = usize::try_from(id.get()).ok().and_then(|id| self.fixed.get_mut(id)) {
            *place = self.written;
        }
        self.append(&chunk, out);
    }

    fn put_in_order(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        self.note_length(chunk.len() as u64);
        self.append(chunk, out);
    }

    fn note_length(&mut self, mut length: u64) {
        while length >= 128 {
            self.lengths.push((length % 128) as u8 | 128);
            length /= 128;
        }
        self.lengths.push(length as u8);
    }

    fn append(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        out.extend_from_slice(chunk.as_bytes());
        self.written += chunk.len() as u64;
    }

    /// Writes the table of all objects, and the end of the file.
    pub(super) fn finish(mut self, file_id: &[u8; 16], out: &mut Vec<u8>) -> std::io::Result<()> {
        let at = self.written;
        self.fixed[FixedObject::CrossReferences as usize] = at;
        let data = self.table()?;
        let size = i32::try_from(self.last_id + 1).unwrap_or(i32::MAX);
        self.put(FixedObject::CrossReferences, out, |chunk, id| {
            let mut stream = chunk.stream(id, &data);
            stream.filter(pdf_writer::Filter::FlateDecode);
            stream.pair(Name(b"Type"), Name(b"XRef")).pair(Name(b"Size"), size);
            stream.insert(Name(b"W")).array().items([1, ENTRY as i32 - 1, 0]);
            // Each row is the difference to the one before: most of it zeros.
            let mut parms = stream.insert(Name(b"DecodeParms")).dict();
            parms.pair(Name(b"Predictor"), 12).pair(Name(b"Columns"), ENTRY as i32);
            parms.finish();
            stream.pair(Name(b"Root"), fixed(FixedObject::Catalog)).pair(Name(b"Info"), fixed(FixedObject::Info));
            stream.insert(Name(b"ID")).array().item(Str(file_id)).item(Str(file_id));
        });
        out.extend_from_slice(format!("startxref\n{at}\n%%EOF\n").as_bytes());
        Ok(())
    }

    fn table(&self) -> std::io::Result<Vec<u8>> {
        let mut table = XrefTable { before: [0; ENTRY], encoder: ZlibEncoder::new(Vec::new(), Compression::new(6)) };
        for offset in &self.fixed {
            table.row(*offset)?;
        }
        let (mut offset, mut length, mut shift) = (self.first_page_at, 0_u64, 0);
        for byte in &self.lengths {
            length |= u64::from(byte % 128) << shift;
            shift += 7;
            if *byte < 128 {
                table.row(if length == 0 { 0 } else { offset })?;
                offset += length;
                (length, shift) = (0, 0);
            }
        }
        table.encoder.finish()
    }
}

struct XrefTable {
    before: [u8; ENTRY],
    encoder: ZlibEncoder<Vec<u8>>,
}

impl XrefTable {
    /// Appends the entry of an object; nothing starts at offset 0, so that says that there is none.
    fn row(&mut self, offset: u64) -> std::io::Result<()> {
        let mut row = offset.to_be_bytes();
        row[1] = u8::from(offset > 0);
        let row = &row[1..];
        let mut filtered = [2_u8; ENTRY + 1];
        for (place, (now, before)) in filtered[1..].iter_mut().zip(row.iter().zip(self.before)) {
            *place = now.wrapping_sub(before);
        }
        self.before.copy_from_slice(row);
        self.encoder.write_all(&filtered)
    }
}

/// Returns the reference to an object that is written once.
pub(super) fn fixed(which: FixedObject) -> Ref {
    Ref::new(which as i32)
}

fn reference(id: u64) -> Ref {
    // More than two billion objects would be a file of terabytes; no limit on a file's bytes lets that come.
    Ref::new(i32::try_from(id).unwrap_or(i32::MAX))
}

fn chunk() -> Chunk {
    Chunk::with_settings(Settings { pretty: false })
}
