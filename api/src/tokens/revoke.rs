//! `POST /v1/tokens/revoke`: one token, or all of a person, before their time is over.

use actix_web::{HttpRequest, HttpResponse, web};
use model::job::Caller;
use model::problem::{Problem, ProblemKind, StoredProblem};
use serde::Deserialize;
use serde_json::Value;
use store::TokenRevocation;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Identity;
use crate::body::read_json;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::check_fields::{refuse_unknown, take_given, wrong};

/// Which tokens: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RevokeTokens {
    /// One.
    One(RevokeOne),
    /// All of a person.
    AllOf(RevokeAllOf),
}

/// Revokes one token.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = RevokeToken)]
#[serde(deny_unknown_fields)]
pub struct RevokeOne {
    /// `id` of the answer that minted it.
    id: Uuid,
}

/// Revokes all tokens that a person was given until now.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = RevokeTokensOf)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllOf {
    /// The person.
    #[schema(pattern = "^[A-Za-z0-9_@.+-]{1,100}$")]
    principal: String,
}

/// Revokes tokens of the tenant: within five seconds they open nothing any more, and what they opened ends. Revoking what was never
/// minted is no error.
#[utoipa::path(post, path = "/v1/tokens/revoke", tag = "tokens", request_body = RevokeTokens,
    responses(
        (status = 204, description = "Revoked"),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 413, description = "body-too-large", body = StoredProblem),
        (status = 415, description = "unsupported-media-type", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn revoke(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    gateway.store.revoke_tokens(check(&identity, body)?).await?;
    gateway.lifelines.look_now();
    Ok(HttpResponse::NoContent().finish())
}

fn check(identity: &Identity, body: Value) -> Result<TokenRevocation, ApiError> {
    let Value::Object(mut fields) = body else {
        let detail = "The body must be a JSON object such as {\"principal\": \"customer-7\"}.";
        return Err(ApiError::new(ProblemKind::InvalidBody, detail));
    };
    let mut errors = Vec::new();
    let tenant = identity.tenant.clone();
    let which = match (take_given(&mut fields, "id"), take_given(&mut fields, "principal")) {
        (Some(id), None) => {
            let id = id.as_str().and_then(|id| Uuid::try_parse(id).ok());
            if id.is_none() {
                errors.push(wrong("/id", "must be the id of a token, a UUID"));
            }
            id.map(|id| TokenRevocation::One { tenant, id })
        }
        (None, Some(principal)) => {
            let principal = principal.as_str().unwrap_or_default().to_owned();
            if let Err(expected) = Caller::check_name(&principal) {
                errors.push(wrong("/principal", format!("must name a person: {expected}")));
            }
            Some(TokenRevocation::AllOf(Caller { tenant, principal }))
        }
        _ => {
            errors.push(wrong("", "must have either id or principal"));
            None
        }
    };
    refuse_unknown(&fields, "", "id and principal", &mut errors);
    match which {
        Some(which) if errors.is_empty() => Ok(which),
        _ => Err(Problem::invalid(errors).into()),
    }
}
