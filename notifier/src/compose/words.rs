//! Says the facts in words: numbers, sizes and times as people write them.

use serde::Serialize;
use serde_json::Value;
use shared::access::link_token;
use shared::artifact::{Artifact, Format};
use shared::job::Job;
use shared::problem::{Problem, ProblemKind};
use shared::report::ReportDefinition;

use super::facts::{Ending, Facts};
use super::{advice, human};

/// What the templates are given. Every text in it is one line without control characters.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    subject: String,
    preview: String,
    title: String,
    description: String,
    job_id: String,
    params: Vec<Fact>,
    asked_at: String,
    took: Option<String>,
    files: Vec<File>,
    incomplete: bool,
    expires_at: String,
    failure: Option<Failure>,
}

/// One line of a table.
#[derive(Debug, Serialize)]
struct Fact {
    label: String,
    value: String,
    hidden: bool,
}

/// A file to download.
#[derive(Debug, Serialize)]
struct File {
    name: String,
    format: &'static str,
    size: String,
    rows: String,
    data_as_of: String,
    complete: bool,
    link: String,
}

/// What went wrong.
#[derive(Debug, Serialize)]
struct Failure {
    what: &'static str,
    detail: String,
    tries: i32,
    advice: &'static str,
}

impl Told {
    pub(super) fn template(&self) -> &'static str {
        if self.failure.is_some() { "failed" } else { "ready" }
    }

    pub(super) fn subject(&self) -> String {
        self.subject.clone()
    }
}

pub(super) fn tell(facts: &Facts, public_url: &str, link_secret: &str) -> Told {
    let job = &facts.job;
    let title = human::line(facts.report.as_ref().map_or(&job.report, |report| &report.title), 120);
    let files: Vec<File> = job.artifacts.iter().map(|artifact| file(artifact, public_url, link_secret)).collect();
    let failure = match &facts.ending {
        Ending::Ready => None,
        Ending::Failed(problem) => Some(fail(problem, job)),
    };
    let (subject, preview) = match (&failure, files.as_slice()) {
        (Some(failure), _) => (format!("Your report could not be made: {title}"), failure.what.to_owned()),
        (None, [file]) => {
            (format!("Your report is ready: {title}"), format!("{} · {} · {}", file.name, file.rows, file.size))
        }
        (None, files) => (format!("Your report is ready: {title}"), format!("{} files to download", files.len())),
    };
    let expires_at = job.artifacts.iter().map(|artifact| artifact.expires_at).min();
    Told {
        subject,
        preview,
        title,
        description: human::line(facts.report.as_ref().map_or("", |report| &report.description), 300),
        job_id: job.id.to_string(),
        params: facts.report.as_ref().map(|report| params(job, report)).unwrap_or_default(),
        asked_at: human::time(job.created_at),
        took: job.started_at.zip(job.finished_at).and_then(|(from, to)| (to - from).to_std().ok()).map(human::duration),
        incomplete: files.iter().any(|file| !file.complete),
        files,
        expires_at: expires_at.map(human::time).unwrap_or_default(),
        failure,
    }
}

fn file(artifact: &Artifact, public_url: &str, link_secret: &str) -> File {
    let rows = match artifact.rows {
        1 => "1 row".to_owned(),
        rows => format!("{} rows", human::number(rows)),
    };
    File {
        name: human::line(&artifact.filename, 120),
        format: match artifact.format {
            Format::Csv => "CSV",
            Format::Jsonl => "JSON Lines",
            Format::Parquet => "Parquet",
            Format::Pdf => "PDF",
            Format::Xlsx => "Excel workbook",
        },
        size: human::bytes(artifact.bytes),
        rows,
        data_as_of: human::time(artifact.snapshot_at),
        complete: artifact.complete,
        link: format!("{public_url}/d/{}", link_token(link_secret, artifact.link_id)),
    }
}

/// Tells the parameters in the report's order, sensitive ones without their values.
fn params(job: &Job, report: &ReportDefinition) -> Vec<Fact> {
    let given = report.params.iter().filter_map(|spec| Some((spec, job.params.get(&spec.name)?)));
    given
        .filter(|(_, value)| !value.is_null())
        .map(|(spec, value)| Fact {
            label: human::line(&spec.label, 80),
            value: if spec.sensitive { String::new() } else { human::line(&plain(value), 200) },
            hidden: spec.sensitive,
        })
        .collect()
}

fn plain(value: &Value) -> String {
    const SHOWN: usize = 8;
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(values) => {
            let mut shown: Vec<String> = values.iter().take(SHOWN).map(plain).collect();
            if values.len() > SHOWN {
                shown.push(format!("and {} more", values.len() - SHOWN));
            }
            shown.join(", ")
        }
        other => other.to_string(),
    }
}

fn fail(problem: &Problem, job: &Job) -> Failure {
    let tries = if problem.kind == ProblemKind::WorkersLost { job.crashes } else { job.errors };
    Failure {
        what: problem.kind.describe().1,
        detail: human::line(&problem.detail, 600),
        tries: tries.max(1),
        advice: advice::after(problem.kind),
    }
}
