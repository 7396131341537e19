//! How a server carried out each statement: plan and buffers, as `auto_explain` writes them to its log.

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::Value;

use super::Server;

/// One statement that was carried out.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its text.
    pub query: String,
    /// Pages of 8 KiB that were looked at, counted as often as they were.
    pub buffers: u64,
    /// Rows that were read and thrown away.
    pub discarded: u64,
    /// Tables that were read from one end to the other.
    pub scanned: BTreeSet<String>,
    /// All of it.
    pub plan: Value,
}

/// A server that writes down how it carries out statements.
#[derive(Debug)]
pub struct PlanServer {
    /// The server.
    pub server: Server,
    taken: usize,
}

impl PlanServer {
    /// Starts one.
    ///
    /// # Errors
    /// As [`Server::start`]; `auto_explain` comes with the server.
    pub async fn start() -> anyhow::Result<Self> {
        let settings = [
            "shared_preload_libraries=auto_explain",
            "auto_explain.log_min_duration=0",
            "auto_explain.log_analyze=on",
            "auto_explain.log_buffers=on",
            "auto_explain.log_timing=off",
            "auto_explain.log_format=json",
            "fsync=off",
            "full_page_writes=off",
            "autovacuum=off",
            "shared_buffers=512MB",
            "max_wal_size=4GB",
        ];
        Ok(Self { server: Server::start_with(&settings).await?, taken: 0 })
    }

    /// Takes what was carried out since the last time.
    ///
    /// # Errors
    /// When the log holds a plan that cannot be read.
    pub fn take(&mut self) -> anyhow::Result<Vec<Plan>> {
        let log = self.server.log();
        let new = log.get(self.taken..).unwrap_or_default();
        self.taken = log.len();
        let mut plans = Vec::new();
        let mut lines = new.lines().peekable();
        while let Some(line) = lines.next() {
            if !line.ends_with("plan:") {
                continue;
            }
            let mut text = String::new();
            while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
                text.push_str(more);
                text.push('\n');
            }
            plans.push(read(&text).with_context(|| format!("read the plan {text}"))?);
        }
        Ok(plans)
    }
}

fn read(text: &str) -> anyhow::Result<Plan> {
    // A continued line of the log begins with a tab, also inside the text of a query, which JSON does not allow.
    let plan: Value = serde_json::from_str(&text.replace('\t', " "))?;
    let query = plan["Query Text"].as_str().context("it names no statement")?.to_owned();
    let mut read = Plan { query, buffers: 0, discarded: 0, scanned: BTreeSet::new(), plan: Value::Null };
    look(&plan["Plan"], &mut read);
    read.plan = plan;
    Ok(read)
}

/// A part that changes rows and that nobody reads is carried out after the whole: hence the greatest of all.
fn look(node: &Value, into: &mut Plan) {
    let number = |name: &str| node[name].as_u64().unwrap_or_default();
    into.buffers = into.buffers.max(number("Shared Hit Blocks") + number("Shared Read Blocks"));
    let loops = number("Actual Loops").max(1);
    into.discarded += (number("Rows Removed by Filter") + number("Rows Removed by Index Recheck")) * loops;
    let index_alone =
        node["Index Cond"].is_null() && node["Node Type"].as_str().is_some_and(|kind| kind.contains("Index"));
    if node["Node Type"] == "Seq Scan"
        && let Some(table) = node["Relation Name"].as_str()
    {
        into.scanned.insert(table.to_owned());
    }
    // An index that is read without a condition ends where somebody has enough, or at its end.
    if index_alone && number("Actual Rows") * loops > 20_000 {
        into.scanned.insert(node["Index Name"].as_str().unwrap_or_default().to_owned());
    }
    for part in node["Plans"].as_array().into_iter().flatten() {
        look(part, into);
    }
}
