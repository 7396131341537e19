//! What `waitless doctor` looks at: a table of checks, run side by side, each bounded in time whatever hangs.
//!
//! A kind of backend brings its own check: the functions that are called here choose by the same tables and traits that open them.

mod backends;
mod machine;
mod secrets;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use configuration::Config;
use futures_util::future::BoxFuture;
use model::finding::{Finding, Findings};

/// A check that takes longer has found that it takes too long.
const CHECK_WITHIN: Duration = Duration::from_secs(10);
/// What is asked within a check, so that it can say itself what did not answer.
const QUESTION_WITHIN: Duration = Duration::from_secs(4);

/// What a check is given.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The configuration, with shorter time-outs than the services have.
    config: Arc<Config>,
    /// Whom a mail goes to.
    mail_to: Option<String>,
    /// The longest time that a report's files are kept.
    kept_for: Duration,
    /// The source, in its own check.
    source: String,
    /// The tenant whose database of it is looked at, where each has one.
    tenant: Option<String>,
    /// The identity provider, in its own check.
    issuer: String,
    /// The webhook, in its own check.
    webhook: String,
}

type Look = for<'a> fn(&'a Subject, &'a mut Findings) -> BoxFuture<'a, ()>;

/// Every check of an installation, in the order in which they are told. Sources, identity providers and webhooks come behind, one check each.
const CHECKS: [(&str, Look); 9] = [
    ("settings", settings::settings),
    ("secrets", secrets::secrets),
    ("machine", machine::machine),
    ("database", backends::database),
    ("broker", backends::broker),
    ("storage", backends::storage),
    ("mail", backends::mail),
    ("address", backends::address),
    ("catalogue", settings::catalogue),
];

/// Every check that an upgrade depends on.
pub(crate) const UPGRADE_CHECKS: [(&str, Look); 2] = [("database", backends::migrations), ("broker", backends::broker)];

/// A check under way: of what, and what it will have found.
pub(crate) struct Examination {
    pub(crate) about: String,
    pub(crate) found: BoxFuture<'static, Vec<Finding>>,
}

/// Starts every check of an installation.
pub(crate) fn examine(mut config: Config, mail_to: Option<String>) -> Vec<Examination> {
    settings::add_demo_source(&mut config);
    let known = || config.tenants.keys().map(String::as_str);
    let databases = config.sources.iter().flat_map(|(name, source)| {
        let mut tenants: Vec<_> = sources::databases(name, source, known()).into_iter().map(|one| one.tenant).collect();
        if tenants.is_empty() {
            tenants.push(None);
        }
        tenants.into_iter().map(|tenant| (name.clone(), tenant)).collect::<Vec<_>>()
    });
    let databases: Vec<(String, Option<String>)> = databases.collect();
    let subject = Subject::new(config, mail_to);
    let mut all = start(&subject, &CHECKS);
    for (source, tenant) in databases {
        let of_tenant = tenant.as_ref().map_or_else(String::new, |tenant| format!(" of {tenant}"));
        let about = format!("source {source}{of_tenant}");
        all.push(run(Subject { source, tenant, ..subject.clone() }, about, backends::source));
    }
    for issuer in subject.config.oidc.keys().cloned().collect::<Vec<_>>() {
        let about = format!("oidc {issuer}");
        all.push(run(Subject { issuer, ..subject.clone() }, about, backends::issuer));
    }
    for webhook in subject.config.webhooks.keys().cloned().collect::<Vec<_>>() {
        let about = format!("webhook {webhook}");
        all.push(run(Subject { webhook, ..subject.clone() }, about, backends::webhook));
    }
    all
}

/// Starts the checks that an upgrade depends on.
pub(crate) fn examine_upgrade(config: Config) -> Vec<Examination> {
    start(&Subject::new(config, None), &UPGRADE_CHECKS)
}

impl Subject {
    fn new(mut config: Config, mail_to: Option<String>) -> Self {
        let kept_for = settings::kept_for(&config);
        config.database.acquire_timeout = config.database.acquire_timeout.min(QUESTION_WITHIN);
        config.broker.timeout = config.broker.timeout.min(QUESTION_WITHIN);
        config.storage.timeout = config.storage.timeout.min(QUESTION_WITHIN);
        // Signing in and a mail are two conversations.
        config.mail.timeout = config.mail.timeout.min(QUESTION_WITHIN);
        for webhook in config.webhooks.values_mut() {
            webhook.timeout = webhook.timeout.min(QUESTION_WITHIN);
        }
        let (source, issuer, webhook) = (String::new(), String::new(), String::new());
        Self { config: Arc::new(config), mail_to, kept_for, source, tenant: None, issuer, webhook }
    }
}

