//! The facts in words: numbers, sizes and times as the recipient writes them.

use std::time::Duration;

use configuration::Secrets;
use model::artifact::Artifact;
use model::problem::Problem;
use model::refusal::Refusal;
use report::LinkAccess;
use serde::Serialize;

use super::details::{self, Detail};
use super::facts::{Facts, NotificationKind};
use super::messages::{Messages, fill};
use super::recipient_locale::RecipientLocale;
use super::single_line::single_line;
use super::{advice, lateness};

/// What one recipient is told, in their language. Every text in it is one line without control characters, and none is markup.
#[derive(Debug, Clone, Serialize)]
pub struct Content<'a> {
    /// The catalogue of the recipient's language.
    t: &'a Messages,
    /// What it is about, for a subject line.
    pub subject: String,
    /// How the report stands, in a word or two.
    pub status: &'a str,
    /// What a list shows beside the subject.
    pub preview: String,
    /// The report's title.
    pub title: String,
    /// The report's description; may be empty.
    pub description: String,
    /// The job's id.
    pub job_id: String,
    /// Where the job is shown, to whoever may see it.
    pub job_url: String,
    /// Parameters, and what is known of the run.
    pub details: Vec<Detail>,
    /// Files to download, one a format.
    pub files: Vec<FileLink>,
    /// Formats without a file, because they cannot hold the rows.
    pub missing: Vec<MissingFile>,
    /// Whether a limit cut one of the files.
    pub incomplete: bool,
    /// Whether the links demand a login.
    pub sign_in: bool,
    /// What went wrong, where it did.
    pub failure: Option<FailureText>,
    /// That the files came late, in one line; empty where they did not.
    pub late: String,
}

/// A file to download.
#[derive(Debug, Clone, Serialize)]
pub struct FileLink {
    /// As the browser will save it.
    pub name: String,
    /// What stands on its button.
    pub download: String,
    /// Its size, with a unit.
    pub size: String,
    /// Its rows, counted.
    pub rows: String,
    /// False where a limit cut it.
    pub complete: bool,
    /// Where it is.
    pub link: String,
}

/// A file that could not be made while others were.
#[derive(Debug, Clone, Serialize)]
pub struct MissingFile {
    /// That there is none, and why.
    pub what: String,
    /// For those who look after the report, in English.
    pub detail: String,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize)]
pub struct FailureText {
    /// What happened.
    pub what: String,
    /// For those who look after the report, in English.
    pub detail: String,
    /// What the recipient can do.
    pub advice: String,
}

/// Where links lead, and what they are made from.
pub(super) struct LinkBase<'a> {
    pub(super) public_url: &'a str,
    pub(super) secrets: &'a Secrets,
}

impl<'a> Content<'a> {
    /// Returns the language it is in, as a BCP 47 tag.
    #[must_use]
    pub fn language(&self) -> &'a str {
        &self.t.lang
    }

    /// Says that the report has no rows.
    pub(super) fn say_that_it_is_empty(&mut self) {
        let texts = &self.t.empty;
        self.subject = fill(&texts.subject, &[("title", &self.title)]);
        self.status = &texts.status;
        self.preview.clone_from(&texts.text);
        self.description.clone_from(&texts.text);
    }

    /// Puts the facts in words.
    pub(super) fn of(
        facts: &Facts,
        locale: RecipientLocale<'a>,
        links: &LinkBase<'_>,
        late_after: Option<Duration>,
    ) -> Self {
        let (job, t) = (&facts.job, locale.t);
        let title = single_line(facts.report.as_ref().map_or(&job.report, |report| &report.title), 120);
        let files: Vec<FileLink> = job.artifacts.iter().map(|artifact| file(artifact, locale, links)).collect();
        let incomplete = files.iter().any(|file| !file.complete);
        let missing: Vec<MissingFile> = job.refused.iter().map(|refusal| missing(refusal, t)).collect();
        let failure = match &facts.kind {
            NotificationKind::Failed(problem) => Some(explain(problem, t)),
            NotificationKind::Ready | NotificationKind::Late(..) => None,
        };
        let (subject, status) = match &facts.kind {
            NotificationKind::Failed(_) => (&t.failed.subject, &t.failed.status),
            NotificationKind::Late(..) => (&t.late.subject, &t.late.status),
            // That rows are missing is told of those files, too, below.
            NotificationKind::Ready if !missing.is_empty() => (&t.part.subject, &t.part.status),
            NotificationKind::Ready if incomplete => (&t.cut.subject, &t.cut.status),
            NotificationKind::Ready => (&t.ready.subject, &t.ready.status),
        };
        let preview = match (&facts.kind, &failure, files.as_slice()) {
            (NotificationKind::Late(..), ..) => t.late.preview.clone(),
            (_, Some(failure), _) => failure.what.clone(),
            (_, None, [file]) => {
                fill(&t.ready.preview_one, &[("file", &file.name), ("rows", &file.rows), ("size", &file.size)])
            }
            (_, None, files) => fill(&t.ready.preview_many, &[("n", &files.len().to_string())]),
        };
        Self {
            t,
            subject: fill(subject, &[("title", &title)]),
            status,
            preview,
            title,
            description: single_line(facts.report.as_ref().map_or("", |report| &report.description), 300),
            job_id: job.id.to_string(),
            job_url: format!("{}/jobs/{}", links.public_url, job.id),
            details: details::of(facts, locale),
            incomplete,
            files,
            missing,
            sign_in: facts.report.as_ref().is_some_and(|report| report.links == LinkAccess::Tenant),
            failure,
            late: lateness::note(job, locale, late_after).unwrap_or_default(),
        }
    }
}

fn file(artifact: &Artifact, locale: RecipientLocale<'_>, links: &LinkBase<'_>) -> FileLink {
    FileLink {
        name: single_line(&artifact.filename, 120),
        download: fill(&locale.t.ready.download, &[("format", artifact.format.label())]),
        size: locale.bytes(artifact.bytes),
        rows: locale.rows(artifact.rows),
        complete: artifact.complete,
        link: format!("{}/d/{}", links.public_url, artifact.link_token(links.secrets.all())),
    }
}

fn explain(problem: &Problem, t: &Messages) -> FailureText {
    let (what, advice) = advice::after(problem.kind, t);
    FailureText { what: what.to_owned(), detail: single_line(&problem.detail, 600), advice: advice.to_owned() }
}

fn missing(refusal: &Refusal, t: &Messages) -> MissingFile {
    let heading = fill(&t.part.missing, &[("format", refusal.format.label())]);
    let what = format!("{heading} {}", advice::missing(refusal.problem.kind, t));
    MissingFile { what, detail: single_line(&refusal.problem.detail, 600) }
}
