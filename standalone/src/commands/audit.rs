//! `waitless audit`: reads the audit log straight from the database, and finds out whether it is whole.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use configuration::Role;
use model::audit::{AuditAct, AuditChain, AuditEntry, ChainEnd, ChainWalk, NewAuditEntry, Person};
use serde_json::{Value, json};
use store::Store;
use store::audit::LINKED_AT_ONCE;

use super::CommandResult;
use super::keys::open_store;
use crate::cli::{Audit, AuditCommand, KnownHead};
use crate::terminal;

/// Rows read at once.
const PAGE: u32 = 1_000;

/// Who acts on the command line, straight on the database: nobody is signed in there.
pub(crate) fn command_line() -> Person {
    Person {
        agent: Some(concat!("waitless/", env!("CARGO_PKG_VERSION")).to_owned()),
        ..Person::named("(command line)")
    }
}

pub(crate) async fn audit(args: Audit) -> CommandResult {
    match args.command {
        AuditCommand::Export { tenant, from } => {
            let store = open_store(&args.config.load(Role::DatabaseOnly)?).await?;
            export(store.as_ref(), tenant.as_deref(), from).await
        }
        AuditCommand::Verify { file: Some(file), heads, json, .. } => tell(&verify_file(&file, &heads)?, &heads, json),
        AuditCommand::Verify { file: None, tenant, heads, json } => {
            let store = open_store(&args.config.load(Role::DatabaseOnly)?).await?;
            link(store.as_ref()).await?;
            let mut walked = Vec::new();
            for chain in chains(store.as_ref(), tenant.as_deref()).await? {
                walked.push(verify_stored(store.as_ref(), chain, &heads).await?);
            }
            tell(&walked, &heads, json)
        }
    }
}

/// Links what waits, so that what was done just now is there too.
async fn link(store: &dyn Store) -> anyhow::Result<()> {
    while store.link_audit(LINKED_AT_ONCE).await? == LINKED_AT_ONCE {}
    Ok(())
}

async fn chains(store: &dyn Store, tenant: Option<&str>) -> anyhow::Result<Vec<AuditChain>> {
    let mut chains = store.audit_chains().await?;
    chains.retain(|chain| tenant.is_none_or(|tenant| chain.tenant == tenant));
    Ok(chains)
}

async fn export(store: &dyn Store, tenant: Option<&str>, from: Option<DateTime<Utc>>) -> CommandResult {
    link(store).await?;
    for chain in chains(store, tenant).await? {
        let mut after = match from {
            Some(from) => store.audit_place(&chain.tenant, from).await?,
            None => 0,
        };
        loop {
            let rows = store.audit_entries(&chain.tenant, after, PAGE).await?;
            for row in &rows {
                terminal::print(serde_json::to_string(row)?)?;
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize => after = last.number,
                _ => break,
            }
        }
        let read = NewAuditEntry::new(&chain.tenant, AuditAct::AuditRead, String::new(), &command_line());
        store.note(vec![read]).await?;
        terminal::print_error(head_line(&chain.tenant, chain.head));
    }
    Ok(ExitCode::SUCCESS)
}

fn head_line(tenant: &str, head: ChainEnd) -> String {
    format!("head {tenant}={head}")
}

/// What was found of one chain.
#[derive(Debug)]
struct Walked {
    tenant: String,
    /// Its first row that was looked at, and the one behind which it was begun.
    begun: ChainEnd,
    head: ChainEnd,
    /// Hashes of the rows that were told earlier, as they are now.
    told: BTreeMap<u64, [u8; 32]>,
    broken: Option<String>,
}

async fn verify_stored(store: &dyn Store, chain: AuditChain, heads: &[KnownHead]) -> anyhow::Result<Walked> {
    let mut walk = ChainWalk::behind(&chain.tenant, chain.removed);
    let mut told = BTreeMap::from([(chain.removed.number, chain.removed.hash)]);
    let mut broken = None;
    while broken.is_none() {
        // From zero on, so that a row that should have been removed is seen.
        let after = if walk.at() == chain.removed { 0 } else { walk.at().number };
        let rows = store.audit_entries(&chain.tenant, after, PAGE).await?;
        broken = take_all(&mut walk, &rows, heads, &mut told);
        if rows.len() < PAGE as usize {
            break;
        }
    }
    // Rows may have been linked since the chain's end was read.
    let ended = if walk.at().number > chain.head.number { Ok(()) } else { walk.end_at(chain.head) };
    let broken = broken.or_else(|| ended.err().map(|found| found.to_string()));
    Ok(Walked { tenant: chain.tenant, begun: chain.removed, head: walk.at(), told, broken })
}

