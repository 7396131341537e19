//! Reads who somebody is and what they may from the claims of a token, as the configuration says.

use std::collections::BTreeSet;

use configuration::{Assignment, Issuer, LONGEST_ACCESS};
use model::attributes::Attributes;
use model::job::Caller;
use serde_json::Value;
use store::Scope;
use uuid::Uuid;

use super::fault::TokenFault;
use super::issued_access::IssuedAccess;
use super::provider::Provider;
use super::verify::Claims;

/// What a token can be good for. Minting is for keys: what was minted ends with its key.
const SCOPES: [Scope; 4] = [Scope::Read, Scope::Write, Scope::Admin, Scope::Backlog];

/// Words of one claim that are looked at.
const MAX_WORDS: usize = 2_000;

/// Roles that somebody may have.
const MAX_ROLES: usize = 100;

/// Maps a token, which has this hash.
///
/// # Errors
/// [`TokenFault::Unmapped`] with what its holder can tell whoever runs this.
pub(super) fn map(provider: &Provider, claims: &Claims, hash: [u8; 32]) -> Result<IssuedAccess, TokenFault> {
    let Issuer { leeway, .. } = provider.settings();
    let leeway = leeway.unwrap_or_default();
    let mapped = map_person(provider, claims).map_err(TokenFault::Unmapped)?;
    let (first, _) = hash.split_at(16);
    Ok(IssuedAccess {
        // Sixteen bytes of a hash of 32.
        id: Uuid::from_slice(first).unwrap_or_default(),
        session: false,
        issuer: provider.name().to_owned(),
        mark: provider.mark().to_owned(),
        caller: mapped.caller,
        scopes: mapped.scopes,
        roles: mapped.roles,
        attributes: mapped.attributes,
        issued_at: claims.issued_at - leeway,
        not_before: claims.not_before.map_or(claims.issued_at, |time| time.max(claims.issued_at)) - leeway,
        until: (claims.expires_at + leeway).min(claims.issued_at + LONGEST_ACCESS),
    })
}

struct Mapped {
    caller: Caller,
    scopes: Vec<Scope>,
    roles: Vec<String>,
    attributes: Attributes,
}

fn map_person(provider: &Provider, claims: &Claims) -> Result<Mapped, String> {
    let (settings, said) = (provider.settings(), &claims.all);
    let caller = Caller { tenant: tenant(settings, said)?, principal: principal(provider.name(), settings, said)? };
    let groups: BTreeSet<&str> = words(said, settings.groups_claim.as_deref())?.into_iter().collect();
    let by_group = |assigned: &'_ [Assignment]| -> Vec<String> {
        let good = assigned.iter().filter(|assigned| groups.contains(assigned.name.as_str()));
        good.flat_map(|assigned| assigned.words.clone()).collect()
    };
    let prefixed = |claim: Option<&str>, prefix: &str| -> Result<Vec<String>, String> {
        Ok(words(said, claim)?.into_iter().filter_map(|word| word.strip_prefix(prefix)).map(str::to_owned).collect())
    };
    let granted = [
        settings.scopes.clone(),
        prefixed(settings.scopes_claim.as_deref(), &settings.scopes_prefix)?,
        by_group(&settings.group_scopes),
    ]
    .concat();
    let scopes: Vec<Scope> =
        SCOPES.into_iter().filter(|scope| granted.iter().any(|word| word == scope.as_str())).collect();
    if scopes.is_empty() {
        return Err("it was given no rights here; ask the people who run this service for them".to_owned());
    }
    let roles = [
        settings.roles.clone(),
        prefixed(settings.roles_claim.as_deref(), &settings.roles_prefix)?,
        by_group(&settings.group_roles),
    ]
    .concat();
    // What cannot be the name of a role is none.
    let roles: BTreeSet<String> = roles.into_iter().filter(|role| Caller::check_name(role).is_ok()).collect();
    if roles.len() > MAX_ROLES {
        return Err(format!("it has {} roles, and at most {MAX_ROLES} are taken", roles.len()));
    }
    let attributes = attributes(settings, said)?;
    Ok(Mapped { caller, scopes, roles: roles.into_iter().collect(), attributes })
}

/// Finds a claim: by its name, or by a JSON pointer to it.
fn find<'c>(claims: &'c Value, claim: &str) -> Option<&'c Value> {
    let found = if claim.starts_with('/') { claims.pointer(claim) } else { claims.get(claim) };
    found.filter(|value| !value.is_null())
}

