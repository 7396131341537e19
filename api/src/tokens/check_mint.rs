//! The body of a mint is checked: everything that is wrong is told at once, each with its JSON pointer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::attributes::Attributes;
use model::job::{Caller, Params};
use model::problem::{FieldError, Problem, ProblemKind, pointer_part};
use model::recipient::{is_rule, is_webhook_rule};
use report::{ReportDefinition, UnreadAttribute, check_attributes, validate_params};
use serde::Deserialize;
use serde_json::Value;
use store::{Scope, TokenBounds};
use utoipa::ToSchema;

use crate::auth::Identity;
use crate::closed_sets::{TOKEN_SCOPES, TokenScopeName};
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::jobs::check_fields::{check_array, check_object, refuse_unknown, take_given, wrong};
use crate::reports::no_such_report;

/// Longest and usual life of a token, in seconds.
const MAX_SECONDS: u64 = 3_600;
const USUAL_SECONDS: u64 = 900;

/// Most names in one list.
const MAX_NAMES: usize = 100;

// Written down for the document of the API; `check_mint` reads it, so that every fault is found.
/// Whom a token is for, and what it is bound to.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = MintToken)]
#[serde(deny_unknown_fields)]
pub struct MintBody {
    /// Whose jobs it submits and sees: whatever your own backend calls this person.
    #[schema(pattern = "^[A-Za-z0-9_@.+-]{1,100}$")]
    principal: String,
    /// `read`, `write`: both, as far as the key has them, when absent.
    #[schema(value_type = Option<Vec<TokenScopeName>>, min_items = 1)]
    scopes: Option<Vec<Scope>>,
    /// The reports it may run, and see jobs of; every one when absent.
    #[schema(min_items = 1, max_items = 100)]
    reports: Option<Vec<String>>,
    /// Parameters that are fixed: the holder can neither change them nor leave them out.
    #[schema(value_type = Object)]
    params: Option<Params>,
    /// What is known of this person, for the queries of reports: at most 32, each a text of at most 500 characters, a whole number, true
    /// or false, or a list of at most 200 texts or whole numbers. Those of the key that mints are there already, and stay as they are.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Params>,
    /// Who may be told when a job ends: addresses and `@domains`; nobody when absent.
    #[schema(max_items = 100)]
    recipients: Option<Vec<String>>,
    /// Jobs that its principal may have under way at once.
    #[schema(minimum = 1, maximum = 1000)]
    max_unfinished: Option<u32>,
    /// Seconds that it works; 900 when absent.
    #[schema(minimum = 1, maximum = 3600)]
    valid_for: Option<u64>,
}

/// A token that may be made.
#[derive(Debug)]
pub(super) struct MintRequest {
    pub(super) principal: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) valid_for: Duration,
    pub(super) bounds: TokenBounds,
}