fn take_all(
    walk: &mut ChainWalk,
    rows: &[AuditEntry],
    heads: &[KnownHead],
    told: &mut BTreeMap<u64, [u8; 32]>,
) -> Option<String> {
    for row in rows {
        if let Err(found) = walk.take(row) {
            return Some(found.to_string());
        }
        if heads.iter().any(|known| known.head.number == row.number) {
            told.insert(row.number, row.hash);
        }
    }
    None
}

/// Verifies an export: each chain from the first row of it that is there.
fn verify_file(file: &Path, heads: &[KnownHead]) -> anyhow::Result<Vec<Walked>> {
    let opened = std::fs::File::open(file).with_context(|| format!("open {}", file.display()))?;
    let mut chains: BTreeMap<String, (ChainWalk, Walked)> = BTreeMap::new();
    for (nth, line) in BufReader::new(opened).lines().enumerate() {
        let line = line.with_context(|| format!("read {}", file.display()))?;
        let row: AuditEntry = serde_json::from_str(&line)
            .with_context(|| format!("{}:{}: this is no row of an audit log", file.display(), nth + 1))?;
        match chains.get_mut(&row.tenant) {
            Some((walk, walked)) if walked.broken.is_none() => {
                walked.broken = take_all(walk, std::slice::from_ref(&row), heads, &mut walked.told);
                walked.head = walk.at();
            }
            Some(_) => {}
            None => {
                let begun = row.end();
                let mut walk = ChainWalk::behind(&row.tenant, ChainEnd::START);
                // What lies before the first row of a part is not known: the next one tells whether it is right.
                let broken = if row.number == 1 { walk.take(&row).err() } else { None };
                let walk = if row.number == 1 { walk } else { ChainWalk::behind(&row.tenant, begun) };
                let walked = Walked {
                    tenant: row.tenant.clone(),
                    begun: if row.number == 1 { ChainEnd::START } else { begun },
                    head: begun,
                    told: BTreeMap::from([(row.number, row.hash)]),
                    broken: broken.map(|found| found.to_string()),
                };
                chains.insert(row.tenant, (walk, walked));
            }
        }
    }
    Ok(chains.into_values().map(|(_, walked)| walked).collect())
}

/// Says of every chain how far it fits, and of heads that were told earlier whether they still stand there.
fn tell(walked: &[Walked], heads: &[KnownHead], as_json: bool) -> CommandResult {
    let mut broken: Vec<String> = walked.iter().filter_map(|walked| walked.broken.clone()).collect();
    for known in heads {
        let chain = walked.iter().find(|walked| walked.tenant == known.tenant);
        let there = chain.and_then(|walked| walked.told.get(&known.head.number));
        let (tenant, number) = (&known.tenant, known.head.number);
        match there {
            Some(hash) if *hash == known.head.hash => {}
            Some(_) => {
                broken.push(format!("chain of {tenant:?}, row {number}: it is not the one that was told earlier"));
            }
            None => broken.push(format!("chain of {tenant:?}, row {number}: it was told earlier and is not there")),
        }
    }
    if as_json {
        let chain = |walked: &Walked| -> Value {
            json!({ "tenant": walked.tenant, "behind": walked.begun.number, "head": walked.head.to_string(), "broken": walked.broken })
        };
        terminal::print_json(&json!({ "chains": walked.iter().map(chain).collect::<Vec<_>>(), "broken": broken }))?;
    } else {
        for walked in walked {
            let rows = walked.head.number - walked.begun.number;
            terminal::print(format!("{rows} rows fit  {}", head_line(&walked.tenant, walked.head)))?;
        }
        broken.iter().for_each(|found| terminal::print_error(format!("Error: {found}")));
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