/// Reads the words of a claim: a text with spaces between, or a list. None where there is no such claim.
fn words<'c>(claims: &'c Value, claim: Option<&str>) -> Result<Vec<&'c str>, String> {
    let Some((claim, value)) = claim.and_then(|claim| Some((claim, find(claims, claim)?))) else {
        return Ok(Vec::new());
    };
    let words: Option<Vec<&str>> = match value {
        Value::String(text) => Some(text.split_whitespace().collect()),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    };
    words
        .filter(|words| words.len() <= MAX_WORDS)
        .ok_or_else(|| format!("its claim `{claim}` is neither a text nor a list of at most {MAX_WORDS} texts"))
}

fn tenant(settings: &Issuer, claims: &Value) -> Result<String, String> {
    if let Some(fixed) = &settings.tenant {
        return Ok(fixed.clone());
    }
    let claim = settings.tenant_claim.as_deref().unwrap_or_default();
    let nobody = || format!("its claim `{claim}` names no organisation that is served here");
    let said = find(claims, claim).and_then(Value::as_str).ok_or_else(nobody)?;
    let listed = settings.tenants.is_empty() || settings.tenants.iter().any(|tenant| tenant == said);
    let tenant = format!("{}{said}", settings.tenant_prefix);
    if !said.is_empty() && listed && Caller::check_name(&tenant).is_ok() { Ok(tenant) } else { Err(nobody()) }
}

fn principal(name: &str, settings: &Issuer, claims: &Value) -> Result<String, String> {
    let claim = settings.principal_claim.as_str();
    let said = match find(claims, claim) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) if number.is_u64() => number.to_string(),
        _ => return Err(format!("its claim `{claim}`, which says who it is, is missing or no text")),
    };
    // Whoever may write any address into their account would be anybody.
    if claim == "email" && claims.get("email_verified").is_some_and(|verified| *verified != Value::Bool(true)) {
        return Err("its address of mail was not verified by the identity provider".to_owned());
    }
    let principal = match &settings.principal_prefix {
        Some(prefix) => format!("{prefix}{}", spell(&said)),
        None => format!("{name}.{}", spell(&said)),
    };
    Caller::check_name(&principal).map(|()| principal).map_err(|_| format!("its claim `{claim}` is too long"))
}

/// Writes any text with the characters that a principal may have, two different ones never in the same way.
fn spell(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'@' | b'.' => spelled.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => spelled.push(byte.into()),
            byte => spelled.push_str(&format!("+{byte:02X}")),
        }
    }
    spelled
}

