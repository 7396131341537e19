//! The mail about a job, as it stands in the folder of mails.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

const OUTAGE_LIMIT: Duration = Duration::from_secs(30);
const RETRY_INTERVAL: Duration = Duration::from_millis(25);

/// What a reader of the mail sees first, and what they click.
pub(super) struct ReceivedMail {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) link: String,
}

/// Waits for the mail that holds `link`.
///
/// # Errors
/// When it does not come.
pub(super) async fn wait_for_mail(folder: &Path, link: &str) -> anyhow::Result<ReceivedMail> {
    let started = Instant::now();
    while started.elapsed() < OUTAGE_LIMIT {
        for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                let text = String::from_utf8_lossy(&text);
                if let Some(mail) = read(&text, link) {
                    return Ok(mail);
                }
            }
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
    bail!("no mail with the link {link} came into {} within {OUTAGE_LIMIT:?}", folder.display())
}

fn read(text: &str, link: &str) -> Option<ReceivedMail> {
    let body = unfold_quoted_printable(text);
    if !body.contains(link) {
        return None;
    }
    Some(ReceivedMail { to: header(text, "To")?, subject: header(text, "Subject")?, link: link.to_owned() })
}

/// Reads a header field that may go on in the next lines.
fn header(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().take_while(|line| !line.is_empty());
    let prefix = format!("{name}:");
    let mut value = lines.find_map(|line| line.strip_prefix(&prefix))?.trim().to_owned();
    for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push(' ');
        value.push_str(more.trim());
    }
    Some(value)
}

/// Undoes what mail does to long lines and equals signs; both may stand in a link.
fn unfold_quoted_printable(text: &str) -> String {
    text.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_where_the_line_was_folded() {
        let text = "To: a@b.example\r\nSubject: Your report\r\n is ready\r\n\r\nOpen http://x/d/ab=\r\nc=3D1 now\r\n";
        let mail = read(text, "http://x/d/abc=1").unwrap();
        assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("a@b.example", "Your report is ready"));
        assert!(read(text, "http://x/d/other").is_none());
    }
}
