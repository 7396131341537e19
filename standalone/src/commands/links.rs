//! `waitless links`.

use std::process::ExitCode;

use anyhow::ensure;
use reqwest::Method;
use serde_json::Value;

use super::{Outcome, connect};
use crate::cli::Links;
use crate::client::{Gateway, LinkAnswer, LinksAnswer};
use crate::screen;

pub(crate) async fn links(args: Links) -> Outcome {
    let gateway = connect(&args.server)?;
    let path = format!("v1/jobs/{}/links", args.id);
    if let Some(format) = &args.revoke {
        revoke(&gateway, &args, format).await?;
    }
    if args.output.json {
        screen::json(&gateway.get::<Value>(&path).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let links = gateway.get::<LinksAnswer>(&path).await?.links;
    if links.is_empty() {
        screen::line("No links: the job has no files.");
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["FORMAT", "STATE", "VIEWS", "DOWNLOADS", "LAST", "UNTIL", "LINK"];
    let rows: Vec<Vec<String>> = links.iter().map(row).collect();
    screen::line(screen::table(&header, &[false, false, true, true, false, false, false], &rows));
    Ok(ExitCode::SUCCESS)
}

async fn revoke(gateway: &Gateway, args: &Links, format: &str) -> anyhow::Result<()> {
    let path = format!("v1/jobs/{}", args.id);
    let links = gateway.get::<LinksAnswer>(&format!("{path}/links")).await?.links;
    let wanted: Vec<&LinkAnswer> = links.iter().filter(|link| format == "all" || link.format == format).collect();
    ensure!(!wanted.is_empty(), "the job has no link to a file of the format {format}");
    for link in wanted {
        let call = gateway.call(Method::POST, &format!("{path}/artifacts/{}/revoke-link", link.format));
        gateway.answer::<Value>(call).await?;
        if !args.output.json {
            screen::note(format!("The link to {} is revoked.", link.filename));
        }
    }
    Ok(())
}

fn row(link: &LinkAnswer) -> Vec<String> {
    vec![
        link.format.clone(),
        link.state.clone(),
        screen::count(link.views),
        screen::count(link.downloads),
        link.last_download_at.map(screen::when).unwrap_or_default(),
        screen::when(link.expires_at),
        link.link.clone(),
    ]
}
