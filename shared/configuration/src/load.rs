//! Loads the configuration: the layers, then every setting, then what hangs together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::access_role::check_name;
use super::deserialize::deserialize;
use super::layers::merge;
use super::private::warn_of_readers;
use super::{Config, ConfigError, Mode, Role, Secret, SettingError, Storage, calendar, check_issuers, environment};

/// The commented defaults, as a file to start from.
pub const DEFAULTS: &str = include_str!("default.toml");

impl Config {
    /// Loads the configuration of a process of this role from `file` (else from the file named by `WAITLESS_CONFIG`, if any) and
    /// the environment; variables of the command line win over the environment's. `check` says what the backends that the process
    /// opens find wrong with their settings.
    ///
    /// # Errors
    /// Lists every mistake with its key and what would be right.
    pub fn load(
        role: Role,
        file: Option<&Path>,
        command_line: impl IntoIterator<Item = (String, String)>,
        check: impl FnOnce(&Self) -> Vec<SettingError>,
    ) -> Result<Self, ConfigError> {
        let named = std::env::var("WAITLESS_CONFIG").ok().filter(|name| !name.is_empty()).map(PathBuf::from);
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::from_layers_as(role, file.or(named.as_deref()), variables.chain(command_line), check)
    }

    /// Loads the configuration of everything in one process from `file` and the given `variables`, without the environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_layers(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::from_layers_as(Role::AllInOne, file, variables, |_| Vec::new())
    }

    fn from_layers_as(
        role: Role,
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        check: impl FnOnce(&Self) -> Vec<SettingError>,
    ) -> Result<Self, ConfigError> {
        let mut errors = Vec::new();
        let text = file.map(|path| read_file(path, &mut errors)).unwrap_or_default();
        let variables = environment::settings(variables, &mut errors);
        let settings = merge(&text, file, variables, &mut errors);
        let defaults = merge("", None, BTreeMap::new(), &mut errors);
        let (Some(settings), Some(defaults)) = (settings, defaults) else { return Err(ConfigError(errors)) };
        let mut config = deserialize(settings, defaults, &mut errors).map_err(|error| ConfigError(vec![error]))?;
        config.complete();
        check_issuers::complete(&mut config.oidc);
        errors.extend(config.check_together());
        errors.extend(check_issuers::check(&config.oidc));
        errors.extend(config.webhooks.iter().flat_map(|(name, webhook)| webhook.check_together(name)));
        // Of what is wrong already, its default is judged, which is good.
        errors.extend(check(&config));
        config.warnings = config.find_warnings(file, &text);
        errors.extend(config.sources.iter().flat_map(|(name, source)| source.check_together(name)));
        if config.service.mode == Mode::Production {
            errors.extend(role.check_production(&config));
        }
        if errors.is_empty() { Ok(config) } else { Err(ConfigError(errors)) }
    }

    /// Fills in what an empty text stands for.
    fn complete(&mut self) {
        let service = &mut self.service;
        if service.data_dir.as_os_str().is_empty() {
            service.data_dir = PathBuf::from("data");
        }
        service.public_url = service.public_url.take().map(|url| url.trim_end_matches('/').to_owned());
        let in_data_dir = |scheme: &str, name: &str| format!("{scheme}:{}", service.data_dir.join(name).display());
        if self.database.url.expose().is_empty() {
            self.database.url = Secret::new(in_data_dir("sqlite", "waitless.db"));
        }
        if self.storage.url.is_empty() {
            self.storage.url = in_data_dir("file", "artifacts");
        }
        if self.mail.url.expose().is_empty() {
            self.mail.url = Secret::new(in_data_dir("file", "mail"));
        }
        // A folder of mails sends nothing to anybody.
        if self.mail.allow.is_empty() && self.mails_stay_here() {
            self.mail.allow = vec!["*".to_owned()];
        }
    }

    fn mails_stay_here(&self) -> bool {
        self.service.mode == Mode::Embedded && self.mail.url.expose().starts_with("file:")
    }

    /// Says what is wrong with settings that are good each for itself.
    fn check_together(&self) -> Vec<SettingError> {
        let named = self.roles.keys().filter_map(|name| Some((name, check_name(name)?)));
        let mut errors: Vec<_> =
            named.map(|(name, message)| SettingError::new(format!("roles.{name}"), message)).collect();
        let calendars = self.calendars.iter();
        let calendars = calendars.filter_map(|(name, one)| Some((name, calendar::check(name, one)?)));
        errors.extend(calendars.map(|(name, message)| SettingError::new(format!("calendars.{name}"), message)));
        errors.extend(self.check_storage_keys());
        if self.telemetry.profiling && self.telemetry.listen.is_none() {
            let message = "needs telemetry.listen, the port that profiles are asked for on; gateways are reached by others on http.listen";
            errors.push(SettingError::new("telemetry.profiling", message));
        }
        errors
    }

    fn check_storage_keys(&self) -> Vec<SettingError> {
        let Storage { url, access_key_id, secret_access_key, .. } = &self.storage;
        let missing = match (url.split_once(':').map(|(scheme, _)| scheme), access_key_id, secret_access_key) {
            (Some("s3" | "az"), Some(_), None) => "secret_access_key",
            (Some("s3" | "az"), None, Some(_)) => "access_key_id",
            (Some("gs"), _, Some(key)) if serde_json::from_str::<serde_json::Map<_, _>>(key.expose()).is_err() => {
                let message = "is not the key of a service account, which is JSON";
                return vec![SettingError::new("storage.secret_access_key", message)];
            }
            _ => return Vec::new(),
        };
        vec![SettingError::new(
            format!("storage.{missing}"),
            "is needed with the other half of the key; or leave both out",
        )]
    }

    /// Says what is allowed and may not be meant.
    fn find_warnings(&self, file: Option<&Path>, text: &str) -> Vec<SettingError> {
        let mut warnings: Vec<SettingError> = file.and_then(|file| warn_of_readers(file, text)).into_iter().collect();
        warnings.extend(check_issuers::warn(&self.oidc));
        warnings.extend(self.webhooks.iter().filter_map(|(name, webhook)| webhook.warn(name)));
        if !self.mails_stay_here() {
            let message = match self.mail.allow.as_slice() {
                [] => "is empty: nobody gets mail; list domains such as \"@example.com\"",
                rules if rules.iter().any(|rule| rule.trim() == "*") => {
                    "holds \"*\": whoever may submit a report may have mail sent to anybody"
                }
                _ => return warnings,
            };
            warnings.push(SettingError::new("mail.allow", message));
        }
        warnings
    }

    /// Returns the embedded defaults with all files below `data_dir`.
    ///
    /// # Errors
    /// None in practice: the defaults are tested.
    pub fn embedded(data_dir: &Path) -> Result<Self, ConfigError> {
        let folder = ("WAITLESS_SERVICE__DATA_DIR".to_owned(), data_dir.display().to_string());
        Self::from_layers(None, std::iter::once(folder))
    }
}