/// Checks the body of a mint.
///
/// # Errors
/// `invalid-body` when it is no object, `report-not-found` when nothing else is wrong, `validation-failed`.
pub(super) fn check_mint(gateway: &Gateway, identity: &Identity, body: Value) -> Result<MintRequest, ApiError> {
    let Value::Object(mut fields) = body else {
        let detail = "The body must be a JSON object such as {\"principal\": \"customer-7\"}.";
        return Err(ApiError::new(ProblemKind::InvalidBody, detail));
    };
    let (mut errors, mut unknown) = (Vec::new(), Vec::new());
    let principal = check_principal(fields.remove("principal").as_ref(), &mut errors);
    let scopes = check_scopes(identity, take_given(&mut fields, "scopes"), &mut errors);
    let holder = Caller { tenant: identity.tenant.clone(), principal: principal.clone().unwrap_or_default() };
    let is_report = |name: &str| gateway.catalogue.report(name).filter(|report| identity.may_let_see(&holder, report));
    let reports =
        take_given(&mut fields, "reports").map(|given| check_reports(&is_report, given, &mut errors, &mut unknown));
    let params = check_object(take_given(&mut fields, "params"), "/params", &mut errors).unwrap_or_default();
    check_fixed(&is_report, reports.as_deref(), &params, &mut errors);
    let attributes =
        check_object(take_given(&mut fields, "attributes"), "/attributes", &mut errors).unwrap_or_default();
    let attributes = check_said(&is_report, identity, reports.as_deref(), attributes, &mut errors);
    let recipients = check_recipients(take_given(&mut fields, "recipients"), &mut errors);
    let unfinished = take_given(&mut fields, "max_unfinished");
    let max_unfinished = unfinished.and_then(|given| check_number(&given, "/max_unfinished", 1_000, &mut errors));
    let seconds = take_given(&mut fields, "valid_for");
    let seconds = seconds.and_then(|given| check_number(&given, "/valid_for", MAX_SECONDS, &mut errors));
    let known = "principal, scopes, reports, params, attributes, recipients, max_unfinished and valid_for";
    refuse_unknown(&fields, "", known, &mut errors);
    match principal {
        Some(principal) if errors.is_empty() && unknown.is_empty() => Ok(MintRequest {
            principal,
            scopes,
            valid_for: Duration::from_secs(seconds.unwrap_or(USUAL_SECONDS)),
            bounds: TokenBounds {
                reports,
                params,
                recipients,
                max_unfinished: max_unfinished.and_then(|most| u32::try_from(most).ok()),
                attributes,
            },
        }),
        _ if errors.is_empty() => {
            Err(ApiError::with_fields(ProblemKind::ReportNotFound, no_such_report().detail(), unknown))
        }
        _ => {
            errors.append(&mut unknown);
            Err(Problem::invalid(errors).into())
        }
    }
}

fn check_principal(given: Option<&Value>, errors: &mut Vec<FieldError>) -> Option<String> {
    let name = given.and_then(Value::as_str).unwrap_or_default();
    match Caller::check_name(name) {
        Ok(()) => Some(name.to_owned()),
        Err(expected) => {
            errors.push(wrong("/principal", format!("must name a person: {expected}")));
            None
        }
    }
}

fn check_scopes(identity: &Identity, given: Option<Value>, errors: &mut Vec<FieldError>) -> Vec<Scope> {
    let own: Vec<Scope> = TOKEN_SCOPES.into_iter().filter(|scope| identity.scopes().contains(scope)).collect();
    let names: Vec<&str> = own.iter().map(|scope| scope.as_str()).collect();
    let expected = format!("must be among those of the key that mints: {}", names.join(", "));
    if own.is_empty() {
        errors.push(wrong("/scopes", "cannot be given: the key that mints has itself neither read nor write"));
    }
    let Some(given) = given else { return own };
    let items = check_array(Some(given), "/scopes", errors).unwrap_or_default();
    if items.is_empty() {
        errors.push(wrong("/scopes", "must name at least one, or be left out"));
    }
    let mut scopes = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let scope = item.as_str().and_then(|name| name.parse::<Scope>().ok()).filter(|scope| own.contains(scope));
        match scope {
            Some(scope) if scopes.contains(&scope) => errors.push(wrong(format!("/scopes/{index}"), "is there twice")),
            Some(scope) => scopes.push(scope),
            None => errors.push(wrong(format!("/scopes/{index}"), expected.clone())),
        }
    }
    scopes
}

/// Returns the names, also those of no report, which are told in `unknown`.
fn check_reports(
    find: &dyn Fn(&str) -> Option<Arc<ReportDefinition>>,
    given: Value,
    errors: &mut Vec<FieldError>,
    unknown: &mut Vec<FieldError>,
) -> Vec<String> {
    let names = check_names(given, "/reports", errors);
    if names.is_empty() {
        errors.push(wrong("/reports", "must name at least one report, or be left out"));
    }
    let is_unknown = |name: &String| find(name).is_none();
    for (index, _) in names.iter().enumerate().filter(|(_, name)| is_unknown(name)) {
        unknown.push(wrong(format!("/reports/{index}"), "is not in the catalogue"));
    }
    names
}

