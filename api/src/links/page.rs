//! The page behind a link, for people: which file this is and whether to trust it, or why there is none and what to do.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, VARY,
};
use actix_web::{HttpResponse, ResponseError as _};
use chrono::{DateTime, Utc};
use model::artifact::Artifact;
use model::job::Job;
use model::locale::{Language, fill};
use model::problem::ProblemKind;

use super::words::{Refused, Speech, Why};
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

/// What stands where in the title and the head of a page.
struct Page<'a> {
    title: &'a str,
    head: String,
    main: String,
}

impl Speech<'_> {
    /// Shows a file with its receipt and a button that fetches it.
    pub(super) fn show(&self, artifact: &Artifact, report: &str) -> HttpResponse {
        let (t, writer) = (&self.t.show, self.writer);
        let warning =
            if artifact.complete { String::new() } else { format!("<p class=\"warning\">{}</p>", escape(&t.missing)) };
        let all = if artifact.complete { &t.every } else { &t.not_every };
        let facts = [
            ("SHA-256", format!("<code>{}</code>", escape(&artifact.sha256))),
            (&t.rows, escape(&fill(all, &[("rows", &writer.number(artifact.rows))]))),
            (&t.size, format!("{} B", writer.number(artifact.bytes))),
            (&t.data_as_of, self.moment(artifact.snapshot_at)),
            (&t.finished, self.moment(artifact.created_at)),
        ];
        let facts = facts.map(|(term, html)| format!("<div><dt>{}</dt><dd>{html}</dd></div>", escape(term))).concat();
        let main = format!(
            "<p class=\"quiet\">{report}</p><h1>{filename}</h1><p>{rows} · {size}</p>{warning}\
             <a class=\"button\" href=\"?{DOWNLOAD}\" download>{download}</a>\
             <p class=\"quiet\">{until}</p><details><summary>{receipt}</summary><dl>{facts}</dl></details>",
            report = escape(report),
            filename = escape(&artifact.filename),
            rows = escape(&writer.rows(artifact.rows)),
            size = escape(&writer.bytes(artifact.bytes)),
            download = escape(&t.download),
            until = fill(&escape(&t.until), &[("until", &self.moment(artifact.expires_at))]),
            receipt = escape(&t.receipt),
        );
        let page = Page { title: &artifact.filename, head: script(), main };
        self.answer(HttpResponse::Ok().finish(), &page)
    }

    /// Tells why there is no file, and what to do. What has no words in the reader's language is said in English.
    pub(super) fn refuse(&self, fault: &Fault) -> HttpResponse {
        let t = &self.t.refused;
        let (title, text) = match why_not(t, fault.kind()) {
            Some((title, text)) if self.language != Language::En => (title, escape(text)),
            _ if self.language == Language::En => (fault.kind().describe().1, escape(fault.detail())),
            _ => (t.other.as_str(), format!("<span lang=\"en\">{}</span>", escape(fault.detail()))),
        };
        let main = format!("<h1>{}</h1><p>{text}</p>", escape(title));
        self.answer(fault.error_response(), &Page { title, head: String::new(), main })
    }

    /// Tells that the file has gone, with a button that has it made again.
    pub(super) fn expired(&self, token: &str, fault: &Fault) -> HttpResponse {
        let t = &self.t.expired;
        let main = format!(
            "<h1>{}</h1><p>{}</p>{}<p class=\"quiet\">{}</p>",
            escape(&t.title),
            escape(&t.text),
            button(token, &t.button),
            escape(&t.note)
        );
        self.answer(fault.error_response(), &Page { title: &t.title, head: String::new(), main })
    }

    /// Asks whoever opens a link to sign in.
    pub(super) fn sign_in(&self, token: &str) -> HttpResponse {
        let t = &self.t.sign_in;
        let main = format!(
            "<h1>{}</h1><p>{}</p><a class=\"button\" href=\"/login?next=%2Fd%2F{}\">{}</a>",
            escape(&t.title),
            escape(&t.text),
            escape(token),
            escape(&t.button)
        );
        let fault = Fault::new(ProblemKind::Unauthorized, "");
        self.answer(fault.error_response(), &Page { title: &t.title, head: String::new(), main })
    }

    /// Tells that the report is being made again, and how far it is. The script asks; without scripts the page loads itself anew.
    pub(super) fn making(&self, job: &Job, report: &str) -> HttpResponse {
        let t = &self.t.making;
        let so_far = |rows| {
            let text = if rows == 1 { &t.row_so_far } else { &t.rows_so_far };
            escape(&fill(text, &[("n", &self.writer.number(rows))]))
        };
        let rows = if job.progress.rows == 0 { String::new() } else { so_far(job.progress.rows) };
        let main = format!(
            "<p class=\"quiet\">{report}</p><h1>{title}</h1><p>{text}</p>\
             <div class=\"progress\" role=\"progressbar\" aria-label=\"{progress}\"><div></div></div>\
             <p class=\"quiet\" role=\"status\" data-row=\"{row}\" data-rows=\"{several}\" data-waiting=\"{waiting}\" \
             data-unreachable=\"{unreachable}\">{rows}</p><noscript><p class=\"quiet\">{again}</p></noscript>",
            report = escape(report),
            title = escape(&t.title),
            text = escape(&t.text),
            progress = escape(&t.progress),
            row = escape(&t.row_so_far),
            several = escape(&t.rows_so_far),
            waiting = escape(&t.waiting),
            unreachable = escape(&t.unreachable),
            again = escape(&t.again),
        );
        let head = format!("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>{}", script());
        self.answer(HttpResponse::Accepted().finish(), &Page { title: &t.title, head, main })
    }

    /// Tells that making the report again did not work.
    pub(super) fn failed(&self, token: &str, job: &Job, report: &str) -> HttpResponse {
        let t = &self.t.failed;
        let why = job.error.as_ref().map_or(&t.cancelled, |problem| what_happened(&self.t.why, problem.kind));
        let main = format!(
            "<p class=\"quiet\">{}</p><h1>{}</h1><p>{}</p>{}<p class=\"quiet\">{}</p>",
            escape(report),
            escape(&t.title),
            escape(why),
            button(token, &t.button),
            fill(&escape(&t.note), &[("job", &format!("<code>{}</code>", job.id))]),
        );
        let fault = Fault::new(ProblemKind::LinkExpired, "");
        self.answer(fault.error_response(), &Page { title: &t.title, head: String::new(), main })
    }

    /// Lays a page out. It says to itself where a request comes from and to nobody else: its form must be known as ours.
    fn answer(&self, mut answer: HttpResponse, page: &Page<'_>) -> HttpResponse {
        let html = format!(
            "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
             <meta name=\"referrer\" content=\"same-origin\"><title>{title}</title><style>{STYLE}</style>{head}</head>\
             <body><main>{main}</main><footer>Waitless</footer></body></html>\n",
            lang = self.t.lang,
            title = escape(page.title),
            head = page.head,
            main = page.main,
        );
        let language = HeaderValue::from_static(self.language.as_str());
        let fixed: [(HeaderName, HeaderValue); 5] = [
            (CONTENT_TYPE, HTML),
            (CONTENT_LANGUAGE, language),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (VARY, HeaderValue::from_static("accept, accept-language")),
        ];
        for (name, value) in fixed {
            answer.headers_mut().insert(name, value);
        }
        answer.set_body(html).map_into_boxed_body()
    }

    /// By the tenant's clock; the script writes it anew by the reader's.
    fn moment(&self, time: DateTime<Utc>) -> String {
        format!("<time datetime=\"{}\">{}</time>", time.to_rfc3339(), escape(&self.writer.date_time(time)))
    }
}

