//! The header that makes a browser save a file under its name.

/// Returns a `Content-Disposition` value for a download named `filename`: an ASCII form for old clients and the full name
/// (RFC 6266). Path separators, quotes and control characters never get through.
#[must_use]
pub fn attachment(filename: &str) -> String {
    let clean: String = filename
        .chars()
        .filter(|c| !c.is_control())
        .map(|c| if matches!(c, '/' | '\\' | '"' | ';' | '%') { '_' } else { c })
        .take(150)
        .collect();
    let clean = if clean.trim_matches(['.', ' ']).is_empty() { "report".to_owned() } else { clean };
    let ascii: String = clean.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    if ascii == clean {
        return format!("attachment; filename=\"{ascii}\"");
    }
    let mut encoded = String::new();
    for byte in clean.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn a_file_name_cannot_leave_its_quotes() {
        assert_eq!(attachment("pricing 2026.csv"), "attachment; filename=\"pricing 2026.csv\"");
        assert_eq!(attachment("a\"; x=\r\n/../b.csv"), "attachment; filename=\"a__ x=_.._b.csv\"");
        assert_eq!(
            attachment("Umsätze.csv"),
            "attachment; filename=\"Ums_tze.csv\"; filename*=UTF-8''Ums%C3%A4tze.csv"
        );
        assert_eq!(attachment("\n"), "attachment; filename=\"report\"");
    }
}
