//! What a claim by turn sees of the database: hints, tenants, who runs, what is paused.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::turn_memory::{TurnKey, TurnMemory};
use model::job::{JobState, Lane};
use model::pause::{PauseKind, PauseTarget};
use model::turns::{PrincipalTurn, Running, TenantTurn};
use store::TurnRules;

/// All of it, as the statement answers.
#[derive(Debug, Deserialize)]
pub(super) struct TurnView {
    pub(super) now: DateTime<Utc>,
    pub(super) registered: bool,
    paused: Vec<PauseTarget>,
    /// Report versions whose source is paused, and that.
    versions: HashMap<String, String>,
    hints: Vec<HintStanding>,
    tenants: Vec<TenantRow>,
    running: Vec<RunningRow>,
}

/// How the job stands that a doorbell was rung for.
#[derive(Debug, Deserialize)]
pub(super) struct HintStanding {
    id: Uuid,
    pub(super) state: JobState,
    pub(super) crashes: i32,
    lane: Lane,
    tenant: String,
    principal: String,
    report: String,
    report_version: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) follows: bool,
    pub(super) set_aside: bool,
    pub(super) due_ms: Option<i64>,
    /// It waits, and its tenant or principal has no turn yet.
    pub(super) unlisted: bool,
}

#[derive(Debug, Deserialize)]
struct TenantRow {
    lane: Lane,
    tenant: String,
    pass: f64,
    weight: f64,
    principals: Vec<(String, f64)>,
}

#[derive(Debug, Deserialize)]
struct RunningRow {
    lane: Lane,
    tenant: String,
    principal: String,
    count: u32,
    ms: f64,
}

impl HintStanding {
    /// Whose turn it waits for.
    pub(super) fn key(&self) -> TurnKey {
        TurnKey::new(self.lane, &self.tenant, &self.principal)
    }
}

impl TurnView {
    pub(super) fn hint(&self, id: Uuid) -> Option<&HintStanding> {
        self.hints.iter().find(|hint| hint.id == id)
    }

    /// Names the pause that keeps a job waiting.
    pub(super) fn pause_of(&self, hint: &HintStanding) -> Option<String> {
        let source = self.versions.get(&hint.report_version).map(String::as_str);
        let found = PauseTarget::find(&self.paused, &hint.tenant, (hint.lane, &hint.report), source);
        found.map(PauseTarget::to_string)
    }

    /// Reports (`<tenant>/r/<name>`) and their versions (`<tenant>/v/<version>`) that are paused, without tenant where for everybody,
    /// and what for.
    pub(super) fn held(&self) -> Vec<(String, String)> {
        let mut held = Vec::new();
        for target in &self.paused {
            let tenant = target.tenant.as_deref().unwrap_or_default();
            match target.kind {
                PauseKind::Report => held.push((format!("{tenant}/r/{}", target.name), target.to_string())),
                PauseKind::Source => {
                    let of_source = self.versions.iter().filter(|(_, source)| **source == target.name);
                    held.extend(of_source.map(|(version, _)| (format!("{tenant}/v/{version}"), target.to_string())));
                }
                PauseKind::Lane | PauseKind::Tenant => {}
            }
        }
        held
    }

    /// Returns who may be next in a lane, with what this process knows beside.
    pub(super) fn tenants_of(
        &self,
        lane: Lane,
        rules: &TurnRules,
        memory: &TurnMemory,
        without: &HashSet<TurnKey>,
    ) -> Vec<TenantTurn> {
        let is_stopped = |row: &TenantRow| self.paused.iter().any(|pause| pause.stops(&row.tenant, lane));
        let of_lane = self.tenants.iter().filter(|row| row.lane == lane && !is_stopped(row));
        of_lane
            .map(|row| {
                let key = TurnKey::new(lane, &row.tenant, "");
                let weight = rules.weight_of(&row.tenant);
                let used = memory.used_by(&key) / weight;
                if (weight - row.weight).abs() > f64::EPSILON {
                    memory.weighs(key, weight);
                }
                let principals = row.principals.iter().filter_map(|(principal, pass)| {
                    let key = TurnKey::new(lane, &row.tenant, principal);
                    (!without.contains(&key)).then(|| PrincipalTurn {
                        principal: principal.clone(),
                        pass: pass + memory.used_by(&key),
                        running: self.running(lane, &row.tenant, Some(principal)),
                    })
                });
                TenantTurn {
                    principals: principals.collect(),
                    tenant: row.tenant.clone(),
                    pass: row.pass + used,
                    weight,
                    running: self.running(lane, &row.tenant, None),
                }
            })
            .collect()
    }

    fn running(&self, lane: Lane, tenant: &str, principal: Option<&str>) -> Running {
        let is_of = |row: &&RunningRow| {
            row.lane == lane && row.tenant == tenant && principal.is_none_or(|name| row.principal == name)
        };
        self.running
            .iter()
            .filter(is_of)
            .fold(Running::default(), |sum, row| Running { count: sum.count + row.count, ms: sum.ms + row.ms })
    }
}
