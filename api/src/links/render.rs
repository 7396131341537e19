//! What the page behind a link shows: which file this is and whether to trust it, or why there is none and what to do.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, VARY,
};
use actix_web::{HttpResponse, ResponseError as _};
use chrono::{DateTime, Utc};
use minijinja::value::Serde;
use minijinja::{Value, context};
use model::artifact::Artifact;
use model::job::Job;
use model::locale::Language;
use model::problem::ProblemKind;

use super::pages::PageWriter;
use super::texts::{Refused, Why};
use crate::console::asset_path;
use crate::error::{ApiError, ApiResult};
use crate::service_status::{PartStatus, ServiceHealth, ServicePart, StatusReport};

const STYLE: &str = include_str!("../../web/link.css");

/// Scripts and answers from here only; no script stands in the page itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The query that asks for the file itself, whoever asks.
pub(super) const DOWNLOAD: &str = "download";

impl PageWriter<'_> {
    /// Shows a file with its receipt and a button that fetches it.
    ///
    /// # Errors
    /// `internal`, as of every page, when a template is at fault.
    pub(super) fn show(&self, artifact: &Artifact, report: &str) -> ApiResult {
        let localizer = self.localizer;
        let page = context! {
            title => artifact.filename.as_str(),
            script => self.script(),
            report,
            query => DOWNLOAD,
            complete => artifact.complete,
            rows => localizer.rows(artifact.rows),
            size => localizer.bytes(artifact.bytes),
            exact_rows => localizer.number(artifact.rows),
            exact_bytes => localizer.number(artifact.bytes),
            sha256 => artifact.sha256.as_str(),
            expires => self.moment(artifact.expires_at),
            data_as_of => self.moment(artifact.snapshot_at),
            finished => self.moment(artifact.created_at),
        };
        self.render(HttpResponse::Ok().finish(), "show.html.j2", page)
    }

    /// Tells why there is no file, and what to do. What has no words in the reader's language is said in English.
    pub(crate) fn refuse(&self, error: &ApiError) -> ApiResult {
        let texts = &self.texts.refused;
        let english = self.language == Language::En;
        let (title, text, untranslated) = match why_not(texts, error.kind()) {
            _ if english => (error.kind().describe().1, error.detail(), false),
            Some((title, text)) => (title, text, false),
            None => (texts.other.as_str(), error.detail(), true),
        };
        self.render(error.error_response(), "refused.html.j2", context! { title, text, untranslated })
    }

    /// Tells that the file has gone, with a button that has it made again.
    pub(super) fn expired(&self, token: &str, error: &ApiError) -> ApiResult {
        let page = context! { title => self.texts.expired.title.as_str(), token };
        self.render(error.error_response(), "expired.html.j2", page)
    }

    /// Asks whoever opens a link to sign in.
    pub(super) fn sign_in(&self, token: &str) -> ApiResult {
        let page = context! { title => self.texts.sign_in.title.as_str(), token };
        let error = ApiError::new(ProblemKind::Unauthorized, "");
        self.render(error.error_response(), "sign_in.html.j2", page)
    }

    /// Tells that the report is being made again, and how far it is. The script asks; without scripts the page loads itself anew.
    pub(super) fn making(&self, job: &Job, report: &str) -> ApiResult {
        let rows = job.progress.rows;
        let page = context! {
            title => self.texts.making.title.as_str(),
            script => self.script(),
            report,
            rows,
            exact_rows => self.localizer.number(rows),
        };
        self.render(HttpResponse::Accepted().finish(), "making.html.j2", page)
    }

    /// Tells that making the report again did not work.
    pub(super) fn failed(&self, token: &str, job: &Job, report: &str) -> ApiResult {
        let texts = &self.texts.failed;
        let why = job.error.as_ref().map_or(&texts.cancelled, |problem| what_happened(&self.texts.why, problem.kind));
        let page =
            context! { title => texts.title.as_str(), report, why => why.as_str(), token, job => job.id.to_string() };
        let error = ApiError::new(ProblemKind::LinkExpired, "");
        self.render(error.error_response(), "failed.html.j2", page)
    }

    /// Tells how the service is, part by part.
    pub(crate) fn service_status(&self, report: &StatusReport) -> ApiResult {
        let t = &self.texts.status;
        let all_well = report.parts.iter().all(|part| part.health == ServiceHealth::Up);
        let parts: Vec<Value> = report.parts.iter().map(|part| self.part_status(part)).collect();
        let page = context! {
            title => t.title.as_str(),
            script => self.script(),
            summary => if all_well { t.all_well.as_str() } else { t.some_not.as_str() },
            parts,
            seen => self.moment(report.seen_at),
        };
        self.render(HttpResponse::Ok().finish(), "service_status.html.j2", page)
    }

    fn part_status(&self, part: &PartStatus) -> Value {
        let t = &self.texts.status;
        let (name, texts) = match part.part {
            ServicePart::Submitting => (&t.submitting, [&t.submitting_up, &t.submitting_slow, &t.submitting_down]),
            ServicePart::Running => (&t.running, [&t.running_up, &t.running_slow, &t.running_down]),
            ServicePart::Mailing => (&t.mailing, [&t.mailing_up, &t.mailing_slow, &t.mailing_down]),
        };
        let [up, slow, down] = texts;
        let (class, health, text) = match part.health {
            ServiceHealth::Up => ("up", &t.up, up),
            ServiceHealth::Slow => ("slow", &t.slow, slow),
            ServiceHealth::Down => ("down", &t.down, down),
        };
        context! {
            class, name => name.as_str(), health => health.as_str(), text => text.as_str(), since => self.moment(part.since),
        }
    }

    /// Lays a page out. It says to itself where a request comes from and to nobody else: its form must be known as ours.
    fn render(&self, mut answer: HttpResponse, template: &str, page: Value) -> ApiResult {
        let style = Value::from_safe_string(STYLE.to_owned());
        let page =
            context! { t => Serde(self.texts), style, root => Value::from_safe_string(self.root.to_owned()), ..page };
        let html = self.templates.get_template(template).and_then(|template| template.render(page));
        let html = html.map_err(|error| ApiError::internal("render a page of a link", &format!("{error:#}")))?;
        let fixed: [(HeaderName, HeaderValue); 5] = [
            (CONTENT_TYPE, HTML),
            (CONTENT_LANGUAGE, HeaderValue::from_static(self.language.as_str())),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (VARY, HeaderValue::from_static("accept, accept-language")),
        ];
        for (name, value) in fixed {
            answer.headers_mut().insert(name, value);
        }
        Ok(answer.set_body(html).map_into_boxed_body())
    }

    /// The address of the pages' script, which needs no escaping.
    fn script(&self) -> Value {
        Value::from_safe_string(asset_path(self.root, "link.js"))
    }

    /// A moment, for programs and for people.
    fn moment(&self, time: DateTime<Utc>) -> Value {
        context! { iso => time.to_rfc3339(), text => self.localizer.date_time(time) }
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

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use model::artifact::Format;
    use model::locale::{Conventions, Localizer, time_zone};
    use uuid::Uuid;

    use super::super::pages::read_templates;
    use super::super::texts;
    use super::*;

    fn artifact() -> Artifact {
        Artifact {
            id: Uuid::nil(),
            job_id: Uuid::nil(),
            attempt: 1,
            format: Format::Csv,
            object_key: "key".to_owned(),
            filename: "a & <b>.csv".to_owned(),
            bytes: 1234,
            rows: 2,
            sha256: "00ff".to_owned(),
            complete: true,
            snapshot_at: DateTime::UNIX_EPOCH,
            created_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            link_id: Uuid::nil(),
            link_hash: None,
        }
    }

    /// Writes a page in English and returns what stands between its head and its foot.
    async fn main_of(write: impl Fn(PageWriter<'_>) -> ApiResult) -> String {
        let templates = read_templates().unwrap();
        let texts = texts::read(Language::En).unwrap();
        let conventions = Conventions::of(Language::En).unwrap();
        let localizer = Localizer { conventions: &conventions, zone: time_zone("UTC").unwrap() };
        let pages = PageWriter { templates: &templates, language: Language::En, texts: &texts, localizer, root: "../" };
        let answer = write(pages).unwrap();
        let html = String::from_utf8(to_bytes(answer.into_body()).await.unwrap().to_vec()).unwrap();
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"), "{html}");
        let (_, main) = html.split_once("<main>").unwrap();
        main.split_once("</main><footer>Waitless</footer></body></html>").unwrap().0.to_owned()
    }

    #[actix_web::test]
    async fn the_page_of_a_file_holds_no_markup_but_its_own() {
        let main = main_of(|pages| pages.show(&artifact(), "\"Sales\"")).await;
        let time = "<time datetime=\"1970-01-01T00:00:00+00:00\">";
        let begin = "<p class=\"quiet\">&quot;Sales&quot;</p><h1>a &amp; &lt;b&gt;.csv</h1><p>2 rows · ";
        assert!(main.starts_with(begin), "{main}");
        let button =
            "</p><a class=\"button\" href=\"?download\" download>Download</a><p class=\"quiet\">This link works until ";
        assert!(main.contains(&format!("{button}{time}")), "{main}");
        let facts = "</p><details><summary>Receipt</summary><dl><div><dt>SHA-256</dt><dd><code>00ff</code></dd></div>";
        assert!(main.contains(facts) && main.ends_with("</time></dd></div></dl></details>"), "{main}");
        let cut = main_of(|pages| pages.show(&Artifact { complete: false, ..artifact() }, "Sales")).await;
        assert!(cut.contains("<p class=\"warning\">Rows are missing") && cut.contains("<dd>2, not all</dd>"), "{cut}");
    }

    #[actix_web::test]
    async fn a_page_without_a_file_says_what_to_do() {
        let gone = ApiError::new(ProblemKind::LinkExpired, "gone");
        let expired = main_of(|pages| pages.expired("token", &gone)).await;
        let form = "<form method=\"post\" action=\"../d/token/again\"><button class=\"button\" type=\"submit\">Make it again</button>\
                    </form><p class=\"quiet\">";
        assert!(expired.starts_with("<h1>This file is no longer kept</h1><p>") && expired.contains(form), "{expired}");
        let sign_in = main_of(|pages| pages.sign_in("token")).await;
        assert!(
            sign_in.ends_with("</p><a class=\"button\" href=\"../login?next=%2Fd%2Ftoken\">Sign in</a>"),
            "{sign_in}"
        );
        let refused = main_of(|pages| pages.refuse(&gone)).await;
        assert!(refused.starts_with("<h1>") && refused.ends_with("</h1><p>gone</p>"), "{refused}");
    }
}
