//! The page behind a link, for people: which file this is and whether to trust it, or why there is none and what to do.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, ResponseError as _};
use chrono::{DateTime, Utc};
use shared::artifact::Artifact;
use shared::problem::ProblemKind;
use uuid::Uuid;

use crate::problem::Fault;

const STYLE: &str = include_str!("../../web/link.css");

/// No scripts, nothing loaded from anywhere, nothing sent anywhere.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The query that asks for the file itself, whoever asks.
pub(super) const DOWNLOAD: &str = "download";

/// Shows a file with its receipt and a button that fetches it.
#[must_use]
pub(super) fn show(artifact: &Artifact, report: &str) -> HttpResponse {
    let warning = if artifact.complete {
        ""
    } else {
        "<p class=\"warning\">Rows are missing: a limit of the report cut this file.</p>"
    };
    let all = if artifact.complete { "every one that the report selects" } else { "not all" };
    let main = format!(
        "<p class=\"quiet\">{report}</p><h1>{filename}</h1><p>{rows} · {size}</p>{warning}\
         <a class=\"button\" href=\"?{DOWNLOAD}\" download>Download</a>\
         <p class=\"quiet\">This link works until {until}, any number of times.</p>\
         <details><summary>Receipt</summary><dl>{facts}</dl></details>",
        report = escape(report),
        filename = escape(&artifact.filename),
        rows = rows(artifact.rows),
        size = size(artifact.bytes),
        until = moment(artifact.expires_at),
        facts = [
            fact("SHA-256", &format!("<code>{}</code>", escape(&artifact.sha256))),
            fact("Rows", &format!("{}, {all}", count(artifact.rows))),
            fact("Size", &format!("{} bytes", count(artifact.bytes))),
            fact("Data as of", &moment(artifact.snapshot_at)),
            fact("Finished", &moment(artifact.created_at)),
        ]
        .concat(),
    );
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, HTML)).insert_header((CONTENT_SECURITY_POLICY, POLICY));
    answer.body(page(&artifact.filename, &main))
}

/// Tells why there is no file, and what to do. Where the job is known, the way there is shown: whoever made the report can
/// make it again with one click.
#[must_use]
pub(super) fn refuse(fault: &Fault, job: Option<Uuid>) -> HttpResponse {
    let (_, title, _) = fault.kind().describe();
    let again = match (fault.kind(), job) {
        (ProblemKind::LinkExpired | ProblemKind::ArtifactExpired, Some(job)) => format!(
            "<a class=\"button\" href=\"/jobs/{job}\">Make it again</a>\
             <p class=\"quiet\">This opens the job, for whoever asked for it: one click there makes the report again, with the \
             same parameters. Was the link sent to you? Then ask the sender.</p>"
        ),
        _ => String::new(),
    };
    let main = format!("<h1>{}</h1><p>{}</p>{again}", escape(title), escape(fault.detail()));
    let mut answer = fault.error_response();
    answer.headers_mut().insert(CONTENT_TYPE, HTML);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    answer.set_body(page(title, &main)).map_into_boxed_body()
}

fn page(title: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>{main}</main><footer>Waitless</footer></body></html>\n",
        escape(title)
    )
}

fn fact(term: &str, html: &str) -> String {
    format!("<div><dt>{term}</dt><dd>{html}</dd></div>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn moment(time: DateTime<Utc>) -> String {
    let shown = time.format("%-d %B %Y, %H:%M UTC");
    format!("<time datetime=\"{}\">{shown}</time>", time.to_rfc3339())
}

fn rows(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "row" } else { "rows" })
}

/// Writes a number with its thousands apart.
fn count(number: u64) -> String {
    shared::locale::grouped(number, ",")
}

/// Writes a size in the units of the mails and the console.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = bytes / (unit / 10);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [size(999), size(1000), size(26_949), size(2_500_000_000)],
            ["999 bytes", "1.0 kB", "26.9 kB", "2.5 GB"]
        );
        assert_eq!([rows(1), rows(2)], ["1 row", "2 rows"]);
    }

    #[test]
    fn what_comes_from_elsewhere_stays_text() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
