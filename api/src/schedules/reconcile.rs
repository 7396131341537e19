//! What the catalogue's files say of schedules is put in force. Every gateway does so, and there is no leader: what decides is the
//! write, guarded by the version that was seen, and by the place that only one schedule of a tenant can have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::job::Caller;
use model::schedule::{CataloguePlace, NextFiring, Schedule, ScheduleSettings};
use model::seal::SealedJob;
use report::{CatalogueSnapshot, DefinitionFault, ReportDefinition, ScheduleSpec};
use serde_json::Value;
use store::{CatalogueEdition, HoldTimes, InForce, NewSchedule, ScheduleChange, StoreError};
use uuid::Uuid;

use super::change::next_of;
use super::check_schedule::check_schedule;
use super::create::{plan, seal};
use super::in_catalogue::{CatalogueMove, NOTHING, decide, put_first};
use crate::auth::identify_owner;
use crate::error::ApiError;
use crate::gateway::Gateway;

/// Puts the catalogue's schedules in force, look by look.
#[derive(Debug)]
pub(super) struct Reconciler {
    times: HoldTimes,
    /// What is wrong and was told: each is told once, and again when it came back.
    told: BTreeSet<String>,
}

/// A schedule of this gateway's own files.
struct OwnSpec<'a> {
    report: &'a ReportDefinition,
    /// Which of the file's.
    index: usize,
    spec: &'a ScheduleSpec,
}

/// Why one cannot be put in force.
enum Unfit {
    /// The file says what cannot be done.
    Wrong(Vec<DefinitionFault>),
    /// Nobody can say now.
    Later(ApiError),
    /// The store does not answer.
    Store(StoreError),
}

impl From<StoreError> for Unfit {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The word of whoever has what is in force holds so many times as long as it takes to read the files again: a minute where that is
/// every two seconds. Files that are handed out to many machines take about so long to come to all of them.
const HELD_FOR: u32 = 30;
/// However often files are read again.
const HELD_AT_LEAST: Duration = Duration::from_secs(5);

impl Reconciler {
    /// Begins, for files that are read again every so often.
    pub(super) fn new(reload_every: Duration) -> Self {
        let held_for = reload_every.saturating_mul(HELD_FOR).max(HELD_AT_LEAST);
        Self { times: HoldTimes { say_again: held_for / 3, held_for }, told: BTreeSet::new() }
    }