/// Fixed values are good for each report that the token may run. Which ones it may run without naming them is only known when
/// it does.
fn check_fixed(
    find: &dyn Fn(&str) -> Option<Arc<ReportDefinition>>,
    reports: Option<&[String]>,
    params: &Params,
    errors: &mut Vec<FieldError>,
) {
    let definitions = reports.unwrap_or_default().iter().filter_map(|name| find(name));
    let mut told = HashSet::new();
    for definition in definitions {
        let faults = validate_params(&definition, params).err().unwrap_or_default();
        for fault in faults {
            let about = |name: &String| {
                let own = format!("/params/{}", pointer_part(name));
                fault.pointer == own || fault.pointer.starts_with(&format!("{own}/"))
            };
            if params.keys().any(about) && told.insert(fault.pointer.clone()) {
                errors.push(wrong(fault.pointer.clone(), format!("{} (report {})", fault.detail, definition.name)));
            }
        }
    }
}

/// What the key says stays. What is said beside it is good for each report that the token names; what these need and nobody says is
/// only told when they are run, so that one report that changes does not end the minting for all.
fn check_said(
    find: &dyn Fn(&str) -> Option<Arc<ReportDefinition>>,
    identity: &Identity,
    reports: Option<&[String]>,
    said: Params,
    errors: &mut Vec<FieldError>,
) -> Attributes {
    let own = identity.attributes();
    for (name, _) in said.iter().filter(|(name, value)| own.get(name).is_some_and(|own| own != *value)) {
        errors.push(wrong(attribute_pointer(Some(name)), "is fixed by the key that mints; leave it out"));
    }
    let attributes = match Attributes::new(own.among_names().chain(said)) {
        Ok(attributes) => attributes,
        Err(faults) => {
            let told = faults.into_iter().map(|fault| wrong(attribute_pointer(fault.name.as_deref()), fault.detail));
            errors.extend(told);
            return Attributes::default();
        }
    };
    let mut told = HashSet::new();
    for definition in reports.unwrap_or_default().iter().filter_map(|name| find(name)) {
        let unread = check_attributes(&definition, &attributes).err().unwrap_or_default();
        for UnreadAttribute { name, expected, .. } in unread.into_iter().filter(|unread| unread.is_there) {
            if told.insert(name.clone()) {
                let detail = format!("must be {expected} (report {})", definition.name);
                errors.push(wrong(attribute_pointer(Some(&name)), detail));
            }
        }
    }
    attributes
}

fn attribute_pointer(name: Option<&str>) -> String {
    name.map_or_else(|| "/attributes".to_owned(), |name| format!("/attributes/{}", pointer_part(name)))
}

fn check_recipients(given: Option<Value>, errors: &mut Vec<FieldError>) -> Vec<String> {
    let Some(given) = given else { return Vec::new() };
    let rules = check_names(given, "/recipients", errors);
    for (index, _) in rules.iter().enumerate().filter(|(_, rule)| !is_rule(rule) && !is_webhook_rule(rule)) {
        let detail = "must be an address such as \"ana@example.com\", a domain such as \"@example.com\", or a webhook such as \"webhook:erp\"";
        errors.push(wrong(format!("/recipients/{index}"), detail));
    }
    rules
}

fn check_names(given: Value, pointer: &str, errors: &mut Vec<FieldError>) -> Vec<String> {
    let items = check_array(Some(given), pointer, errors).unwrap_or_default();
    if items.len() > MAX_NAMES {
        errors.push(wrong(pointer, format!("may have at most {MAX_NAMES} elements")));
        return Vec::new();
    }
    let mut names = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Value::String(name) if names.contains(&name) => {
                errors.push(wrong(format!("{pointer}/{index}"), "is there twice"));
            }
            Value::String(name) => names.push(name),
            _ => errors.push(wrong(format!("{pointer}/{index}"), "must be a string")),
        }
    }
    names
}

fn check_number(given: &Value, pointer: &str, most: u64, errors: &mut Vec<FieldError>) -> Option<u64> {
    let number = given.as_u64().filter(|number| (1..=most).contains(number));
    if number.is_none() {
        errors.push(wrong(pointer, format!("must be a whole number from 1 to {most}")));
    }
    number
}
