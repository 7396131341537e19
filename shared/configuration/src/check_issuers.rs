//! What hangs together in `[oidc.<name>]`, and between several of them.

use std::collections::BTreeMap;
use std::time::Duration;

use model::job::Caller;
use url::Url;

use super::{Issuer, SettingError, is_loopback};

/// What a token of a provider can be good for: minting is for backends, whose keys end what they minted.
const SCOPES: [&str; 4] = ["read", "write", "admin", "backlog"];

/// A clock that is further off than this is wrong.
const MOST_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// For so long it is known who was ended before their time.
pub const LONGEST_ACCESS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Nobody is remembered for longer.
const LONGEST_OWNERSHIP: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Fills in what is left out.
pub(super) fn complete(issuers: &mut BTreeMap<String, Issuer>) {
    for (name, issuer) in issuers {
        if issuer.title.is_empty() {
            issuer.title.clone_from(name);
        }
        issuer.principal_prefix.get_or_insert_with(|| format!("{name}."));
    }
}

/// Says what is wrong.
pub(super) fn check(issuers: &BTreeMap<String, Issuer>) -> Vec<SettingError> {
    let mut errors = Vec::new();
    for (name, issuer) in issuers {
        let mut said =
            |key: &str, message: String| errors.push(SettingError::new(format!("oidc.{name}.{key}"), message));
        check_name(name, &mut said);
        check_address(issuer, &mut said);
        check_people(issuer, &mut said);
        check_rights(issuer, &mut said);
        check_sign_in(issuer, &mut said);
    }
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, issuer) in issuers {
        if let Some(other) = seen.insert(&issuer.issuer, name).filter(|_| !issuer.issuer.is_empty()) {
            let message = format!("is the one of oidc.{other}; one issuer has one section");
            errors.push(SettingError::new(format!("oidc.{name}.issuer"), message));
        }
    }
    errors
}

/// Says which two may take somebody for another one's person. That may be meant: two providers for the same people.
pub(super) fn warn(issuers: &BTreeMap<String, Issuer>) -> Vec<SettingError> {
    let mut warnings = Vec::new();
    let all: Vec<_> = issuers.iter().collect();
    for (place, (name, issuer)) in all.iter().enumerate() {
        for (other_name, other) in all.iter().take(place) {
            let (one, two) = (prefix(issuer), prefix(other));
            if (one.starts_with(two) || two.starts_with(one)) && share_tenant(issuer, other) {
                let message = format!(
                    "lets a person of this provider be the same principal as one of oidc.{other_name}, in the same tenant; unless both \
                     know the same people, give each a prefix that the other's does not begin with"
                );
                warnings.push(SettingError::new(format!("oidc.{name}.principal_prefix"), message));
            }
        }
    }
    warnings
}

fn prefix(issuer: &Issuer) -> &str {
    issuer.principal_prefix.as_deref().unwrap_or_default()
}

/// Tells whether two providers can lead to one tenant.
fn share_tenant(one: &Issuer, other: &Issuer) -> bool {
    let may_be = |issuer: &Issuer, tenant: &str| match (&issuer.tenant, issuer.tenants.as_slice()) {
        (Some(fixed), _) => fixed == tenant,
        (None, []) => tenant.starts_with(&issuer.tenant_prefix),
        (None, listed) => listed.iter().any(|listed| format!("{}{listed}", issuer.tenant_prefix) == tenant),
    };
    let named = |issuer: &Issuer| match &issuer.tenant {
        Some(fixed) => vec![fixed.clone()],
        None => issuer.tenants.iter().map(|listed| format!("{}{listed}", issuer.tenant_prefix)).collect(),
    };
    match (named(one), named(other)) {
        (ours, theirs) if ours.is_empty() && theirs.is_empty() => {
            let (ours, theirs) = (&one.tenant_prefix, &other.tenant_prefix);
            ours.starts_with(theirs.as_str()) || theirs.starts_with(ours.as_str())
        }
        (ours, _) if !ours.is_empty() => ours.iter().any(|tenant| may_be(other, tenant)),
        (_, theirs) => theirs.iter().any(|tenant| may_be(one, tenant)),
    }
}

fn check_name(name: &str, said: &mut impl FnMut(&str, String)) {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 30 || !name.chars().all(good) {
        said(
            "issuer",
            "stands under a name that cannot be one: use lower-case letters, digits, - and _, at most 30".to_owned(),
        );
    }
}

