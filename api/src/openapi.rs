//! The OpenAPI document, generated from the handlers. `docs/openapi.json` is a copy that a test compares.

use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr};
use utoipa::{Modify, OpenApi};

use crate::{admin, jobs, links, operations, reports, schedules, session, tokens, usage, watch};

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
        schedules::create::create,
        schedules::read::list,
        schedules::preview::preview,
        schedules::upcoming::list,
        schedules::read::read,
        schedules::change::change,
        schedules::delete::delete,
        schedules::fire::fire,
        watch::feed::watch,
        watch::socket::open,
        watch::ticket::make,
        usage::read,
        tokens::mint::mint,
        tokens::revoke::revoke,
        session::read,
        session::sign_in,
        session::sign_out,
        links::follow,
        links::again,
        links::status,
        jobs::links::list,
        admin::audit::list,
        admin::queues::list,
        admin::pauses::list,
        admin::pauses::pause,
        admin::pauses::resume,
        admin::backlog::read,
        admin::workers::list,
        admin::calibration::read,
        admin::deliveries::list,
        admin::send_again::send_again,
        admin::dead_letters::list,
        admin::dead_letters::replay_one,
        admin::dead_letters::replay_many,
        operations::livez,
        operations::readyz,
        operations::openapi,
        operations::asyncapi,
    ),
    security(("key" = [])),
    modifiers(&BearerKey, &CommonAnswers)
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

/// Adds what every route may answer, so that no handler has to say it, and gives problems their media type.
struct CommonAnswers;

impl Modify for CommonAnswers {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let methods = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
            for operation in methods.into_iter().flatten() {
                add_common(path, operation);
                for response in operation.responses.responses.values_mut() {
                    if let RefOr::T(response) = response {
                        type_problems(response);
                    }
                }
            }
        }
    }
}

/// Status, and what it means. Probes and documents answer whoever asks, in their own way.
const PUBLIC: [(&str, &str); 3] = [
    ("408", "The request did not arrive in time: request-timed-out for its body; without a body when it was the head"),
    ("500", "internal"),
    ("503", "unavailable"),
];
const WITH_KEY: [(&str, &str); 4] = [
    ("400", "invalid-query: the path or the query string cannot be read, or has a parameter that there is not"),
    ("401", "unauthorized, key-expired"),
    ("403", "forbidden: the key lacks the scope"),
    ("429", "too-many-requests"),
];
const WITH_BODY: [(&str, &str); 3] = [
    ("400", "invalid-body: not JSON, or a key stands twice in an object"),
    ("413", "body-too-large"),
    ("415", "unsupported-media-type: not JSON in UTF-8, or with a `Content-Encoding`"),
];

fn add_common(path: &str, operation: &mut Operation) {
    let service = path.starts_with("/v1/") || path.starts_with("/d/");
    let always = if service { &PUBLIC[..] } else { &PUBLIC[..1] };
    let with_key = if operation.security.is_none() { &WITH_KEY[..] } else { &[] };
    let with_body = if operation.request_body.is_some() { &WITH_BODY[..] } else { &[] };
    let responses = &mut operation.responses.responses;
    for (status, meaning) in [always, with_body, with_key].concat() {
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(describe(meaning)));
    }
}

fn describe(meaning: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("StoredProblem"))).build();
    ResponseBuilder::new().description(meaning).content("application/json", content).build()
}

/// A problem is `application/problem+json`, whatever is written down for its type elsewhere.
fn type_problems(response: &mut Response) {
    let is_problem = |content: &RefOr<Content>| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(to)), .. }) => to.ref_location.ends_with("/StoredProblem"),
        _ => false,
    };
    if response.content.get("application/json").is_some_and(is_problem)
        && let Some(content) = response.content.swap_remove("application/json")
    {
        response.content.insert("application/problem+json".to_owned(), content);
    }
}
