//! `GET /v1/admin/audit`: the audit log of the tenant, as JSON Lines.

use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use model::access::{open_cursor, seal_cursor};
use model::audit::AuditAct;
use model::problem::{ProblemKind, StoredProblem};
use serde::Deserialize;

use crate::audit::note;
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::list::parse_query;

/// Which part of the log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// From this time on.
    from: Option<DateTime<Utc>>,
    /// At most this many rows, and at most `http.max_page`.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `Link` of the page before; goes on behind it.
    cursor: Option<String>,
}

/// Reads the tenant's audit log, oldest first, one row a line. `Link` leads to what comes behind the page, also to rows that are yet
/// to be written; an empty page is the end for now.
#[utoipa::path(get, path = "/v1/admin/audit", tag = "admin", params(AuditQuery),
    responses(
        (status = 200, description = "Rows of the log", content_type = "application/jsonl", body = String),
        (status = 400, description = "invalid-query", body = StoredProblem),
    )
)]
pub async fn list(gateway: web::Data<Gateway>, identity: Identity, request: HttpRequest) -> ApiResult {
    let query: AuditQuery = parse_query(&request)?;
    let invalid = |detail: String| ApiError::new(ProblemKind::InvalidQuery, detail);
    let most = gateway.http.max_page;
    let limit = query.limit.unwrap_or(most);
    if limit == 0 || limit > most {
        return Err(invalid(format!("`limit` must be between 1 and {most}.")));
    }
    let purpose = format!("audit\n{}", identity.tenant);
    let after = match (&query.cursor, query.from) {
        (Some(_), Some(_)) => return Err(invalid("`cursor` goes on behind a page: leave `from` out.".to_owned())),
        (Some(cursor), None) => {
            let position = open_cursor(gateway.link_secret.all(), &purpose, cursor);
            let number = position.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
            number.ok_or_else(|| invalid("`cursor` is not one of this log's. Start without a cursor.".to_owned()))?
        }
        (None, from) => {
            let detail = from.map(|from| from.to_rfc3339()).unwrap_or_default();
            note(&gateway, &identity, AuditAct::AuditRead, (String::new(), detail)).await?;
            match from {
                Some(from) => gateway.store.audit_place(&identity.tenant, from).await?,
                None => 0,
            }
        }
    };
    let rows = gateway.store.audit_entries(&identity.tenant, after, limit).await?;
    let mut answer = HttpResponse::Ok();
    answer.content_type("application/jsonl");
    if let Some(last) = rows.last() {
        let next = seal_cursor(gateway.link_secret.expose(), &purpose, &last.number.to_be_bytes());
        let base = gateway.own_address.base(&request);
        answer.insert_header((LINK, format!("<{base}{}?cursor={next}&limit={limit}>; rel=\"next\"", request.path())));
    }
    let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let mut text = lines.map_err(|error| ApiError::internal("write the audit log", &error))?.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(answer.body(text))
}