fn check_address(issuer: &Issuer, said: &mut impl FnMut(&str, String)) {
    if issuer.issuer.is_empty() {
        said("issuer", "is needed: the address that the provider's tokens say in `iss`".to_owned());
        return;
    }
    match Url::parse(&issuer.issuer) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            if !url.username().is_empty()
                || url.password().is_some()
                || url.query().is_some()
                || url.fragment().is_some()
            {
                said("issuer", "has a user, a password, a `?` or a `#` in it, which no issuer has".to_owned());
            } else if url.scheme() == "http" && !issuer.allow_http && !is_loopback(&issuer.issuer) {
                let message =
                    "begins with http://: whoever sits in between could sign anybody in; use https, or set allow_http";
                said("issuer", message.to_owned());
            }
        }
        _ => {
            said("issuer", "is not an address; write for example \"https://login.example.com/realms/acme\"".to_owned());
        }
    }
    if issuer.leeway.is_some_and(|leeway| leeway > MOST_LEEWAY) {
        said("leeway", "is too long; at most 5m, or every token is good for longer than it says".to_owned());
    }
}

fn check_people(issuer: &Issuer, said: &mut impl FnMut(&str, String)) {
    let expected = "use letters, digits and - _ . @ +, at most 100";
    match (&issuer.tenant, &issuer.tenant_claim) {
        (Some(_), Some(_)) => said("tenant_claim", "cannot stand beside tenant: it is the one or the other".to_owned()),
        (None, None) => said("tenant", "is needed, or tenant_claim: whose data people see".to_owned()),
        (Some(tenant), None) if Caller::check_name(tenant).is_err() => {
            said("tenant", format!("cannot be a tenant: {expected}"));
        }
        (None, Some(_)) if issuer.tenants.is_empty() && issuer.tenant_prefix.is_empty() => {
            let message =
                "needs tenants (what it may say) or tenant_prefix: otherwise the provider opens every tenant there is";
            said("tenant_claim", message.to_owned());
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    if issuer.tenant.is_some() && !(issuer.tenants.is_empty() && issuer.tenant_prefix.is_empty()) {
        said("tenants", "and tenant_prefix are for tenant_claim; leave them out beside tenant".to_owned());
    }
    let written = issuer.tenants.iter().map(|tenant| format!("{}{tenant}", issuer.tenant_prefix));
    if written.chain([format!("{}x", issuer.tenant_prefix)]).any(|tenant| Caller::check_name(&tenant).is_err()) {
        said("tenants", format!("with tenant_prefix cannot be tenants: {expected}"));
    }
    if issuer.principal_claim.is_empty() {
        said("principal_claim", "is needed; \"sub\" is the one that every token has".to_owned());
    }
    if Caller::check_name(&format!("{}x", prefix(issuer))).is_err() || prefix(issuer).len() > 40 {
        said("principal_prefix", "cannot begin a principal: use letters, digits and - _ . @ +, at most 40".to_owned());
    }
}

fn check_rights(issuer: &Issuer, said: &mut impl FnMut(&str, String)) {
    if issuer.audience.is_empty() {
        let message = "is needed: what tokens for this service say in `aud`; without it a token for any other service would open this one";
        said("audience", message.to_owned());
    }
    let groups = issuer.group_scopes.iter().flat_map(|assigned| &assigned.words);
    for (key, scopes) in [("scopes", issuer.scopes.iter().collect::<Vec<_>>()), ("group_scopes", groups.collect())] {
        for scope in scopes.into_iter().filter(|scope| !SCOPES.contains(&scope.as_str())) {
            let why = if scope == "mint" { "is for keys only" } else { "is no scope" };
            said(key, format!("`{scope}` {why}; there are {}", SCOPES.join(", ")));
        }
    }
    if issuer.scopes.is_empty() && issuer.scopes_claim.is_none() && issuer.group_scopes.is_empty() {
        said("scopes", "is needed, or scopes_claim, or group_scopes: otherwise nobody may do anything".to_owned());
    }
    if issuer.groups_claim.is_none() && !(issuer.group_scopes.is_empty() && issuer.group_roles.is_empty()) {
        said("groups_claim", "is needed: where a token says the groups".to_owned());
    }
    let groups = issuer.group_roles.iter().flat_map(|assigned| &assigned.words);
    for (key, roles) in [("roles", issuer.roles.iter().collect::<Vec<_>>()), ("group_roles", groups.collect())] {
        for role in roles.into_iter().filter(|role| Caller::check_name(role).is_err()) {
            said(key, format!("`{role}` cannot be a role: use letters, digits and - _ . @ +, at most 100"));
        }
    }
    let mut names = Vec::new();
    for assigned in &issuer.attributes {
        if assigned.words.len() != 1 {
            said("attributes", format!("`{}` has several claims; one attribute is one claim", assigned.name));
        }
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = assigned.name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || assigned.name.len() > 40 || !assigned.name.chars().all(good) {
            said(
                "attributes",
                format!("`{}` cannot be an attribute: use lower-case letters, digits and _, at most 40", assigned.name),
            );
        }
        if names.contains(&&assigned.name) {
            said("attributes", format!("`{}` is there twice", assigned.name));
        }
        names.push(&assigned.name);
    }
}

fn check_sign_in(issuer: &Issuer, said: &mut impl FnMut(&str, String)) {
    if issuer.client_secret.is_some() && issuer.client_id.is_none() {
        said("client_id", "is needed with client_secret".to_owned());
    }
    if !issuer.sign_in_scopes.iter().any(|scope| scope == "openid") {
        said("sign_in_scopes", "must hold \"openid\": without it the provider does not say who signed in".to_owned());
    }
    if issuer.owner_for > LONGEST_OWNERSHIP {
        said("owner_for", "is too long; at most 366d".to_owned());
    }
    if issuer.session_ttl > LONGEST_ACCESS {
        said("session_ttl", "is too long; at most 7d".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::fields;
    use super::super::{Config, ConfigError};
    use super::*;

    const PAGE: &str = include_str!("../../../docs/SIGN-IN.md");

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("waitless.toml");
        std::fs::write(&file, text).unwrap();
        Config::from_layers(Some(&file), std::iter::empty())
    }

    fn section(name: &str, more: &str) -> String {
        let usual = "audience = [\"reports\"]\nscopes = [\"read\"]";
        format!("[oidc.{name}]\nissuer = \"https://{name}.example.com\"\n{usual}\n{more}\n")
    }

    #[test]
    fn the_page_on_providers_lists_every_setting() {
        let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key));
        assert_eq!(rows.collect::<Vec<_>>(), fields::<Issuer>());
    }

    #[test]
    fn every_configuration_of_the_page_is_good() {
        let blocks: Vec<&str> = PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert_eq!(blocks.len(), 4);
        for block in blocks {
            let config = load(block).unwrap();
            let (name, issuer) = config.oidc.iter().next().unwrap();
            assert!(issuer.client_id.is_some(), "{name}");
        }
    }

    #[test]
    fn everything_wrong_with_a_provider_is_told_at_once() {
        let said = load(
            "[oidc.Staff]\nissuer = \"http://login.example.com\"\nalgorithms = [\"HS256\"]\ntenant_claim = \"org\"\n\
             group_scopes = [\"cn=staff,dc=x = mint\"]\nattributes = [\"Region = region\"]\nleeway = \"1h\"\nsecret = \"x\"\n\
             [oidc.other]\nclient_secret = \"hunter2\"\nsign_in_scopes = [\"email\"]",
        );
        let errors = said.unwrap_err().0;
        let mut keys: Vec<&str> = errors.iter().map(|error| error.key.as_str()).collect();
        keys.sort_unstable();
        let expected = [
            "oidc.Staff.algorithms",
            "oidc.Staff.attributes",
            "oidc.Staff.audience",
            "oidc.Staff.group_scopes",
            "oidc.Staff.groups_claim",
            "oidc.Staff.issuer",
            "oidc.Staff.issuer",
            "oidc.Staff.leeway",
            "oidc.Staff.secret",
            "oidc.Staff.tenant_claim",
            "oidc.other.audience",
            "oidc.other.client_id",
            "oidc.other.issuer",
            "oidc.other.scopes",
            "oidc.other.sign_in_scopes",
            "oidc.other.tenant",
        ];
        assert_eq!(keys, expected, "{errors:#?}");
        assert!(errors.iter().all(|error| !error.message.contains("hunter2")));
    }

    #[test]
    fn providers_that_may_take_one_person_for_another_are_warned_of() {
        let warned = |one: &str, other: &str| {
            let config = load(&format!("{}{}", section("one", one), section("two", other))).unwrap();
            warn(&config.oidc).iter().any(|warning| warning.key == "oidc.two.principal_prefix")
        };
        let acme = "tenant = \"acme\"\n";
        assert!(!warned(acme, acme), "the names of the sections keep them apart");
        let bare = format!("{acme}principal_prefix = \"\"");
        assert!(warned(&bare, &bare) && warned(acme, &bare));
        let listed = "tenant_claim = \"org\"\ntenants = [\"acme\", \"globex\"]\nprincipal_prefix = \"\"";
        assert!(warned(&bare, listed));
        assert!(!warned("tenant = \"initech\"\nprincipal_prefix = \"\"", listed), "not in the same tenant");
        let prefixed = "tenant_claim = \"org\"\ntenant_prefix = \"x-\"\nprincipal_prefix = \"\"";
        assert!(!warned(&bare, prefixed) && warned(prefixed, prefixed));
        let twice =
            load(&format!("{}{}", section("one", acme), section("two", acme).replace("two.example", "one.example")));
        assert!(twice.unwrap_err().0[0].message.contains("is the one of oidc.one"));
    }
}
