//! The page behind a link, for people: which file this is and whether to trust it, or why there is none and what to do.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, ResponseError as _};
use chrono::{DateTime, Utc};
use shared::artifact::Artifact;
use shared::job::Job;
use shared::problem::ProblemKind;

use crate::console::asset_path;
use crate::problem::Fault;

const STYLE: &str = include_str!("../../web/link.css");

/// Scripts and answers from here only; no script stands in the page itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
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
         <p class=\"quiet\">This link works until {until}, any number of times. After that it can make the report again.</p>\
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
    answer.insert_header((CACHE_CONTROL, "no-store")).body(page(&artifact.filename, "", &main))
}

/// Tells why there is no file, and what to do.
#[must_use]
pub(super) fn refuse(fault: &Fault) -> HttpResponse {
    let (_, title, _) = fault.kind().describe();
    answer_fault(fault, title, &format!("<h1>{}</h1><p>{}</p>", escape(title), escape(fault.detail())))
}

/// Tells that the file has gone, with a button that has it made again.
#[must_use]
pub(super) fn expired(token: &str, fault: &Fault) -> HttpResponse {
    let main = format!(
        "<h1>This file is no longer kept</h1>\
         <p>Files are removed after a while. The report can be made again, with the same parameters and the data of today.</p>{}\
         <p class=\"quiet\">This page tells you when it is ready; the same link leads to it then.</p>",
        button(token, "Make it again")
    );
    answer_fault(fault, "This file is no longer kept", &main)
}

/// Asks whoever opens a link to sign in.
#[must_use]
pub(super) fn sign_in(token: &str) -> HttpResponse {
    let main = format!(
        "<h1>Sign in to open this link</h1>\
         <p>This report is for people who are signed in, also for those who have the link.</p>\
         <a class=\"button\" href=\"/login?next=%2Fd%2F{}\">Sign in</a>",
        escape(token)
    );
    let fault = Fault::new(ProblemKind::Unauthorized, "");
    answer_fault(&fault, "Sign in to open this link", &main)
}

/// Tells that the report is being made again, and how far it is. The script asks; without scripts the page loads itself anew.
#[must_use]
pub(super) fn making(job: &Job, report: &str) -> HttpResponse {
    let rows = match job.progress.rows {
        0 => String::new(),
        number => format!("{} so far", rows(number)),
    };
    let main = format!(
        "<p class=\"quiet\">{}</p><h1>It is being made again</h1>\
         <p>You can close this page: the link leads to the file once it is ready.</p>\
         <div class=\"progress\" role=\"progressbar\" aria-label=\"Progress\"><div></div></div>\
         <p class=\"quiet\" role=\"status\">{rows}</p><noscript><p class=\"quiet\">This page looks again every five seconds.</p></noscript>",
        escape(report)
    );
    let script = format!(
        "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript><script type=\"module\" src=\"{}\"></script>",
        asset_path("link.js")
    );
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((CONTENT_TYPE, HTML)).insert_header((CONTENT_SECURITY_POLICY, POLICY));
    answer.insert_header((CACHE_CONTROL, "no-store")).body(page("It is being made again", &script, &main))
}

/// Tells that making the report again did not work.
#[must_use]
pub(super) fn failed(token: &str, job: &Job, report: &str) -> HttpResponse {
    let detail = job.error.as_ref().map_or("It was cancelled.", |problem| problem.kind.describe().1);
    let main = format!(
        "<p class=\"quiet\">{}</p><h1>It could not be made again</h1><p>{}</p>{}\
         <p class=\"quiet\">If it fails again, tell the people who look after this report. Job <code>{}</code></p>",
        escape(report),
        escape(detail),
        button(token, "Try once more"),
        job.id
    );
    let fault = Fault::new(ProblemKind::LinkExpired, "");
    answer_fault(&fault, "It could not be made again", &main)
}

/// A form, so that it works without scripts and no scanner that only looks ever presses it.
fn button(token: &str, label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/d/{}/again\"><button class=\"button\" type=\"submit\">{label}</button></form>",
        escape(token)
    )
}

fn answer_fault(fault: &Fault, title: &str, main: &str) -> HttpResponse {
    let mut answer = fault.error_response();
    answer.headers_mut().insert(CONTENT_TYPE, HTML);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.set_body(page(title, "", main)).map_into_boxed_body()
}

/// Lays a page out. It says to itself where a request comes from and to nobody else: its form must be known as ours.
fn page(title: &str, head: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <meta name=\"referrer\" content=\"same-origin\"><title>{}</title><style>{STYLE}</style>{head}</head><body><main>{main}</main><footer>Waitless</footer></body></html>\n",
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
