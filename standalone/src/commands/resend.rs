//! `waitless send-again`.

use std::process::ExitCode;

use anyhow::Context as _;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CommandResult, connect};
use crate::cli::SendAgain;
use crate::terminal;

#[derive(Debug, Deserialize)]
struct SentAgainResponse {
    sent_again: u64,
    not_failed: Vec<Uuid>,
}

pub(crate) async fn send_again(args: SendAgain) -> CommandResult {
    let gateway = connect(&args.server)?;
    let asked = match args.failed_since {
        Some(since) => json!({"failed_since": since}),
        None => json!({"deliveries": args.ids}),
    };
    let call = gateway.call(Method::POST, "v1/admin/deliveries/send-again").json(&asked);
    let answer: Value = gateway.answer(call).await?;
    let outcome: SentAgainResponse = serde_json::from_value(answer.clone()).context("read the gateway's answer")?;
    if args.output.json {
        terminal::print_json(&answer)?;
    } else {
        for id in &outcome.not_failed {
            terminal::print_error(format!("{id} is no failed delivery of yours."));
        }
        let mails = if outcome.sent_again == 1 { "mail is" } else { "mails are" };
        terminal::print(format!("{} {mails} sent again.", outcome.sent_again))?;
    }
    Ok(if outcome.not_failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
