//! Fonts go into the file at its end, when it is known which glyphs it needs.

use model::problem::{Problem, ProblemKind};
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish as _, Name, Rect, Ref, Str};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

use super::deflate::deflated;
use super::fonts::{Code, Face, Fonts};
use super::objects::{FixedObject, Objects};

const IDENTITY: SystemInfo<'static> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// The objects of one font.
struct FontObjects {
    font: Ref,
    descendant: Ref,
    descriptor: Ref,
    file: Ref,
    texts: Ref,
    glyphs: Ref,
}

/// Writes every face that was used, and the resources of all pages, which name the fonts and the drawings `extra`.
pub(super) fn embed_fonts(
    objects: &mut Objects,
    fonts: &Fonts,
    extra: &[(&[u8], FixedObject)],
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let mut used = Vec::new();
    for (index, face) in fonts.faces.iter().enumerate() {
        if !face.codes.is_empty() {
            let parts = parts(objects, index);
            used.push((format!("F{index}"), parts.font));
            embed(objects, face, &parts, out)?;
        }
    }
    objects.put(FixedObject::Resources, out, |chunk, id| {
        let mut resources = chunk.indirect(id).dict();
        let mut names = resources.insert(Name(b"Font")).dict();
        for (name, font) in &used {
            names.pair(Name(name.as_bytes()), *font);
        }
        names.finish();
        let mut drawings = resources.insert(Name(b"XObject")).dict();
        for (name, which) in extra {
            drawings.pair(Name(name), super::objects::fixed(*which));
        }
    });
    Ok(())
}

fn parts(objects: &Objects, index: usize) -> FontObjects {
    let part = |object| objects.font(index, object);
    FontObjects {
        font: part(0),
        descendant: part(1),
        descriptor: part(2),
        file: part(3),
        texts: part(4),
        glyphs: part(5),
    }
}

fn embed(objects: &mut Objects, face: &Face, parts: &FontObjects, out: &mut Vec<u8>) -> Result<(), Problem> {
    let name = subset_name(face);
    let name = Name(name.as_bytes());
    let program = subsetter::subset(face.file.data(), face.file.index(), &face.subset)
        .map_err(|error| cannot_embed(face, &error.to_string()))?;
    let program = deflated(&program);
    objects.put_at(parts.file, out, |chunk, id| {
        let mut stream = chunk.stream(id, &program);
        stream.filter(Filter::FlateDecode);
        if face.file.is_cff() {
            stream.pair(Name(b"Subtype"), Name(b"OpenType"));
        }
    });
    let mut codes = face.codes.clone();
    codes.sort_unstable_by_key(|code| code.code);
    objects.put_at(parts.font, out, |chunk, id| {
        let mut font = chunk.type0_font(id);
        font.base_font(name).encoding_predefined(Name(b"Identity-H"));
        font.descendant_font(parts.descendant).to_unicode(parts.texts);
    });
    put_descendant(objects, face, (parts, name), &codes, out);
    put_descriptor(objects, face, (parts, name), out)?;
    let mut texts = UnicodeCmap::<u16>::new(Name(b"Custom"), IDENTITY);
    for code in &codes {
        texts.pair(code.code, code.text);
    }
    let texts = deflated(&texts.finish());
    objects.put_at(parts.texts, out, |chunk, id| {
        chunk.stream(id, &texts).filter(Filter::FlateDecode);
    });
    if !face.file.is_cff() {
        let glyphs = deflated(&glyphs_of(&codes));
        objects.put_at(parts.glyphs, out, |chunk, id| {
            chunk.stream(id, &glyphs).filter(Filter::FlateDecode);
        });
    }
    Ok(())
}

fn put_descendant(
    objects: &mut Objects,
    face: &Face,
    (parts, name): (&FontObjects, Name<'_>),
    codes: &[Code],
    out: &mut Vec<u8>,
) {
    objects.put_at(parts.descendant, out, |chunk, id| {
        let mut font = chunk.cid_font(id);
        font.subtype(if face.file.is_cff() { CidFontType::Type0 } else { CidFontType::Type2 });
        font.base_font(name).system_info(IDENTITY).font_descriptor(parts.descriptor).default_width(0.0);
        if !face.file.is_cff() {
            font.cid_to_gid_map_stream(parts.glyphs);
        }
        let mut widths = font.widths();
        for run in codes.chunk_by(|before, next| before.code + 1 == next.code) {
            widths.consecutive(run[0].code, run.iter().map(|code| f32::from(code.advance)));
        }
    });
}

fn put_descriptor(
    objects: &mut Objects,
    face: &Face,
    (parts, name): (&FontObjects, Name<'_>),
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let font = FontRef::from_index(face.file.data(), face.file.index())
        .map_err(|error| cannot_embed(face, &error.to_string()))?;
    let metrics = font.metrics(Size::new(1000.0), LocationRef::default());
    let bounds = metrics.bounds.unwrap_or_default();
    objects.put_at(parts.descriptor, out, |chunk, id| {
        let mut descriptor = chunk.font_descriptor(id);
        descriptor
            .name(name)
            .flags(FontFlags::NON_SYMBOLIC)
            .bbox(Rect::new(bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max))
            .italic_angle(metrics.italic_angle)
            .ascent(metrics.ascent)
            .descent(metrics.descent)
            .cap_height(metrics.cap_height.unwrap_or(700.0))
            .stem_v(if face.file.name().ends_with("Bold") { 140.0 } else { 80.0 });
        if face.file.is_cff() {
            descriptor.font_file3(parts.file);
        } else {
            descriptor.font_file2(parts.file);
        }
    });
    Ok(())
}

/// Lists the glyph of every number up to the last.
fn glyphs_of(codes: &[Code]) -> Vec<u8> {
    let last = codes.last().map_or(0, |code| usize::from(code.code));
    let mut glyphs = vec![0; 2 * (last + 1)];
    for code in codes {
        let at = 2 * usize::from(code.code);
        glyphs[at..at + 2].copy_from_slice(&code.glyph.to_be_bytes());
    }
    glyphs
}

/// Puts six letters before the name, which tell subsets of one font apart; they follow from the characters in it.
fn subset_name(face: &Face) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for code in &face.codes {
        hash = (hash ^ u64::from(u32::from(code.text))).wrapping_mul(0x0100_0000_01b3);
    }
    let letters = (0..6).map(|place| char::from(b'A' + (hash >> (place * 8 + 8)) as u8 % 26));
    letters.chain("+".chars()).chain(face.file.name().chars()).collect()
}

fn cannot_embed(face: &Face, why: &str) -> Problem {
    Problem::new(ProblemKind::Internal, format!("the font {} cannot be embedded: {why}", face.file.name()))
}
