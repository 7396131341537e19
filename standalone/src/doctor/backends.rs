//! Checks of what the service works with, and of the address that it has.

use configuration::{Mode, is_loopback};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use model::delivery::Channel;
use model::finding::Findings;
use reqwest::StatusCode;
use store::MigrationWeight;

use super::{QUESTION_WITHIN, Subject};

pub(super) fn database<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    runtime::diagnose_store(&subject.config.database, findings).boxed()
}

pub(super) fn broker<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    broker::diagnose(&subject.config.broker, findings).boxed()
}

pub(super) fn storage<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    storage::Storage::diagnose(&subject.config.storage, subject.kept_for, findings).boxed()
}

pub(super) fn mail<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    notifier::registry::diagnose(&subject.config, Channel::Email, subject.mail_to.as_deref(), findings).boxed()
}

pub(super) fn webhook<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    notifier::registry::diagnose(&subject.config, Channel::Webhook, Some(&subject.webhook), findings).boxed()
}

pub(super) fn issuer<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    async move {
        if let Some(issuer) = subject.config.oidc.get(&subject.issuer) {
            api::auth::oidc::diagnose(issuer, findings).await;
        }
    }
    .boxed()
}

pub(super) fn source<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    async move {
        if let Some(source) = subject.config.sources.get(&subject.source) {
            let known = subject.config.tenants.keys().map(String::as_str);
            let wanted = subject.tenant.as_deref();
            let databases = sources::databases(&subject.source, source, known);
            if databases.is_empty() {
                findings.warn(
                    "no tenant is known whose database could be looked at",
                    "name tenants by sections [tenants.<name>], and each of theirs is looked at",
                );
            }
            for database in databases.into_iter().filter(|database| database.tenant.as_deref() == wanted) {
                match database.settings {
                    Ok(settings) => sources::diagnose(&settings, findings).await,
                    Err(why) => findings.fail(format!("this tenant has no database there: {why}"), "add one"),
                }
            }
        }
    }
    .boxed()
}

/// Says of each migration that would run what it costs.
pub(super) fn migrations<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    async move {
        let state = match runtime::schema_state(&subject.config.database).await {
            Ok(state) => state,
            Err(error) => return findings.fail(error, "run `waitless doctor` to see what is wrong with the database"),
        };
        if !state.unknown.is_empty() {
            findings.warn(
                format!("migration {} was run by a newer version", state.unknown.join(", ")),
                "this version may run beside the newer one; an older one than this may not",
            );
        }
        if state.pending.is_empty() {
            findings.ok("no migration would run");
        }
        for pending in state.pending {
            let note = pending.note;
            let what = format!("migration {} would run, {}", note.version, note.words);
            match note.weight {
                MigrationWeight::Heavy if pending.rows > 0 => findings.warn(
                    format!("{what} About {} rows are gone through.", crate::terminal::format_count(pending.rows)),
                    "run `waitless migrate` when little is going on; submits wait meanwhile",
                ),
                MigrationWeight::Heavy | MigrationWeight::Light => findings.ok(what),
            }
        }
    }
    .boxed()
}

/// Asks the address that people are given whether the service is there.
pub(super) fn address<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    async move {
        let Some(url) = &subject.config.service.public_url else {
            return findings.ok("service.public_url is not set: links carry the address that a request came in at");
        };
        if url.starts_with("http:") && !is_loopback(url) && subject.config.service.mode == Mode::Production {
            findings.warn(
                format!("{url} is not encrypted, and keys and links go over it"),
                "serve it with TLS (a proxy in front) and write https:// in service.public_url",
            );
        }
        match ask(&format!("{url}/livez")).await {
            Ok((StatusCode::OK, body)) if body.trim() == "alive" => {
                findings.ok(format!("{url} is answered by a gateway"));
            }
            Ok((status, _)) => findings.fail(
                format!("{url}/livez is answered with {status}, and not by a gateway"),
                "correct service.public_url, or what the proxy in front takes off paths and leads where",
            ),
            Err(why) => findings.warn(
                format!("{url} does not answer: {why}"),
                "start a gateway; else see to its name, the proxy in front and its certificate",
            ),
        }
    }
    .boxed()
}

async fn ask(url: &str) -> Result<(StatusCode, String), String> {
    let client = reqwest::Client::builder().timeout(QUESTION_WITHIN);
    let client = if is_loopback(url) { client.no_proxy() } else { client };
    let say = |error: reqwest::Error| {
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            said = format!("{said}: {inner}");
            cause = inner.source();
        }
        said
    };
    let answer = client.build().map_err(say)?.get(url).send().await.map_err(say)?;
    let status = answer.status();
    // Of what is not ours, the beginning would do; a gateway answers six bytes.
    Ok((status, answer.text().await.map_err(say)?))
}
