//! The OpenAPI document, generated from the handlers. `docs/openapi.json` is a copy that a test compares.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::{admin, jobs, links, operations, reports, session, watch};

/// Every route.
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Waitless", description = "Turns any slow report into a job. Every error is application/problem+json (RFC 9457)."),
    paths(
        reports::list,
        reports::read,
        jobs::submit::submit,
        jobs::list::list,
        jobs::read::read,
        jobs::preview::preview,
        jobs::watch::watch,
        jobs::cancel::cancel,
        jobs::formats::make,
        jobs::replay::replay,
        jobs::artifact::file,
        jobs::artifact::receipt,
        jobs::artifact::revoke_link,
        watch::feed::watch,
        watch::socket::open,
        watch::ticket::make,
        session::read,
        session::sign_in,
        session::sign_out,
        links::follow,
        links::again,
        links::status,
        jobs::links::list,
        admin::queues::list,
        admin::workers::list,
        admin::calibration::read,
        admin::deliveries::list,
        admin::dead_letters::list,
        admin::dead_letters::replay_one,
        admin::dead_letters::replay_many,
        operations::livez,
        operations::readyz,
        operations::metrics,
        operations::openapi,
        operations::asyncapi,
    ),
    security(("key" = [])),
    modifiers(&BearerKey)
)]
pub struct Document;

/// Adds the API key to the document.
struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("wl_…").build();
        document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}