fn attributes(settings: &Issuer, claims: &Value) -> Result<Attributes, String> {
    let claim_of = |assigned: &Assignment| assigned.words.first().cloned().unwrap_or_default();
    let said = settings.attributes.iter().filter_map(|assigned| {
        let value = find(claims, &claim_of(assigned))?;
        Some((assigned.name.clone(), value.clone()))
    });
    Attributes::new(said).map_err(|faults| {
        let told = faults.into_iter().map(|fault| match fault.name {
            Some(name) => {
                let claim = settings.attributes.iter().find(|assigned| assigned.name == name).map(claim_of);
                format!("its claim `{}` cannot be an attribute: {}", claim.unwrap_or(name), fault.detail)
            }
            None => fault.detail,
        });
        told.collect::<Vec<_>>().join("; ")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_subject_is_spelled_and_no_two_alike() {
        for (said, spelled) in [
            ("248289761001", "248289761001"),
            ("ana@example.com", "ana@example.com"),
            ("auth0|5f7c8ec7", "auth0+7C5f7c8ec7"),
            ("auth0+7C5f7c8ec7", "auth0+2B7C5f7c8ec7"),
            ("Ünal", "+C3+9Cnal"),
        ] {
            assert_eq!(spell(said), spelled);
        }
    }

    const PAGE: &str = include_str!("../../../../docs/SIGN-IN.md");

    /// Reads the section of this name from the page.
    fn section(name: &str) -> Issuer {
        let text = PAGE.split("```toml\n").find(|block| block.starts_with(&format!("[oidc.{name}]"))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("waitless.toml");
        std::fs::write(&file, text.split("```").next().unwrap()).unwrap();
        let config = configuration::Config::from_layers(Some(&file), std::iter::empty()).unwrap();
        config.oidc[name].clone()
    }

    fn access(name: &str, settings: &Issuer, said: Value) -> Result<IssuedAccess, TokenFault> {
        let provider = Provider::new(name, settings).unwrap();
        let issued_at = chrono::DateTime::from_timestamp(1_900_000_000, 0).unwrap();
        let expires_at = issued_at + chrono::Duration::days(30);
        let claims = Claims { all: said, subject: "7".to_owned(), issued_at, not_before: None, expires_at };
        map(&provider, &claims, [7; 32])
    }

    fn refusal(name: &str, settings: &Issuer, said: Value) -> String {
        match access(name, settings, said) {
            Err(TokenFault::Unmapped(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn claims_say_who_somebody_is_and_what_they_may() {
        let settings: Issuer = serde_json::from_value(json!({
            "issuer": "https://login.example.com", "audience": "x", "tenant_claim": "org", "tenant_prefix": "org-", "scopes": "read",
            "scopes_claim": "scope", "groups_claim": "/more/groups", "group_scopes": "boss = admin write", "principal_claim": "email",
            "roles": "everybody", "roles_claim": "roles", "roles_prefix": "r-", "group_roles": "boss = chief", "leeway": "5s",
            "attributes": "region = region, customers = /more/customers, missing = missing",
        }))
        .unwrap();
        let said = json!({
            "org": "acme", "email": "ana@example.com", "email_verified": true, "scope": "openid waitless:backlog waitless:mint write",
            "more": {"groups": ["boss"], "customers": [7, 8]}, "roles": ["r-clerk", "other", "r-a/b"], "region": "EMEA",
        });
        let found = access("staff", &settings, said.clone()).unwrap();
        assert_eq!(found.caller, Caller { tenant: "org-acme".into(), principal: "staff.ana@example.com".into() });
        assert_eq!(found.scopes, [Scope::Read, Scope::Write, Scope::Admin, Scope::Backlog], "and never to mint");
        assert_eq!(found.roles, ["chief", "clerk", "everybody"]);
        assert_eq!(found.attributes.iter().count(), 2);
        assert_eq!(found.attributes.get("customers"), Some(&json!([7, 8])));
        let issued_at = found.issued_at + chrono::Duration::seconds(5);
        assert_eq!(found.until, issued_at + LONGEST_ACCESS, "whatever its exp says");
        for (name, value, says) in [
            ("org", json!(7), "names no organisation"),
            ("org", json!(""), "names no organisation"),
            ("org", json!("a b"), "names no organisation"),
            ("email", json!(null), "is missing or no text"),
            ("email_verified", json!(false), "was not verified"),
            ("email_verified", json!("true"), "was not verified"),
            ("scope", json!([7]), "claim `scope` is neither a text nor a list"),
            ("more", json!({"groups": 7}), "claim `/more/groups` is neither"),
            ("more", json!({"customers": [1.5]}), "claim `/more/customers` cannot be an attribute"),
            ("roles", json!((0..200).map(|n| format!("r-{n}")).collect::<Vec<_>>()), "202 roles"),
        ] {
            let mut claims = said.clone();
            claims[name] = value;
            let why = refusal("staff", &settings, claims);
            assert!(why.contains(says), "{name}: {why}");
        }
    }

    /// Claims as the providers' own documents describe them.
    #[tokio::test]
    async fn the_worked_configurations_let_in_whom_their_providers_describe() {
        let person = |name: &str, said| access(name, &section(name), said).unwrap();
        let keycloak = person(
            "keycloak",
            json!({
                "sub": "f1c8a5b0-5d2e-4d35-9a4f-7a3c0c3c1c11", "typ": "Bearer", "azp": "reports-console", "aud": ["reports", "account"],
                "realm_access": {"roles": ["offline_access", "reports-clerk", "uma_authorization"]},
                "resource_access": {"reports": {"roles": ["writer"]}, "account": {"roles": ["view-profile"]}},
                "scope": "openid profile email", "preferred_username": "ana", "region": "EMEA",
            }),
        );
        assert_eq!(keycloak.caller.principal, "keycloak.f1c8a5b0-5d2e-4d35-9a4f-7a3c0c3c1c11");
        assert_eq!((keycloak.scopes, keycloak.roles), (vec![Scope::Read, Scope::Write], vec!["clerk".to_owned()]));
        assert_eq!(keycloak.attributes.get("region"), Some(&json!("EMEA")));
        let entra = person(
            "entra",
            json!({
                "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "oid": "00000000-0000-0000-66f3-3332eca7ea81", "ver": "2.0",
                "tid": "11111111-2222-3333-4444-555555555555", "roles": ["waitless.read", "waitless.admin"], "name": "Ana",
            }),
        );
        assert_eq!(entra.caller.principal, "entra.00000000-0000-0000-66f3-3332eca7ea81");
        assert_eq!(entra.scopes, [Scope::Read, Scope::Admin]);
        let google = json!({
            "sub": "110169484474386276334", "email": "ana@example.com", "email_verified": true, "hd": "example.com",
            "azp": "1234567890-abc.apps.googleusercontent.com", "aud": "1234567890-abc.apps.googleusercontent.com",
        });
        let found = person("google", google.clone());
        assert_eq!(found.caller, Caller { tenant: "example.com".into(), principal: "ana@example.com".into() });
        let mut private = google;
        private.as_object_mut().unwrap().remove("hd");
        assert!(refusal("google", &section("google"), private).contains("names no organisation"));
    }
}
