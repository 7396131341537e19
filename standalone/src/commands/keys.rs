//! `waitless keys`: straight to the database, so that the first key needs no key.

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use configuration::{Config, Mode, Role};
use model::access::{hash_token, key_prefix, make_api_key};
use model::attributes::Attributes;
use model::event::Event;
use model::job::Caller;
use model::message::OutboxMessage;
use serde_json::{Value, json};
use store::{AfterCommit, ApiKey, NewApiKey, Scope, Store};
use uuid::Uuid;

use super::CommandResult;
use super::audit::command_line;
use crate::cli::{CreateKey, Keys, KeysCommand};
use crate::data_folder::DataFolder;
use crate::terminal;

pub(crate) async fn keys(args: Keys) -> CommandResult {
    let config = args.config.load(Role::DatabaseOnly)?;
    let store = open_store(&config).await?;
    let (store, json) = (store.as_ref(), args.json);
    // What it does is written down in the audit log.
    store::audit::acting(command_line(), async move {
        match args.command {
            KeysCommand::Create(wanted) => {
                check_roles(&config, &wanted.roles)?;
                create(store, wanted, json).await
            }
            KeysCommand::List { tenant } => list(store, tenant.as_deref(), json).await,
            KeysCommand::Revoke { id } => revoke(store, id, json).await,
        }
    })
    .await
}

#[derive(Debug)]
struct IgnoreCommits;

impl AfterCommit for IgnoreCommits {
    fn committed(&self, _outbox: Vec<OutboxMessage>, _events: Vec<Event>) {}
}

/// Opens the configured database, for commands that ring no doorbells.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    if config.service.mode == Mode::Embedded {
        // Whoever comes first makes it, and it holds secrets.
        DataFolder::new(&config.service.data_dir).make()?;
    }
    runtime::open_store(&config.database, Arc::new(IgnoreCommits))
        .await
        .context("open the database of the configuration")
}

/// A name that is no role would be no power at all, and let its key see no report.
fn check_roles(config: &Config, roles: &[String]) -> anyhow::Result<()> {
    let unknown: Vec<&str> =
        roles.iter().filter(|role| !config.roles.contains_key(*role)).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known: Vec<&str> = config.roles.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    anyhow::bail!("the configuration has no role {}; it has: {known}", unknown.join(", "));
}

