//! `waitless run`: a report is submitted, followed to its end, and its files are fetched.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use model::job::{JobState, Params};
use serde_json::{Value, json};
use uuid::Uuid;

use super::reports::read_report;
use super::show::{describe_file, key_values};
use super::watch::{exit_code, follow};
use super::{CommandResult, connect};
use crate::cli::{Convert, FetchOptions, OutputOptions, Run};
use crate::client::{GatewayClient, Submission, SubmitTarget};
use crate::progress_reporter::ProgressReporter;
use crate::terminal;

pub(crate) async fn run(args: Run) -> CommandResult {
    let gateway = connect(&args.server)?;
    one_place_a_file(&args.formats, &args.fetch)?;
    let report = read_report(&gateway, &args.report).await?;
    let target = SubmitTarget::Report { params: typed(&report.params, &args.params), report: args.report };
    submit_and_fetch(&gateway, target, args.formats, args.fetch, &args.output).await
}

/// `waitless convert`: the same with further formats of a finished job, made from the Parquet file it kept.
pub(crate) async fn convert(args: Convert) -> CommandResult {
    let gateway = connect(&args.server)?;
    one_place_a_file(&args.formats, &args.fetch)?;
    submit_and_fetch(&gateway, SubmitTarget::Conversion { made_from: args.id }, args.formats, args.fetch, &args.output)
        .await
}

fn one_place_a_file(formats: &[String], fetch: &FetchOptions) -> anyhow::Result<()> {
    if formats.len() > 1 && fetch.out.as_ref().is_some_and(|out| !out.is_dir()) {
        bail!("several formats make several files: name a folder that exists with --out");
    }
    Ok(())
}

async fn submit_and_fetch(
    gateway: &GatewayClient,
    target: SubmitTarget,
    formats: Vec<String>,
    fetch: FetchOptions,
    output: &OutputOptions,
) -> CommandResult {
    let submission = Submission {
        target,
        formats,
        keep_others: fetch.keep_others,
        emails: fetch.emails,
        webhooks: fetch.webhooks,
        idempotency_key: fetch.idempotency_key.unwrap_or_else(|| Uuid::new_v4().to_string()),
    };
    let mut bar = ProgressReporter::new();
    let submitted = gateway.submit(&submission, |why| bar.say(&format!("{why}; trying again"))).await?;
    let job = submitted.job;
    if fetch.detach {
        bar.clear();
        if output.json {
            terminal::print_json(&read(gateway, job.id).await?)?;
        } else {
            terminal::print(job.id).with_context(|| format!("job {} was accepted", job.id))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    bar.say(&format!("Job {} was accepted in {}.", job.id, terminal::format_duration(submitted.took)));
    let job = match follow(gateway, job.id, &fetch.outage_limit, &mut bar).await? {
        Ok(job) => job,
        Err(code) => return Ok(code),
    };
    let mut saved = Vec::new();
    if job.state == JobState::Done && !fetch.wait {
        for artifact in &job.artifacts {
            let path = place(fetch.out.as_deref(), &artifact.filename)?;
            let receipt = gateway.download(job.id, &artifact.format, &path).await?;
            if !output.json {
                terminal::print(key_values(&describe_file(artifact, &receipt)))?;
                terminal::print(format!("Saved to {}, and its SHA-256 is the receipt's.", path.display()))?;
            }
            saved.push(json!({ "format": artifact.format, "path": path }));
        }
    }
    if output.json {
        terminal::print_json(&json!({ "job": read(gateway, job.id).await?, "saved": saved }))?;
    } else if job.state == JobState::Done && fetch.wait {
        terminal::print(job.id)?;
    }
    Ok(exit_code(&job))
}

/// Reads a job as the gateway shows it.
async fn read(gateway: &GatewayClient, id: Uuid) -> anyhow::Result<Value> {
    Ok(gateway.get(&format!("v1/jobs/{id}")).await?)
}

/// Decides where a file goes. A file that nobody named is never replaced.
fn place(out: Option<&Path>, filename: &str) -> anyhow::Result<PathBuf> {
    let own_name = Path::new(filename).file_name().context("the gateway names no file")?;
    match out {
        Some(folder) if folder.is_dir() => Ok(folder.join(own_name)),
        Some(file) => Ok(file.to_owned()),
        None if Path::new(own_name).exists() => bail!("{filename} exists; name another file with --out"),
        None => Ok(PathBuf::from(own_name)),
    }
}

/// Gives parameters the JSON types that the report's schema asks for. What does not fit goes as it is: the gateway says what is
/// wrong with it better than anybody.
pub(crate) fn typed(schema: &Value, given: &[(String, String)]) -> Params {
    let mut params = Params::new();
    for (name, text) in given {
        let property = &schema["properties"][name];
        let property = property["anyOf"].get(0).filter(|_| is_optional(property)).unwrap_or(property);
        if property["type"] == "array" {
            let value = typed_value(&property["items"], text);
            match params.get_mut(name) {
                Some(Value::Array(items)) => items.push(value),
                _ => drop(params.insert(name.clone(), if value.is_object() { value } else { json!([value]) })),
            }
        } else {
            params.insert(name.clone(), typed_value(property, text));
        }
    }
    params
}

fn is_optional(property: &Value) -> bool {
    property["anyOf"].as_array().is_some_and(|variants| variants.iter().any(|variant| variant["type"] == "null"))
}

fn typed_value(schema: &Value, text: &str) -> Value {
    // `{"relative": "today"}`: whatever type the parameter has, it is told by the gateway.
    if let Ok(Value::Object(relative)) = serde_json::from_str(text)
        && relative.contains_key("relative")
    {
        return Value::Object(relative);
    }
    let parsed = match schema["type"].as_str() {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::from(text))
}

#[cfg(test)]
mod tests {
    use report::{DEMO_CATALOGUE, params_schema, parse_definition};

    use super::*;

    #[test]
    fn texts_of_the_command_line_become_what_the_schema_asks_for() {
        let text = DEMO_CATALOGUE.iter().find(|(name, _)| *name == "line-item-export").unwrap().1;
        let schema = params_schema(&parse_definition("line-item-export", text).unwrap());
        let given = [
            ("shipped_from", "1995-01-01"),
            ("ship_modes", "AIR"),
            ("ship_modes", "REG AIR"),
            ("min_price", "12.50"),
            ("late_only", "true"),
            ("remark_contains", "5"),
            ("unknown", "x"),
        ];
        let given: Vec<_> = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(
            Value::Object(typed(&schema, &given)),
            json!({
                "shipped_from": "1995-01-01", "ship_modes": ["AIR", "REG AIR"], "min_price": "12.50", "late_only": true,
                "remark_contains": "5", "unknown": "x"
            })
        );
        let given = [("top".to_owned(), "5".to_owned()), ("top2".to_owned(), "x".to_owned())];
        let schema = json!({ "properties": { "top": { "type": "integer" }, "top2": { "type": "integer" } } });
        assert_eq!(Value::Object(typed(&schema, &given)), json!({ "top": 5, "top2": "x" }));
    }
}