fn read_file(path: &Path, errors: &mut Vec<SettingError>) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| {
        let message = format!("the configuration file cannot be read: {error}");
        errors.push(SettingError::new(path.display().to_string(), message));
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use model::scope::Scope;

    use super::super::{AccessRole, Quotas};
    use super::*;

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("waitless.toml");
        std::fs::write(&path, file).unwrap();
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::from_layers(Some(&path), variables.into_iter())
    }

    fn mistakes(file: &str, variables: &[(&str, &str)]) -> String {
        let errors = load(file, variables).unwrap_err().0;
        let said: String = errors.iter().map(|error| format!("{}: {}\n", error.key, error.message)).collect();
        // The folder is another one each time.
        let words = said.split(' ').map(|word| word.rfind("/waitless.toml").map_or(word, |at| word.split_at(at + 1).1));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_defaults_alone_are_a_valid_embedded_configuration() {
        let config = Config::from_layers(None, std::iter::empty()).unwrap();
        assert_eq!(config.database.url.expose(), "sqlite:data/waitless.db");
        assert_eq!(config.broker.retry_delays, model::retry_schedule::RetrySchedule::default());
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let config = load("[http]\nmax_page = 5\nmax_watchers = 6", &[("WAITLESS_HTTP__MAX_PAGE", "7")]).unwrap();
        assert_eq!((config.http.max_page, config.http.max_watchers), (7, 6));
    }

    #[test]
    fn a_list_in_the_environment_is_parted_by_commas() {
        let config =
            load("", &[("WAITLESS_WORKER__LANES", "bulk"), ("WAITLESS_MAIL__ALLOW", "@a.example, b@c.example")])
                .unwrap();
        assert_eq!(config.worker.lanes, [model::job::Lane::Bulk]);
        assert_eq!(config.mail.allow, ["@a.example", "b@c.example"]);
    }

    #[test]
    fn a_secret_may_come_from_a_file_and_is_hidden_in_debug_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "postgres://user:hunter2@db/waitless\n").unwrap();
        let config = load("", &[("WAITLESS_DATABASE__URL_FILE", path.to_str().unwrap())]).unwrap();
        assert_eq!(config.database.url.expose(), "postgres://user:hunter2@db/waitless");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn without_keys_the_link_secret_seals_and_it_always_opens() {
        let (secret, key) = ("a link secret of thirty-two bytes", "a key that seals of thirty-two bytes");
        let ids = |variables: &[(&str, &str)]| {
            let keys = load("", variables).unwrap().service.derive_seal_keys();
            keys.map(|keys| keys.ids().into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let alone = ids(&[("WAITLESS_SERVICE__LINK_SECRET", secret)]).unwrap();
        let listed = ids(&[("WAITLESS_SERVICE__SEAL_KEYS", key)]).unwrap();
        let both = ids(&[("WAITLESS_SERVICE__LINK_SECRET", secret), ("WAITLESS_SERVICE__SEAL_KEYS", key)]).unwrap();
        assert_eq!(both, [&listed[..], &alone].concat());
        let said = ids(&[]).unwrap_err().to_string();
        assert!(said.contains("service.seal_keys: is empty, and so is service.link_secret"), "{said}");
    }

    #[test]
    fn link_secrets_may_be_one_or_several_and_wrong_ones_are_told_by_their_place() {
        let (one, other) = ("1".repeat(32), "2".repeat(40));
        let read = |setting: &str| {
            let config = load(&format!("[service]\nlink_secret = {setting}"), &[])?;
            Ok::<_, ConfigError>(config.service.link_secret.all().map(str::to_owned).collect::<Vec<_>>())
        };
        let with_commas = format!("{one},and,commas");
        assert_eq!(read(&format!("{with_commas:?}")).unwrap(), [with_commas], "what was one secret stays one");
        assert_eq!(read("\"\"").unwrap(), [""; 0]);
        for list in [
            format!("[{one:?}, {other:?}]"),
            format!("{:?}", format!("{one}, {other}")),
            format!("{:?}", format!("{one}\n{other}\n")),
        ] {
            assert_eq!(read(&list).unwrap(), [one.clone(), other.clone()], "{list}");
        }
        for (list, said) in [
            (
                format!("[{one:?}, \"short\"]"),
                "secret 2 is too short; at least 32 random bytes are needed, without commas",
            ),
            (format!("[{one:?}, {other:?}, {one:?}]"), "secret 3 is the same as secret 1"),
            ("\"short\"".to_owned(), "is too short; at least 32 random bytes are needed"),
        ] {
            assert_eq!(read(&list).unwrap_err().0, [SettingError::new("service.link_secret", said)]);
        }
        let config = load(&format!("[service]\nlink_secret = [{one:?}, {other:?}]"), &[]).unwrap();
        assert_eq!(config.service.link_secret.expose(), one, "the first signs");
        let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
        assert!(shown.contains("(hidden)") && !shown.contains(&one) && !shown.contains(&other), "{shown}");
    }

    #[test]
    fn keys_that_seal_may_stand_on_lines_of_a_file_and_wrong_ones_are_told_by_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let load_file = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load("", &[("WAITLESS_SERVICE__SEAL_KEYS_FILE", path.to_str().unwrap())])
        };
        let (one, other) = ("1".repeat(32), "2".repeat(40));
        let keys = load_file(&format!("{one}\n\n {other}\n")).unwrap().service.seal_keys;
        assert_eq!(keys.iter().map(Secret::expose).collect::<Vec<_>>(), [&one, &other]);
        for (text, said) in [
            (format!("{one}\nshort"), "key 2 is too short; at least 32 random bytes are needed, without commas"),
            (format!("{one},{other},{one}"), "key 3 is the same as key 1"),
        ] {
            let errors = load_file(&text).unwrap_err().0;
            assert_eq!(errors, [SettingError::new("service.seal_keys", said)]);
        }
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_what_would_be_right() {
        let said = mistakes(
            "[http]\nlisen = \"x\"\nmax_body = \"big\"\n[worker]\nlanes = [\"fast\"]\nconcurrency = 0\n[sources.erp]\nurl = \"mysql://u:p@h/d\"\nuser = \"u\"",
            &[
                ("WAITLESS_DATABASE_URL", "x"),
                ("WAITLESS_MAIL__TIMEOUT", "soon"),
                ("WAITLESS_STORAGE__URL_FILE", "/does/not/exist"),
            ],
        );
        insta::assert_snapshot!(said, @r#"
        WAITLESS_DATABASE_URL: is not a setting; sections and keys are parted by two underscores: did you mean WAITLESS_DATABASE__URL?
        WAITLESS_STORAGE__URL_FILE: the file `/does/not/exist` cannot be read: No such file or directory (os error 2)
        http.lisen: unknown setting in waitless.toml; did you mean `http.listen`?
        sources.erp.user: unknown setting in waitless.toml; a source has url, max_connections, max_running, row_level_security, role, role_attribute, roles and tenants
        http.max_body: `big` is not a size; write for example "16MiB"
        mail.timeout: `soon` is not a duration; write for example "250ms", "30s", "5m" or "30d"
        worker.lanes: `fast` is not a known lane; lanes are interactive and bulk
        worker.concurrency: `0` is too small; at least 1 is needed
        "#);
    }

    #[test]
    fn a_tenant_has_what_it_is_given_and_the_rest_of_everybody() {
        let config = load(
            "[mail]\nlanguage = \"de\"\n[tenants.acme]\nbrand = \"Acme\"\ncolor = \"#7a1fa2\"\n\
             [tenants.\"b@c.example\"]\ntime_zone = \"Asia/Shanghai\"",
            &[("WAITLESS_TENANTS__ACME__LANGUAGE", "fr")],
        )
        .unwrap();
        let acme = &config.tenants["acme"];
        assert_eq!((acme.name.as_str(), acme.language.as_str()), ("Acme", "fr"));
        assert_eq!((acme.color.to_string().as_str(), acme.time_zone.name()), ("#7a1fa2", "UTC"));
        let other = &config.tenants["b@c.example"];
        assert_eq!((other.name.as_str(), other.language.as_str()), ("Waitless", "de"));
        assert_eq!(other.time_zone.name(), "Asia/Shanghai");
    }

    #[test]
    fn a_tenant_has_the_quotas_it_is_given_and_the_rest_of_everybody() {
        let config = load(
            "[quotas]\njobs_per_day = 100\nbytes_per_day = \"1GiB\"\n[tenants.acme.quotas]\njobs_per_day = 7\n[tenants.globex]\nbrand = \"G\"",
            &[("WAITLESS_TENANTS__ACME__QUOTAS__PRINCIPAL_JOBS_PER_DAY", "3")],
        )
        .unwrap();
        let Quotas { jobs_per_day, bytes_per_day, principal_jobs_per_day, .. } = config.tenants["acme"].quotas;
        assert_eq!((jobs_per_day, bytes_per_day.0, principal_jobs_per_day), (7, 1 << 30, 3));
        assert_eq!(config.tenants["globex"].quotas, config.quotas);
        assert_eq!(config.quotas.rows_per_day, 0);
    }

    #[test]
    fn a_role_has_scopes_and_reports_and_may_leave_out_either() {
        let config = load(
            "[roles.analyst]\nscopes = [\"read\", \"write\"]\nreports = [\"sales-*\", \"orders\"]\n[roles.operator]\nscopes = [\"admin\"]",
            &[],
        )
        .unwrap();
        let analyst = &config.roles["analyst"];
        assert_eq!(analyst.scopes, [Scope::Read, Scope::Write]);
        assert!(analyst.reports.as_ref().unwrap().iter().any(|pattern| pattern.matches("sales-by-day")));
        assert_eq!(config.roles["operator"], AccessRole { scopes: vec![Scope::Admin], reports: None });
    }

    #[test]
    fn what_is_wrong_with_roles_and_quotas_is_said() {
        let said = mistakes(
            "[service]\ntime_zone = \"Berlin\"\n[quotas]\njobs_per_day = -1\nprincipal_unfinished_jobs = 1001\njobs_a_day = 7\n\
             [roles.analyst]\nscopes = [\"raed\"]\nreports = []\nadmin = true\n[roles.clerk]\nreports = [\"Orders\"]\nscopes = 7\n[roles.\"A b\"]\nscopes = []\n\
             [tenants.acme.quotas]\nbytes_per_day = \"much\"\nrows = 7\n[tenants.globex]\nquotas = 7",
            &[],
        );
        insta::assert_snapshot!(said, @r#"
        quotas.jobs_a_day: unknown setting in waitless.toml; did you mean `quotas.jobs_per_day`?
        roles.analyst.admin: unknown setting in waitless.toml; a role has scopes and reports
        tenants.acme.quotas.rows: unknown setting in waitless.toml; [tenants.<name>.quotas] has unfinished_jobs, jobs_per_day, rows_per_day, bytes_per_day, recipients_per_job, recipients_per_day, links_per_day, principal_unfinished_jobs, principal_jobs_per_day, principal_rows_per_day, principal_bytes_per_day, principal_recipients_per_day and principal_links_per_day
        tenants.globex.quotas: unknown setting in waitless.toml; a tenant has brand, color, logo, language, time_zone, weight and max_running
        service.time_zone: `Berlin` is not an IANA time zone; write for example "Europe/Berlin"
        quotas.jobs_per_day: `-1` is not a whole number, or too large; write one from 0 on
        quotas.principal_unfinished_jobs: `1001` is too large; at most 1000 can be counted
        roles.analyst.scopes: `raed` is not a known scope; scopes are read, write, admin, backlog, mint
        roles.analyst.reports: names no report; leave it out for a role that says nothing about reports
        roles.clerk.scopes: `7` is not a known scope; scopes are read, write, admin, backlog, mint
        roles.clerk.reports: `Orders` is no name of reports; write lower-case letters, digits and hyphens, and * for any characters
        tenants.acme.quotas.bytes_per_day: `much` is not a size; write for example "16MiB"
        roles.A b: is no name of a role; write 1 to 60 lower-case letters, digits, - and _
        "#);
    }

    #[test]
    fn a_tenants_weight_is_read_beside_its_brand() {
        let config =
            load("[tenants.acme]\nbrand = \"Acme\"\nweight = 3\n[tenants.bolt]\nbrand = \"Bolt\"", &[]).unwrap();
        assert_eq!(config.tenants["acme"].brand.name, "Acme");
        assert_eq!(
            config.tenants.iter().map(|(name, tenant)| (name.as_str(), tenant.weight)).collect::<Vec<_>>(),
            [("acme", 3), ("bolt", 1)]
        );
        assert_eq!(
            mistakes("[tenants.acme]\nweight = 0", &[]).trim(),
            "tenants.acme.weight: `0` is too small; at least 1 is needed"
        );
    }

    #[test]
    fn what_is_wrong_with_a_brand_is_said() {
        let said = mistakes(
            "[mail]\ncolor = \"#ffcc00\"\nlogo = \"http://x/y.png\"\nlanguage = \"it\"\ntime_zone = \"Berlin\"\n\
             [tenants.acme]\ncolour = \"#123456\"\nbrand = \"\"",
            &[],
        );
        insta::assert_snapshot!(said, @r##"
        tenants.acme.colour: unknown setting in waitless.toml; a tenant has brand, color, logo, language, time_zone, weight and max_running
        mail.color: `#ffcc00` is too light: white text on it has a contrast of 1.5 to 1 and needs 4.5 to 1; "#907200" would do
        mail.logo: `http://x/y.png` is not an https:// address; mail programs fetch no other, or not safely
        mail.language: `it` is not one of en, de, fr, es, zh
        mail.time_zone: `Berlin` is not an IANA time zone; write for example "Europe/Berlin"
        tenants.acme.brand: must be a line of 1 to 60 characters
        "##);
    }

    #[test]
    fn where_mails_leave_the_machine_nobody_gets_any_unless_it_is_said() {
        let allow = |file| load(file, &[]).unwrap().mail.allow;
        assert_eq!(allow(""), ["*"]);
        assert_eq!(allow("[mail]\nurl = \"file:mails\""), ["*"]);
        assert_eq!(allow("[mail]\nurl = \"smtp://mail.example.com\""), [""; 0]);
        assert_eq!(allow("[mail]\nurl = \"smtp://mail.example.com\"\nallow = [\"@example.com\"]"), ["@example.com"]);
    }

    #[test]
    fn production_refuses_embedded_backends_and_short_secrets() {
        insta::assert_snapshot!(mistakes("[service]\nmode = \"production\"", &[]), @r#"
        database.url: `sqlite:` is for embedded mode; set postgres://…, or service.mode = "embedded"
        broker.url: `in-process:` is for embedded mode; set amqp://… or amqps://…, or service.mode = "embedded"
        mail.url: `file:` is for embedded mode; set smtp://… or smtps://…, or service.mode = "embedded"
        storage.url: `file:` is for embedded mode; set s3://…, gs://… or az://…, or service.mode = "embedded"
        service.link_secret: at least 32 random bytes are needed, the same for every process
        service.public_url: is needed for the links in mails, for example "https://reports.example.com"
        "#);
    }

    #[test]
    fn production_demands_of_a_role_only_what_it_uses() {
        let demanded = |role| {
            let mode = ("WAITLESS_SERVICE__MODE".to_owned(), "production".to_owned());
            let errors = Config::from_layers_as(role, None, std::iter::once(mode), |_| Vec::new()).unwrap_err().0;
            errors.into_iter().map(|error| error.key).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(demanded(Role::DatabaseOnly), "database.url");
        let all = "database.url broker.url storage.url service.link_secret";
        assert_eq!(demanded(Role::ReportWorker), all);
        assert_eq!(demanded(Role::Gateway), format!("{all} service.public_url"));
        let mail = all.replace("broker.url", "broker.url mail.url");
        assert_eq!(demanded(Role::Notifier), format!("{mail} service.public_url"));
        assert_eq!(demanded(Role::AllInOne), demanded(Role::Notifier));
    }

    #[test]
    fn everything_by_which_a_file_is_not_toml_is_shown_with_its_line() {
        let text = "[http]\nlisten = \nmax_page = 5 6\nmax_body = \"1MiB\"\nmax_body = \"2MiB\"\n";
        let errors = load(text, &[("WAITLESS_DATABASE_URL", "x")]).unwrap_err().0;
        let places =
            errors.iter().filter_map(|error| error.message.strip_prefix("not valid TOML: TOML parse error at "));
        let places: Vec<&str> = places.filter_map(|said| said.lines().next()).collect();
        assert_eq!(places, ["line 2, column 10", "line 3, column 12", "line 5, column 1"], "{errors:#?}");
        assert!(errors.iter().any(|error| error.key == "WAITLESS_DATABASE_URL"), "{errors:#?}");
    }
}