fn start(subject: &Subject, checks: &[(&str, Look)]) -> Vec<Examination> {
    checks.iter().map(|(about, look)| run(subject.clone(), (*about).to_owned(), *look)).collect()
}

/// Runs a check beside the others.
fn run(subject: Subject, about: String, look: Look) -> Examination {
    run_within(CHECK_WITHIN, subject, about, look)
}

fn run_within(limit: Duration, subject: Subject, about: String, look: Look) -> Examination {
    let looking = tokio::spawn(async move {
        let mut findings = Findings::default();
        if tokio::time::timeout(limit, look(&subject, &mut findings)).await.is_err() {
            note_silence(limit, &mut findings);
        }
        findings.into_vec()
    });
    let found = async move {
        // A check that blocks its thread cannot be told that its time is over.
        let looked = tokio::time::timeout(limit + Duration::from_secs(1), looking).await;
        let mut findings = Findings::default();
        match looked {
            Ok(Ok(found)) => return found,
            Ok(Err(crash)) => findings.fail(format!("the check crashed: {crash}"), "report this"),
            Err(_) => note_silence(limit, &mut findings),
        }
        findings.into_vec()
    };
    Examination { about, found: Box::pin(found) }
}

fn note_silence(limit: Duration, findings: &mut Findings) {
    findings.fail(
        format!("gave no answer within {} s", limit.as_secs_f64()),
        "see whether it, or something on the way to it, takes connections and then hangs",
    );
}

#[cfg(test)]
mod tests {
    use model::finding::FindingLevel;

    use super::*;

    #[tokio::test]
    async fn every_way_a_backends_url_may_begin_has_a_check_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        // Nothing listens there, and nothing can be made there.
        let nowhere = |scheme: &str| {
            let rest = if scheme.ends_with("//") { "user:hunter2@127.0.0.1:1/nothing" } else { "/proc/nothing" };
            format!("{scheme}{rest}")
        };
        let mut cases: Vec<(&str, String, Config)> = Vec::new();
        let mut case = |about, scheme: &str, set: &dyn Fn(&mut Config, String)| {
            let mut config = Config::embedded(folder.path()).unwrap();
            set(&mut config, nowhere(scheme));
            cases.push((about, scheme.to_owned(), config));
        };
        for scheme in runtime::DATABASE_URLS.prefixes() {
            case("database", scheme, &|config, url| config.database.url = configuration::Secret::new(url));
        }
        for scheme in broker::BROKER_URLS.prefixes() {
            case("broker", scheme, &|config, url| config.broker.url = configuration::Secret::new(url));
        }
        for scheme in storage::STORAGE_URLS.prefixes() {
            case("storage", scheme, &|config, url| {
                config.storage.endpoint = Some("http://127.0.0.1:1".to_owned());
                (config.storage.access_key_id, config.storage.region) = (Some("id".to_owned()), Some("r".to_owned()));
                config.storage.secret_access_key = Some(configuration::Secret::new("aHVudGVyMg=="));
                config.storage.url = url.replace("user:hunter2@127.0.0.1:1", "bucket");
            });
        }
        for scheme in notifier::email::MAIL_URLS.prefixes() {
            case("mail", scheme, &|config, url| config.mail.url = configuration::Secret::new(url));
        }
        for prefix in sources::SOURCE_KINDS.iter().flat_map(|kind| kind.url_prefixes) {
            case("source it", prefix, &|config, url| {
                config.sources.insert("it".to_owned(), configuration::Source::at(url));
            });
        }
        for (about, scheme, config) in cases {
            let examination = examine(config, None).into_iter().find(|one| one.about == about).unwrap();
            let found = examination.found.await;
            assert!(!found.is_empty(), "{about}: nothing was found of {scheme}");
            for finding in &found {
                assert!(!finding.what.contains("hunter2"), "{finding:?}");
                assert_eq!(finding.advice.is_none(), finding.level == FindingLevel::Ok, "{scheme}: {finding:?}");
            }
            if scheme.ends_with("//") || about.starts_with("source") {
                assert!(found.iter().any(|finding| finding.level == FindingLevel::Fail), "{scheme}: {found:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_ended_and_what_it_found_before_is_told() {
        fn hangs<'a>(_: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
            findings.ok("began");
            Box::pin(std::future::pending())
        }
        let subject = Subject::new(Config::embedded("data".as_ref()).unwrap(), None);
        let found = run_within(Duration::from_millis(50), subject, "it".to_owned(), hangs).found.await;
        let said: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(said, ["began", "gave no answer within 0.05 s"]);
    }
}