/// Title and text for what links are refused for.
fn why_not(t: &Refused, kind: ProblemKind) -> Option<(&str, &str)> {
    match kind {
        ProblemKind::LinkNotFound => Some((&t.unknown, &t.unknown_text)),
        ProblemKind::LinkRevoked => Some((&t.revoked, &t.revoked_text)),
        ProblemKind::Forbidden => Some((&t.forbidden, &t.forbidden_text)),
        ProblemKind::ReportNotFound => Some((&t.not_offered, &t.not_offered_text)),
        ProblemKind::ValidationFailed => Some((&t.changed, &t.changed_text)),
        ProblemKind::TooManyRequests => Some((&t.often, &t.often_text)),
        ProblemKind::Unavailable | ProblemKind::StorageUnavailable => Some((&t.later, &t.later_text)),
        _ => None,
    }
}

/// What happened to a report that failed.
const fn what_happened(t: &Why, kind: ProblemKind) -> &String {
    match kind {
        ProblemKind::SourceUnavailable => &t.source,
        ProblemKind::StorageUnavailable => &t.storage,
        ProblemKind::TimedOut => &t.slow,
        ProblemKind::TooManyRows | ProblemKind::TooManyBytes => &t.large,
        ProblemKind::QueryFailed => &t.query,
        _ => &t.other,
    }
}

fn script() -> String {
    format!("<script type=\"module\" src=\"{}\"></script>", asset_path("link.js"))
}

/// A form, so that it works without scripts and no scanner that only looks ever presses it.
fn button(token: &str, label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/d/{}/again\"><button class=\"button\" type=\"submit\">{}</button></form>",
        escape(token),
        escape(label)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_stays_text() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