    /// Compares what is in force with the files, and does what follows.
    pub(super) async fn look(&mut self, gateway: &Gateway) -> Result<(), StoreError> {
        let snapshot = gateway.catalogue.snapshot();
        let mut own = own_specs(&snapshot);
        let (mut held, mut faults) = (Vec::new(), Vec::new());
        let all_in_force = gateway.store.schedules_in_force(self.times).await?;
        for in_force in &all_in_force {
            let spec = own.remove(&(in_force.tenant.as_str(), in_force.edition.place.clone()));
            if spec.is_none() && is_unreadable(&snapshot, &in_force.edition.place) {
                continue;
            }
            let edition = spec.as_ref().map_or_else(|| NOTHING.to_owned(), |spec| spec.spec.edition());
            match decide(&edition, in_force) {
                CatalogueMove::Hold if in_force.asks_again => held.push(in_force.id),
                CatalogueMove::Hold | CatalogueMove::Wait => {}
                CatalogueMove::Put => note(put(gateway, in_force, spec.as_ref(), &edition).await, &mut faults)?,
            }
        }
        for ((_, place), spec) in own {
            note(create(gateway, place, &spec).await, &mut faults)?;
        }
        if !held.is_empty() {
            gateway.store.hold_schedules(&held).await?;
        }
        self.tell(&faults);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 schedules")]
    fn tell(&mut self, faults: &[DefinitionFault]) {
        let now: BTreeSet<String> = faults.iter().map(ToString::to_string).collect();
        for fault in now.difference(&self.told) {
            tracing::error!("the catalogue file {fault}; the schedule stays as it was");
        }
        metrics::gauge!("waitless_schedules_not_in_force").set(now.len() as f64);
        self.told = now;
    }
}

fn own_specs(snapshot: &CatalogueSnapshot) -> BTreeMap<(&str, CataloguePlace), OwnSpec<'_>> {
    let all = snapshot.reports.values().flat_map(|report| {
        report.schedules.iter().enumerate().map(move |(index, spec)| {
            let place = CataloguePlace { report: report.name.clone(), name: spec.name.clone() };
            ((spec.tenant.as_str(), place), OwnSpec { report, index, spec })
        })
    });
    all.collect()
}

/// Tells whether a place is in a file that has faults and was never good since the start: what it said before goes on.
fn is_unreadable(snapshot: &CatalogueSnapshot, place: &CataloguePlace) -> bool {
    let file = format!("{}.toml", place.report);
    !snapshot.reports.contains_key(&place.report) && snapshot.faults.iter().any(|fault| fault.file == file)
}

fn note(done: Result<(), Unfit>, faults: &mut Vec<DefinitionFault>) -> Result<(), StoreError> {
    match done {
        Ok(()) => {}
        Err(Unfit::Wrong(found)) => faults.extend(found),
        Err(Unfit::Later(error)) => tracing::debug!(%error, "a schedule of the catalogue waits"),
        Err(Unfit::Store(error)) => return Err(error),
    }
    Ok(())
}

/// Writes one that is new. That another gateway was faster is as good.
async fn create(gateway: &Gateway, place: CataloguePlace, own: &OwnSpec<'_>) -> Result<(), Unfit> {
    let (id, owner) = (Uuid::now_v7(), owner_of(own.spec));
    let settings = settings(gateway, &owner, id, own).await?;
    let now = gateway.store.now().await?;
    let next = plan(gateway, id, &settings).map_err(Unfit::Later)?.and_then(|plan| plan.first(now, true));
    let editions = vec![own.spec.edition(), NOTHING.to_owned()];
    let catalogue = Some(CatalogueEdition { place: place.clone(), editions });
    if gateway.store.create_schedule(NewSchedule { id, owner, settings, next, catalogue }).await?.is_some() {
        tracing::info!(schedule = %id, %place, tenant = own.spec.tenant, "a schedule of the catalogue is in force");
    }
    Ok(())
}

/// Puts what this gateway's file says in the place of what is in force; `None`: that it says nothing any more.
async fn put(gateway: &Gateway, in_force: &InForce, own: Option<&OwnSpec<'_>>, edition: &str) -> Result<(), Unfit> {
    let Some(before) = gateway.store.schedule(&in_force.tenant, in_force.id).await? else { return Ok(()) };
    let (owner, settings, next) = match own {
        None => (before.owner.clone(), before.settings.clone(), None),
        Some(own) => {
            let owner = owner_of(own.spec);
            let settings = settings(gateway, &owner, before.id, own).await?;
            let next = next(gateway, &before, &settings).await?;
            (owner, settings, next)
        }
    };
    let catalogue = Some(put_first(edition, &in_force.edition));
    let (id, version, paused_why) = (in_force.id, in_force.version, before.paused_why);
    let change = ScheduleChange { id, version, owner, settings, paused_why, next, catalogue };
    if gateway.store.change_schedule(change).await?.is_some() {
        let (place, ended) = (&in_force.edition.place, own.is_none());
        tracing::info!(schedule = %id, %place, tenant = in_force.tenant, ended, "a schedule of the catalogue has changed");
    }
    Ok(())
}

async fn next(gateway: &Gateway, before: &Schedule, settings: &ScheduleSettings) -> Result<Option<NextFiring>, Unfit> {
    let now = gateway.store.now().await?;
    if before.ended {
        return Ok(plan(gateway, before.id, settings).map_err(Unfit::Later)?.and_then(|plan| plan.first(now, false)));
    }
    next_of(gateway, before, settings, before.paused_why.is_none(), now).map_err(Unfit::Later)
}

fn owner_of(spec: &ScheduleSpec) -> Caller {
    Caller { tenant: spec.tenant.clone(), principal: spec.owner.clone() }
}

/// Checks what a file asks for, as if its owner had asked the API.
async fn settings(gateway: &Gateway, owner: &Caller, id: Uuid, own: &OwnSpec<'_>) -> Result<ScheduleSettings, Unfit> {
    let report = own.report;
    let Some(identity) = identify_owner(gateway, owner, &report.name).await.map_err(Unfit::Later)? else {
        let detail = format!(
            "`{}` of the tenant `{}` has no API key that may submit: `waitless keys create --tenant {} --principal {}`",
            owner.principal, owner.tenant, owner.tenant, owner.principal
        );
        return Err(Unfit::Wrong(vec![fault(own, "/owner", &detail)]));
    };
    let mut body = own.spec.asked.clone();
    body.insert("report".to_owned(), Value::from(report.name.as_str()));
    let now = gateway.store.now().await?;
    let (mut settings, submit) = check_schedule(gateway, &identity, Value::Object(body), now).map_err(|error| {
        let told: Vec<_> = error.errors().iter().map(|one| fault(own, &one.pointer, &one.detail)).collect();
        Unfit::Wrong(if told.is_empty() { vec![fault(own, "/owner", error.detail())] } else { told })
    })?;
    seal(gateway, &mut settings, &submit.report, SealedJob::new(&owner.tenant, id)).map_err(Unfit::Later)?;
    Ok(settings)
}

/// Says what is wrong at its place in the file.
fn fault(own: &OwnSpec<'_>, pointer: &str, detail: &str) -> DefinitionFault {
    let index = own.index.to_string();
    let steps = pointer.split('/').skip(1);
    let path: Vec<&str> = ["schedules", index.as_str()].into_iter().chain(steps).collect();
    own.report.fault_at(&path, format!("[[schedules]] `{}`: {detail}", own.spec.name))
}
