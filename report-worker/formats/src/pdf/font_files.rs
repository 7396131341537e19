//! Font files: those of the program, and those the configuration adds.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skrifa::raw::TableProvider as _;
use skrifa::raw::types::NameId;
use skrifa::{FontRef, MetadataProvider as _};

/// One face of a file that can be embedded.
pub struct FontFile {
    data: Cow<'static, [u8]>,
    index: u32,
    name: String,
    cff: bool,
}

impl std::fmt::Debug for FontFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FontFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FontFile {
    /// Returns the faces every program has: regular, then bold.
    pub(super) fn built_in() -> [Arc<Self>; 2] {
        let face = |data, name: &str| Self { data: Cow::Borrowed(data), index: 0, name: name.to_owned(), cff: false };
        [Arc::new(face(notosans::REGULAR_TTF, "NotoSans-Regular")), Arc::new(face(notosans::BOLD_TTF, "NotoSans-Bold"))]
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// The PostScript name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether outlines are in the compact font format and not in that of TrueType.
    pub(super) fn is_cff(&self) -> bool {
        self.cff
    }
}

/// Loads the fonts that are asked where the built-in ones have no glyph: files, and folders of files, in order.
///
/// # Errors
/// Names the file that cannot be read or is not a font.
pub fn load_fonts(places: &[PathBuf]) -> anyhow::Result<Arc<[Arc<FontFile>]>> {
    use anyhow::Context as _;
    let mut files = Vec::new();
    for place in places {
        if place.is_dir() {
            let entries = std::fs::read_dir(place).with_context(|| format!("read the folder {}", place.display()))?;
            let mut paths = Vec::new();
            for entry in entries {
                paths.push(entry.with_context(|| format!("read the folder {}", place.display()))?.path());
            }
            paths.retain(|path| is_font(path));
            paths.sort();
            files.extend(paths);
        } else {
            files.push(place.clone());
        }
    }
    files.iter().map(|path| load(path).with_context(|| format!("read the font {}", path.display()))).collect()
}

fn is_font(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["ttf", "otf", "ttc", "otc"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn load(path: &Path) -> anyhow::Result<Arc<FontFile>> {
    let data = std::fs::read(path)?;
    let font = FontRef::from_index(&data, 0)?;
    let cff = font.cff().is_ok();
    anyhow::ensure!(cff || font.glyf().is_ok(), "it has neither TrueType nor CFF outlines");
    anyhow::ensure!(font.axes().is_empty(), "it is a variable font; take a file of one weight");
    let name = font.localized_strings(NameId::POSTSCRIPT_NAME).english_or_first().map(|name| name.to_string());
    let plain: String = name.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(60).collect();
    let safe = plain.replace(['(', ')', '<', '>', '[', ']', '{', '}', '/', '%', '#'], "");
    let name = if safe.is_empty() { "Font".to_owned() } else { safe };
    Ok(Arc::new(FontFile { data: Cow::Owned(data), index: 0, name, cff }))
}
