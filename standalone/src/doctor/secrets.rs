//! Checks of secrets, by what can be seen of them without showing any.

use std::collections::BTreeSet;

use configuration::{Config, Mode};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use model::finding::Findings;
use url::Url;

use super::Subject;
use crate::data_folder::DataFolder;

/// What nobody guesses has at least this many different characters.
const DIFFERENT: usize = 8;
/// Words of examples, and passwords that everybody tries first.
const KNOWN: [&str; 12] = [
    "admin",
    "changeme",
    "change-me",
    "example",
    "guest",
    "minioadmin",
    "password",
    "postgres",
    "rabbitmq",
    "root",
    "secret",
    "waitless",
];

pub(super) fn secrets<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    async move {
        look_at_link_secret(&subject.config, findings);
        look_at_seal_keys(&subject.config, findings);
        look_at_passwords(&subject.config, findings);
    }
    .boxed()
}

fn look_at_link_secret(config: &Config, findings: &mut Findings) {
    let secrets = &config.service.link_secret;
    let advice = "set service.link_secret to 32 random bytes (`openssl rand -hex 32`), the same for every process";
    if secrets.is_empty() {
        let made = DataFolder::new(&config.service.data_dir).has_link_secret();
        findings.ok(if made {
            "the secret of links is in the data folder"
        } else {
            "the first start makes the secret of links, in the data folder"
        });
    } else if secrets.all().any(|secret| secret.len() < 32) {
        findings.warn("service.link_secret is shorter than 32 bytes", advice);
    } else if secrets.all().any(is_guessable) {
        findings.fail("service.link_secret can be guessed", advice);
    } else {
        findings.ok("service.link_secret is long and not of words that are tried first");
    }
}

/// What a leaked database is worth hangs on these: they must be as good as the link secret, and not be it.
fn look_at_seal_keys(config: &Config, findings: &mut Findings) {
    let (keys, link_secret) = (&config.service.seal_keys, config.service.link_secret.expose());
    if keys.is_empty() {
        return findings.ok("sensitive values are sealed with the secret of links: service.seal_keys is empty");
    }
    let advice = "put a key of `openssl rand -hex 32` in front, and keep the others behind it until no job needs them";
    let mut well = true;
    for (key, at) in keys.iter().zip(1..) {
        if is_guessable(key.expose()) {
            findings.fail(format!("key {at} of service.seal_keys can be guessed"), advice);
            well = false;
        }
        // Behind the first one it is what an old link secret opens with.
        if at == 1 && key.expose() == link_secret {
            findings.warn(
                "the key that seals is the secret of links, which more machines have",
                "put a key of its own (`openssl rand -hex 32`) in front of it",
            );
            well = false;
        }
    }
    if well {
        findings.ok("service.seal_keys are long and not of words that are tried first");
    }
}

/// Few characters, words that are tried first, the same again and again, or one after the other.
fn is_guessable(secret: &str) -> bool {
    let characters: Vec<char> = secret.chars().collect();
    let different: BTreeSet<&char> = characters.iter().collect();
    let lower = secret.to_lowercase();
    let repeats = |length: usize| characters.chunks(length).all(|part| characters.starts_with(part));
    let follows = |pair: &[char]| matches!(pair, [one, next] if u32::from(*one) + 1 == u32::from(*next));
    let in_a_row = characters.windows(2).filter(|pair| follows(pair)).count();
    different.len() < DIFFERENT
        || KNOWN.iter().any(|word| lower.contains(word))
        || (1..=characters.len() / 2).any(repeats)
        || in_a_row * 2 > characters.len()
}

/// On one's own machine anything goes; production is reached by others.
fn look_at_passwords(config: &Config, findings: &mut Findings) {
    if config.service.mode != Mode::Production {
        return;
    }
    let sources = config.sources.iter().flat_map(|(name, source)| {
        let own = source.tenants.iter();
        let own = own.map(move |(tenant, own)| (format!("sources.{name}.tenants.{tenant}.url"), own.url.expose()));
        std::iter::once((format!("sources.{name}.url"), source.url.expose())).chain(own)
    });
    let own = [
        ("database.url", config.database.url.expose()),
        ("broker.url", config.broker.url.expose()),
        ("mail.url", config.mail.url.expose()),
    ];
    let mut weak = Vec::new();
    for (key, url) in own.map(|(key, url)| (key.to_owned(), url)).into_iter().chain(sources) {
        let Ok(url) = Url::parse(url) else { continue };
        let password = url.password().unwrap_or_default();
        let is_known = KNOWN.contains(&password.to_lowercase().as_str()) || password == url.username();
        if !password.is_empty() && is_known {
            weak.push(key);
        }
    }
    if weak.is_empty() {
        findings.ok("no password in a URL is one that is tried first");
    } else {
        findings.warn(
            format!("the password in {} is one that is tried first", weak.join(", ")),
            "give the user another one, there and in the configuration",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_and_monotony_can_be_guessed_and_noise_cannot() {
        for guessable in [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "Change-Me-Change-Me-Change-Me-Change-Me",
            "0101010101010101",
            "3fA9c17e3fA9c17e3fA9c17e3fA9c17e3f",
            "abcdefghijklmnopqrstuvwxyz0123456789",
        ] {
            assert!(is_guessable(guessable), "{guessable}");
        }
        assert!(!is_guessable("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"));
    }
}
