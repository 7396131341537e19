//! What each cell of the table has to hold.

use ::api::auth::Access;
use ::api::routes::RouteEntry;
use store::Scope;

use super::{Expected, Identity, Pass};

/// The rule.
pub(super) fn expected(row: &RouteEntry, who: &Identity) -> Expected {
    let Access::Needs(scope) = row.access else { return public(row, who) };
    if let Some(why) = who.shut_out {
        return (401, why);
    }
    if !who.scopes.contains(&scope) {
        return (403, "forbidden");
    }
    let of_schedules = row.path.starts_with("/v1/schedules");
    if of_schedules && who.is_token && row.path != "/v1/schedules/preview" {
        return (403, "forbidden");
    }
    if of_schedules && row.path.contains("{id}") {
        // The id is a job's.
        return (404, "schedule-not-found");
    }
    let reaches = if scope == Scope::Admin { who.same_tenant } else { who.owns };
    if row.path.contains("{id}") && !(reaches && who.sees) {
        return (404, "job-not-found");
    }
    let names_report = matches!(
        (row.method.as_str(), row.path),
        ("GET", "/v1/reports/{name}") | ("POST", "/v1/jobs" | "/v1/tokens" | "/v1/schedules")
    );
    if names_report && !who.sees {
        return (404, "report-not-found");
    }
    if row.path == "/v1/tokens" && !who.scopes.contains(&Scope::Read) && !who.scopes.contains(&Scope::Write) {
        // A token would have nothing to do.
        return (422, "validation-failed");
    }
    let runs = ["/v1/jobs", "/v1/jobs/{id}/replay", "/v1/admin/dead-letters/{id}/replay"].contains(&row.path);
    if who.exhausted && row.method == "POST" && runs {
        return (429, "quota-exhausted");
    }
    served(row).unwrap_or_else(|| panic!("say what {row:?} answers whom it serves"))
}

/// What a route answers whom it serves, about a job that is done.
fn served(row: &RouteEntry) -> Option<Expected> {
    Some(match (row.method.as_str(), row.path) {
        ("POST", "/v1/jobs") => (202, ""),
        ("POST", "/v1/tokens" | "/v1/schedules" | "/v1/admin/pauses") => (201, ""),
        ("DELETE", "/v1/admin/pauses") => (404, "not-found"),
        ("POST", "/v1/tokens/revoke") => (204, ""),
        ("POST", "/v1/jobs/{id}/cancel" | "/v1/jobs/{id}/replay" | "/v1/admin/dead-letters/{id}/replay") => {
            (409, "wrong-state")
        }
        ("POST", "/v1/jobs/{id}/formats") => (409, "parquet-missing"),
        ("GET", "/v1/jobs/{id}/preview") => (404, "preview-not-found"),
        ("GET", "/v1/ws") => (426, "upgrade-required"),
        (
            "GET",
            "/v1/reports"
            | "/v1/reports/{name}"
            | "/v1/jobs"
            | "/v1/jobs/{id}"
            | "/v1/jobs/{id}/events"
            | "/v1/jobs/{id}/links"
            | "/v1/jobs/{id}/artifacts/{format}"
            | "/v1/jobs/{id}/artifacts/{format}/receipt"
            | "/v1/events"
            | "/v1/usage"
            | "/v1/admin/queues"
            | "/v1/admin/backlog"
            | "/v1/admin/workers"
            | "/v1/admin/calibration"
            | "/v1/admin/deliveries"
            | "/v1/admin/dead-letters"
            | "/v1/admin/pauses"
            | "/v1/admin/audit"
            | "/v1/schedules"
            | "/v1/schedules/upcoming",
        )
        | (
            "POST",
            "/v1/jobs/{id}/artifacts/{format}/revoke-link"
            | "/v1/ws/ticket"
            | "/v1/admin/deliveries/send-again"
            | "/v1/admin/dead-letters/replay"
            | "/v1/schedules/preview",
        ) => (200, ""),
        _ => return None,
    })
}

/// What is public is the same for all; a pass that opens nothing is only told where somebody asks whose it is.
fn public(row: &RouteEntry, who: &Identity) -> Expected {
    match (row.method.as_str(), row.path) {
        ("GET", "/v1/session") => match (who.shut_out, &who.pass) {
            (Some(why), Pass::Bearer(_)) => (401, why),
            _ => (200, ""),
        },
        ("POST", "/v1/session") => (401, "unauthorized"),
        ("DELETE", "/v1/session") => (204, ""),
        ("POST", "/d/{token}/again") => (303, ""),
        ("GET", "/assets/{version}/{path:.*}") => (404, "not-found"),
        // There is no such provider: pages, and no problems.
        ("GET", "/login/{issuer}" | "/login/{issuer}/callback") => (404, ""),
        // For whoever may read, unless the configuration opens it.
        ("GET", "/status") => match who.shut_out {
            Some(why) => (401, why),
            None if who.scopes.contains(&Scope::Read) => (200, ""),
            None => (403, "forbidden"),
        },
        _ => (200, ""),
    }
}
