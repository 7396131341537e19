//! Says the facts in words: numbers, sizes and times as the reader writes them.

use std::time::Duration;

use model::access::link_token;
use model::artifact::{Artifact, Format};
use model::job::Job;
use model::problem::{Problem, ProblemKind};
use report::{LinkAccess, ParamSpec, ParamType, ReportDefinition};
use serde::Serialize;
use serde_json::Value;

use super::advice;
use super::brand::Look;
use super::facts::{Facts, News};
use super::human::{self, Human};
use super::lateness;
use super::messages::{Messages, fill};

/// What the templates are given. Every text in it is one line without control characters.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    /// The catalogue of the reader's language.
    t: &'a Messages,
    look: Look,
    fonts: Fonts,
    subject: String,
    status: &'a str,
    preview: String,
    title: String,
    description: String,
    job_id: String,
    job_url: String,
    facts: Vec<Fact>,
    files: Vec<File>,
    incomplete: bool,
    sign_in: bool,
    failure: Option<Failure>,
    /// One line in a mail with files: that they came late.
    late: String,
    template: &'static str,
}

/// Fonts that readers' machines have.
#[derive(Debug, Serialize)]
struct Fonts {
    sans: &'static str,
    serif: &'static str,
}

const SANS: &str = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,'PingFang SC','Microsoft YaHei',\
                    'Noto Sans CJK SC',sans-serif";
const SERIF: &str = "'Iowan Old Style','Palatino Linotype',Palatino,Georgia,'Times New Roman',serif";

/// One line of a table.
#[derive(Debug, Serialize)]
struct Fact {
    label: String,
    value: String,
    hidden: bool,
}

impl Fact {
    fn new(label: &str, value: String) -> Self {
        Self { label: label.to_owned(), value, hidden: false }
    }
}

/// A file to download.
#[derive(Debug, Serialize)]
struct File {
    name: String,
    download: String,
    size: String,
    rows: String,
    complete: bool,
    link: String,
}

/// What went wrong.
#[derive(Debug, Serialize)]
struct Failure {
    what: String,
    detail: String,
    advice: String,
}

/// Where links lead, and what they are made from.
pub(super) struct Links<'a> {
    pub(super) public_url: &'a str,
    pub(super) secret: &'a str,
}

impl Told<'_> {
    pub(super) fn template(&self) -> &'static str {
        self.template
    }

    pub(super) fn subject(&self) -> String {
        self.subject.clone()
    }
}

/// Says the facts to one reader.
pub(super) fn tell<'a>(
    facts: &Facts,
    look: Look,
    human: Human<'a>,
    links: &Links<'_>,
    late_after: Option<Duration>,
) -> Told<'a> {
    let (job, t) = (&facts.job, human.t);
    let title = human::line(facts.report.as_ref().map_or(&job.report, |report| &report.title), 120);
    let files: Vec<File> = job.artifacts.iter().map(|artifact| file(artifact, human, links)).collect();
    let incomplete = files.iter().any(|file| !file.complete);
    let failure = match &facts.news {
        News::Failed(problem) => Some(fail(problem, t)),
        News::Ready | News::Late(..) => None,
    };
    let (template, subject, status) = match (&facts.news, incomplete) {
        (News::Failed(_), _) => ("failed", &t.failed.subject, &t.failed.status),
        (News::Late(..), _) => ("late", &t.late.subject, &t.late.status),
        (News::Ready, true) => ("ready", &t.cut.subject, &t.cut.status),
        (News::Ready, false) => ("ready", &t.ready.subject, &t.ready.status),
    };
    let preview = match (&facts.news, &failure, files.as_slice()) {
        (News::Late(..), ..) => t.late.preview.clone(),
        (_, Some(failure), _) => failure.what.clone(),
        (_, None, [file]) => {
            fill(&t.ready.preview_one, &[("file", &file.name), ("rows", &file.rows), ("size", &file.size)])
        }
        (_, None, files) => fill(&t.ready.preview_many, &[("n", &files.len().to_string())]),
    };
    Told {
        t,
        look,
        // Chinese print of this size is set without serifs.
        fonts: Fonts { sans: SANS, serif: if t.lang.starts_with("zh") { SANS } else { SERIF } },
        subject: fill(subject, &[("title", &title)]),
        status,
        preview,
        title,
        description: human::line(facts.report.as_ref().map_or("", |report| &report.description), 300),
        job_id: job.id.to_string(),
        job_url: format!("{}/jobs/{}", links.public_url, job.id),
        facts: table(facts, human),
        incomplete,
        files,
        sign_in: facts.report.as_ref().is_some_and(|report| report.links == LinkAccess::Tenant),
        failure,
        late: lateness::of_ready(job, human, late_after).unwrap_or_default(),
        template,
    }
}

