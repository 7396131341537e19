//! What the URL of a SQLite source says: `sqlite:<path>`, and how the file is opened and read.

use std::path::PathBuf;

/// A file, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileOptions {
    pub(super) path: PathBuf,
    /// Nobody writes to the file, so it is opened without locks and without the files that stand beside it.
    pub(super) immutable: bool,
    pub(super) text: TextReading,
}

/// What becomes of text that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextReading {
    /// It fails the read.
    Exact,
    /// Each byte is a character of ISO 8859-1.
    Latin1,
    /// What is no character becomes U+FFFD.
    Lossy,
}

/// Reads `sqlite:<path>`, with `?immutable=1` and `text=latin1` or `text=lossy` behind it.
///
/// # Errors
/// Names an option that there is not.
pub(super) fn read_url(url: &str) -> Result<FileOptions, String> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let rest = rest.strip_prefix("file:").unwrap_or(rest);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    // A question mark may stand in a file's name.
    let (path, pairs) = rest.rsplit_once('?').filter(|(_, pairs)| pairs.contains('=')).unwrap_or((rest, ""));
    let mut options = FileOptions { path: PathBuf::from(path), immutable: false, text: TextReading::Exact };
    for pair in pairs.split('&').filter(|pair| !pair.is_empty()) {
        match pair {
            "immutable=1" => options.immutable = true,
            "immutable=0" => options.immutable = false,
            "text=exact" => options.text = TextReading::Exact,
            "text=latin1" => options.text = TextReading::Latin1,
            "text=lossy" => options.text = TextReading::Lossy,
            other => {
                return Err(format!(
                    "`{other}` is not an option of a file; there are immutable=1, text=latin1 and text=lossy"
                ));
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_behind_the_path_and_others_are_refused() {
        let file = |path: &str, immutable, text| FileOptions { path: path.into(), immutable, text };
        for (url, read) in [
            ("sqlite:/d/a.db", file("/d/a.db", false, TextReading::Exact)),
            ("sqlite:///d/a.db?immutable=1", file("/d/a.db", true, TextReading::Exact)),
            ("sqlite:a.db?text=lossy&immutable=1", file("a.db", true, TextReading::Lossy)),
            ("sqlite:file:/d/a.db?immutable=1", file("/d/a.db", true, TextReading::Exact)),
            ("sqlite:a.db?text=latin1", file("a.db", false, TextReading::Latin1)),
            ("sqlite:why?.db", file("why?.db", false, TextReading::Exact)),
        ] {
            assert_eq!(read_url(url), Ok(read), "{url}");
        }
        for url in ["sqlite:a.db?mode=rwc", "sqlite:a.db?immutable=yes", "sqlite:a.db?immutable=1&text=utf16"] {
            assert!(read_url(url).unwrap_err().contains("there are immutable=1"), "{url}");
        }
    }
}
