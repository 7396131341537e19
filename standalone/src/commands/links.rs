//! `waitless links`.

use std::process::ExitCode;

use anyhow::ensure;
use reqwest::Method;
use serde_json::Value;

use super::{CommandResult, connect};
use crate::cli::Links;
use crate::client::{GatewayClient, LinkResponse, LinksResponse};
use crate::terminal;

pub(crate) async fn links(args: Links) -> CommandResult {
    let gateway = connect(&args.server)?;
    let path = format!("v1/jobs/{}/links", args.id);
    if let Some(format) = &args.revoke {
        revoke(&gateway, &args, format).await?;
    }
    if args.output.json {
        terminal::print_json(&gateway.get::<Value>(&path).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let links = gateway.get::<LinksResponse>(&path).await?.links;
    if links.is_empty() {
        terminal::print("No links: the job has no files.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["FORMAT", "STATE", "VIEWS", "DOWNLOADS", "LAST", "UNTIL", "LINK"];
    let rows: Vec<Vec<String>> = links.iter().map(row).collect();
    terminal::print(terminal::table(&header, &[false, false, true, true, false, false, false], &rows))?;
    Ok(ExitCode::SUCCESS)
}

async fn revoke(gateway: &GatewayClient, args: &Links, format: &str) -> anyhow::Result<()> {
    let path = format!("v1/jobs/{}", args.id);
    let links = gateway.get::<LinksResponse>(&format!("{path}/links")).await?.links;
    let wanted: Vec<&LinkResponse> = links.iter().filter(|link| format == "all" || link.format == format).collect();
    ensure!(!wanted.is_empty(), "the job has no link to a file of the format {format}");
    for link in wanted {
        let call = gateway.call(Method::POST, &format!("{path}/artifacts/{}/revoke-link", link.format));
        gateway.answer::<Value>(call).await?;
        if !args.output.json {
            terminal::print_error(format!("The link to {} is revoked.", link.filename));
        }
    }
    Ok(())
}

fn row(link: &LinkResponse) -> Vec<String> {
    vec![
        link.format.clone(),
        link.state.clone(),
        terminal::format_count(link.views),
        terminal::format_count(link.downloads),
        link.last_download_at.map(terminal::format_time).unwrap_or_default(),
        terminal::format_time(link.expires_at),
        link.link.clone(),
    ]
}
