//! Everything under `/v1/schedules`, and the scheduler that has them fire.

pub mod calendars;
pub mod change;
mod check_schedule;
mod check_times;
pub mod create;
pub mod delete;
pub mod fire;
mod in_catalogue;
mod plan;
mod prepare;
pub mod preview;
pub mod read;
mod reconcile;
pub(crate) mod scheduler;
pub mod settings_body;
mod turn;
pub mod upcoming;
pub mod view;

use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;
use model::problem::ProblemKind;
use model::schedule::{CataloguePlace, Schedule};
use store::Scope;
use uuid::Uuid;

use crate::auth::{Identity, identify_owner};
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::jobs::parse_id;

/// Says that there is no such schedule: also of one that is somebody else's.
fn no_such_schedule() -> ApiError {
    let detail = "No schedule of yours has this id. Check the id, and whose key you are using.";
    ApiError::new(ProblemKind::ScheduleNotFound, detail)
}

/// A schedule outlives a token by far, and would go on in the name of whoever the token was for.
fn refuse_token(identity: &Identity) -> Result<(), ApiError> {
    if identity.credential().token().is_none() {
        return Ok(());
    }
    let detail = "Schedules are for API keys and people who are signed in: a token ends long before a schedule does.";
    Err(ApiError::new(ProblemKind::Forbidden, detail))
}

/// A schedule runs with an API key of its owner. Whoever signed in at a provider may have none, and would have it pause at once.
async fn check_has_key(gateway: &Gateway, identity: &Identity, report: &str) -> Result<(), ApiError> {
    if identity.credential().key_hash().is_some() || identify_owner(gateway, identity, report).await?.is_some() {
        return Ok(());
    }
    let detail = "A schedule runs with an API key of its owner, and you have none. Ask an operator for one in your name: \
                  `waitless keys create --tenant … --principal …`.";
    Err(ApiError::new(ProblemKind::Forbidden, detail))
}

/// Tells whether somebody may run a report of this name. One that has left the catalogue hides nothing but itself.
fn may_run_named(gateway: &Gateway, identity: &Identity, report: &str) -> bool {
    match gateway.catalogue.report(report) {
        Some(report) => identity.may_run(&report),
        None => identity.may_see(report, None),
    }
}

/// Reads a schedule: one's own, or for `admin` any of the tenant's.
async fn find_schedule(gateway: &Gateway, identity: &Identity, id: &str) -> Result<Schedule, ApiError> {
    refuse_token(identity)?;
    let id: Uuid = parse_id(id)?;
    let found = gateway.store.schedule(&identity.tenant, id).await?;
    let may_see = |schedule: &Schedule| {
        let reaches = identity.scopes().contains(&Scope::Admin) || schedule.owner.principal == identity.principal;
        reaches && may_run_named(gateway, identity, &schedule.settings.report)
    };
    found.filter(may_see).ok_or_else(no_such_schedule)
}

/// Writes the entity tag of a schedule: its version.
fn entity_tag(schedule: &Schedule) -> String {
    format!("\"{}\"", schedule.version)
}

/// Refuses a change to a schedule that the client has seen in another version.
fn check_match(request: &HttpRequest, schedule: &Schedule) -> Result<(), ApiError> {
    let mut given = request.headers().get_all(IF_MATCH).peekable();
    if given.peek().is_none() {
        return Ok(());
    }
    let tag = entity_tag(schedule);
    let is_it = |one: &str| one.trim() == "*" || one.trim() == tag;
    if given.any(|line| line.to_str().is_ok_and(|line| line.split(',').any(is_it))) { Ok(()) } else { Err(changed()) }
}

/// Says where a schedule is changed that nobody can change here.
fn stands_in_file(place: &CataloguePlace) -> ApiError {
    let CataloguePlace { report, name } = place;
    let detail = format!(
        "This schedule stands in the catalogue, as `{name}` in the file {report}.toml: change it there, or take it out. Here it can be \
         paused ({{\"paused\": true}}), go on ({{\"paused\": false}}) and be fired."
    );
    ApiError::new(ProblemKind::Forbidden, detail)
}

/// Says that a schedule has left the catalogue.
fn has_ended(place: &CataloguePlace) -> ApiError {
    let CataloguePlace { report, name } = place;
    let detail = format!(
        "This schedule has ended: the catalogue's file {report}.toml has no `{name}` any more. Put it back there, or DELETE it with the \
         record of its firings."
    );
    ApiError::new(ProblemKind::Forbidden, detail)
}

/// Says that somebody else was faster.
fn changed() -> ApiError {
    let detail = "The schedule has changed since you read it. Read it again, and send your change with its ETag.";
    ApiError::new(ProblemKind::ScheduleChanged, detail)
}
