//! A mail as its reader would see it.

use base64::Engine;

/// A mail the server has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The whole mail as it came, lines ending in CR LF.
    pub source: String,
}

/// Headers and body of a mail, or of one of its parts.
struct Part {
    headers: Vec<(String, String)>,
    body: String,
}

impl Mail {
    /// A header, unfolded and decoded; the first of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        Part::parse(&self.source).header(name).map(decode_words)
    }

    /// The decoded subject; empty if there is none.
    #[must_use]
    pub fn subject(&self) -> String {
        self.header("Subject").unwrap_or_default()
    }

    /// The `Message-ID`; empty if there is none.
    #[must_use]
    pub fn message_id(&self) -> String {
        self.header("Message-ID").unwrap_or_default()
    }

    /// The plain text, decoded; empty if there is none.
    #[must_use]
    pub fn text(&self) -> String {
        self.part("text/plain")
    }

    /// The HTML, decoded; empty if there is none.
    #[must_use]
    pub fn html(&self) -> String {
        self.part("text/html")
    }

    fn part(&self, media_type: &str) -> String {
        let parts = Part::parse(&self.source).leaves();
        let found = parts.iter().find(|part| part.content_type().to_ascii_lowercase().starts_with(media_type));
        found.map(Part::decoded).unwrap_or_default()
    }
}

impl Part {
    fn parse(source: &str) -> Part {
        let (head, body) = source.split_once("\r\n\r\n").unwrap_or((source, ""));
        let unfolded = head.replace("\r\n\t", " ").replace("\r\n ", " ");
        let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Part { headers: unfolded.split("\r\n").filter_map(header).collect(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn content_type(&self) -> &str {
        self.header("Content-Type").unwrap_or("text/plain")
    }

    /// The parts that hold something themselves.
    fn leaves(self) -> Vec<Part> {
        let boundary = self.content_type().split("boundary=").nth(1).map(|rest| {
            let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
            let plain = rest.split(';').next().unwrap_or_default().trim();
            quoted.map_or(plain, |(boundary, _)| boundary).to_owned()
        });
        let Some(boundary) = boundary else { return vec![self] };
        let marker = format!("--{boundary}");
        let parts = self.body.split(&marker).skip(1).take_while(|part| !part.starts_with("--"));
        parts
            .flat_map(|part| {
                let part = part.strip_prefix("\r\n").unwrap_or(part);
                Part::parse(part.strip_suffix("\r\n").unwrap_or(part)).leaves()
            })
            .collect()
    }

    fn decoded(&self) -> String {
        let encoding = self.header("Content-Transfer-Encoding").unwrap_or_default().to_ascii_lowercase();
        match encoding.as_str() {
            "quoted-printable" => decode_quoted(&self.body.replace("=\r\n", "")),
            "base64" => decode_base64(&self.body),
            _ => self.body.clone(),
        }
    }
}

fn decode_quoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'=').and_then(|two| std::str::from_utf8(two).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn decode_base64(text: &str) -> String {
    let compact: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(compact).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Decodes `=?utf-8?b?…?=` and `=?utf-8?q?…?=`.
fn decode_words(value: &str) -> String {
    let mut decoded = String::new();
    // Blanks between two encoded words do not count.
    let mut rest = value.to_owned();
    while let Some((before, word, after)) = next_word(&rest) {
        if decoded.is_empty() || !before.trim().is_empty() {
            decoded.push_str(&before);
        }
        decoded.push_str(&word);
        rest = after;
    }
    decoded + &rest
}

fn next_word(text: &str) -> Option<(String, String, String)> {
    let (before, rest) = text.split_once("=?")?;
    let (_charset, rest) = rest.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, after) = rest.split_once("?=")?;
    let base64 = encoding.eq_ignore_ascii_case("b");
    let word = if base64 { decode_base64(content) } else { decode_quoted(&content.replace('_', " ")) };
    Some((before.to_owned(), word, after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_a_mail_are_read() {
        let source = "Subject: a =?utf-8?q?=C3=A9_b?=\r\n =?utf-8?b?w6k=?= end\r\nMessage-ID: <1@x>\r\n\
            Content-Type: multipart/alternative;\r\n boundary=\"xx\"\r\n\r\n--xx\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: base64\r\n\r\naGFs\r\nbG8=\r\n--xx\r\nContent-Type: text/html\r\n\r\n<p>=41</p>\r\n--xx--\r\n";
        let mail = Mail { from: String::new(), to: Vec::new(), source: source.to_owned() };
        assert_eq!(mail.subject(), "a é bé end");
        assert_eq!(mail.message_id(), "<1@x>");
        assert_eq!(mail.text(), "hallo");
        assert_eq!(mail.html(), "<p>=41</p>");
        assert_eq!(mail.header("absent"), None);
    }
}