fn file(artifact: &Artifact, human: Human<'_>, links: &Links<'_>) -> File {
    let formats = &human.t.formats;
    let format = match artifact.format {
        Format::Csv => &formats.csv,
        Format::Jsonl => &formats.jsonl,
        Format::Parquet => &formats.parquet,
        Format::Pdf => &formats.pdf,
        Format::Xlsx => &formats.xlsx,
    };
    File {
        name: human::line(&artifact.filename, 120),
        download: fill(&human.t.ready.download, &[("format", format)]),
        size: human.bytes(artifact.bytes),
        rows: human.rows(artifact.rows),
        complete: artifact.complete,
        link: format!("{}/d/{}", links.public_url, link_token(links.secret, artifact.link_id)),
    }
}

/// Tells the parameters in the report's order, sensitive ones without their values; then what is known of the run.
fn table(facts: &Facts, human: Human<'_>) -> Vec<Fact> {
    let (job, names) = (&facts.job, &human.t.facts);
    let mut table = facts.report.as_ref().map(|report| params(job, report, human)).unwrap_or_default();
    if facts.news != News::Ready {
        table.push(Fact::new(&names.asked_at, human.moment(job.created_at)));
    }
    match &facts.news {
        News::Ready => {}
        News::Late(late, at) => {
            let lines = lateness::lines(job, late, *at, human);
            table.extend(lines.map(|(label, value)| Fact::new(label, value)));
            return table;
        }
        News::Failed(problem) => {
            let tries = tries(job, problem);
            if tries > 1 {
                table.push(Fact::new(&names.tries, human.number(tries)));
            }
            return table;
        }
    }
    table.extend(job.artifacts.first().map(|file| Fact::new(&names.data_as_of, human.moment(file.snapshot_at))));
    let took = job.started_at.zip(job.finished_at).and_then(|(from, to)| (to - from).to_std().ok());
    table.extend(took.map(|took| Fact::new(&names.took, human.duration(took))));
    let expires_at = job.artifacts.iter().map(|artifact| artifact.expires_at).min();
    table.extend(expires_at.map(|at| Fact::new(&names.kept_until, human.moment(at))));
    table
}

fn params(job: &Job, report: &ReportDefinition, human: Human<'_>) -> Vec<Fact> {
    let given = report.params.iter().filter_map(|spec| Some((spec, job.params.get(&spec.name)?)));
    given
        .filter(|(_, value)| !value.is_null())
        .map(|(spec, value)| Fact {
            label: human::line(&spec.label, 80),
            value: if spec.sensitive { String::new() } else { human::line(&plain(spec, value, human), 200) },
            hidden: spec.sensitive,
        })
        .collect()
}

fn plain(spec: &ParamSpec, value: &Value, human: Human<'_>) -> String {
    const SHOWN: usize = 8;
    let values = &human.t.values;
    match value {
        Value::String(text) => match spec.kind {
            ParamType::Date => text.parse().map_or_else(|_| text.clone(), |date| human.date(date)),
            ParamType::Timestamp => text.parse().map_or_else(|_| text.clone(), |time| human.moment(time)),
            _ => text.clone(),
        },
        Value::Bool(true) => values.yes.clone(),
        Value::Bool(false) => values.no.clone(),
        Value::Array(items) => {
            let mut shown: Vec<String> = items.iter().take(SHOWN).map(|item| plain(spec, item, human)).collect();
            if items.len() > SHOWN {
                shown.push(fill(&values.more, &[("n", &(items.len() - SHOWN).to_string())]));
            }
            shown.join(", ")
        }
        other => other.to_string(),
    }
}

fn fail(problem: &Problem, t: &Messages) -> Failure {
    let (what, advice) = advice::after(problem.kind, t);
    Failure { what: what.to_owned(), detail: human::line(&problem.detail, 600), advice: advice.to_owned() }
}

fn tries(job: &Job, problem: &Problem) -> u64 {
    let lost = problem.kind == ProblemKind::WorkersLost;
    u64::try_from(if lost { job.crashes } else { job.errors }).unwrap_or(0)
}