async fn create(store: &dyn Store, wanted: CreateKey, json: bool) -> CommandResult {
    let (mut scopes, mut roles) = (wanted.scopes, wanted.roles);
    if scopes.is_empty() && roles.is_empty() {
        scopes = vec![Scope::Read, Scope::Write];
    }
    scopes.dedup();
    let attributes = read_attributes(wanted.attributes)?;
    roles.sort_unstable();
    roles.dedup();
    let key = match &wanted.key_file {
        None => make_api_key(),
        Some(file) => {
            let key = read_key(file)?;
            if let Some(known) = store.api_key_by_hash(hash_token(&key)).await? {
                let caller = Caller { tenant: wanted.tenant, principal: wanted.principal };
                return keep(&known, (&caller, &attributes), (&scopes, &roles), file);
            }
            key
        }
    };
    let made = store
        .create_api_key(NewApiKey {
            id: Uuid::now_v7(),
            prefix: key_prefix(&key),
            hash: hash_token(&key),
            caller: Caller { tenant: wanted.tenant, principal: wanted.principal },
            scopes,
            roles,
            attributes,
            valid_for: wanted.expires,
        })
        .await?;
    let told = if json {
        let mut told = key_json(&made);
        if wanted.key_file.is_none() {
            told["key"] = key.into();
        }
        serde_json::to_string_pretty(&told)?
    } else {
        // The key alone on standard output, so that a script can take it.
        key
    };
    // Whoever drew the key has it already.
    if wanted.key_file.is_some() && !json {
        describe(&made);
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(error) = terminal::write(told) {
        // Nobody has seen it, and nobody will: it must not stay.
        let revoked = store.revoke_api_key(made.id).await.is_ok_and(|revoked| revoked);
        let left =
            if revoked { "was revoked again" } else { "is left and unseen: revoke it with `waitless keys revoke`" };
        return Err(error).context(terminal::UNSEEN).with_context(|| format!("key {} {left}", made.id));
    }
    if !json {
        describe(&made);
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes what is to be known of whoever uses the key. Each for itself is good.
fn read_attributes(said: Vec<(String, Value)>) -> anyhow::Result<Attributes> {
    let mut names = HashSet::new();
    if let Some((name, _)) = said.iter().find(|(name, _)| !names.insert(name.as_str())) {
        anyhow::bail!("the attribute `{name}` is there twice");
    }
    Attributes::new(said).map_err(|faults| {
        let details: Vec<String> = faults.into_iter().map(|fault| fault.detail).collect();
        anyhow::anyhow!("these attributes cannot be kept: {}", details.join("; "))
    })
}

/// Reads a key that somebody else drew and keeps, where it stands alone.
fn read_key(file: &Path) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("read the key in {}", file.display()))?.trim().to_owned();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let drawn = text.strip_prefix("wl_").is_some_and(|drawn| drawn.len() >= 32 && drawn.chars().all(good));
    if !drawn || text.len() > 100 {
        let file = file.display();
        anyhow::bail!(
            "{file} holds no key: write `wl_` and 32 to 97 random letters, digits, - or _, for example with \
             `echo \"wl_$(openssl rand -hex 32)\"`"
        );
    }
    Ok(text)
}

/// A key of a file that is known already is left as it is: whoever rolls out again finds it.
fn keep(
    known: &ApiKey,
    (caller, attributes): (&Caller, &Attributes),
    (scopes, roles): (&[Scope], &[String]),
    file: &Path,
) -> CommandResult {
    let (file, id) = (file.display(), known.id);
    if known.revoked_at.is_some() || known.expired {
        anyhow::bail!("the key in {file} is key {id}, which was revoked or has expired: put another key into the file");
    }
    if known.caller != *caller || known.scopes != scopes || known.roles != roles {
        let Caller { tenant, principal } = &known.caller;
        let may = scope_names(known);
        anyhow::bail!(
            "the key in {file} is key {id}, of {principal} of tenant {tenant}, which may {may}: put another key into the file"
        );
    }
    if known.attributes != *attributes {
        anyhow::bail!(
            "the key in {file} is key {id}, of which other attributes are known: put another key into the file"
        );
    }
    terminal::print_error(format!("Key {id} is there already and stays as it is."));
    Ok(ExitCode::SUCCESS)
}

/// Says on standard error what a new key is good for.
fn describe(made: &ApiKey) {
    let expires = made
        .expires_at
        .map_or_else(|| "never expires".to_owned(), |at| format!("expires {}", terminal::format_time(at)));
    let Caller { tenant, principal } = &made.caller;
    terminal::print_error(format!(
        "Key {} for {principal} of tenant {tenant}, may {}, {expires}{}. It is shown this once.",
        made.id,
        scope_names(made),
        known_of(made)
    ));
}

/// Names the attributes of a key. Their values are for queries.
fn known_of(key: &ApiKey) -> String {
    let names: Vec<&str> = key.attributes.iter().map(|(name, _)| name).collect();
    if names.is_empty() { String::new() } else { format!(", with the attributes {}", names.join(", ")) }
}

/// What programs are told of a key: never the key itself.
fn key_json(key: &ApiKey) -> Value {
    json!({
        "id": key.id, "prefix": key.prefix, "tenant": key.caller.tenant, "principal": key.caller.principal, "scopes": key.scopes,
        "roles": key.roles,
        "attributes": key.attributes.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at, "expired": key.expired,
    })
}

async fn list(store: &dyn Store, tenant: Option<&str>, json: bool) -> CommandResult {
    let keys = store.api_keys(tenant).await?;
    if json {
        terminal::print_json(&json!({ "keys": keys.iter().map(key_json).collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = keys
        .iter()
        .map(|key| {
            vec![
                key.id.to_string(),
                format!("{}…", key.prefix),
                key.caller.tenant.clone(),
                key.caller.principal.clone(),
                scope_names(key),
                terminal::format_time(key.created_at),
                key_state(key),
            ]
        })
        .collect();
    let header = ["ID", "KEY", "TENANT", "PRINCIPAL", "MAY", "MADE", "STATE"];
    terminal::print(terminal::table(&header, &[false; 7], &rows))?;
    Ok(ExitCode::SUCCESS)
}

fn key_state(key: &ApiKey) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", terminal::format_time(at)),
        (None, Some(at)) if key.expired => format!("expired {}", terminal::format_time(at)),
        (None, Some(at)) => format!("works until {}", terminal::format_time(at)),
        (None, None) => "works".to_owned(),
    }
}

fn scope_names(key: &ApiKey) -> String {
    let roles = key.roles.iter().map(|role| format!("role:{role}"));
    key.scopes.iter().map(|scope| scope.as_str().to_owned()).chain(roles).collect::<Vec<_>>().join(",")
}

async fn revoke(store: &dyn Store, id: Uuid, json: bool) -> CommandResult {
    if store.revoke_api_key(id).await? {
        if json {
            terminal::print_json(&json!({ "id": id, "revoked": true }))?;
            return Ok(ExitCode::SUCCESS);
        }
        terminal::print(format!("Key {id} is revoked; gateways refuse it within seconds."))?;
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::bail!("there is no key {id}, or it was revoked before; `waitless keys list` lists them");
}
