//! Configuration: the only place that reads the environment.
//!
//! Defaults (`default.toml`) ← a file ← environment variables `WAITLESS_<SECTION>__<KEY>` ← secrets from files named by
//! `WAITLESS_<SECTION>__<KEY>_FILE`. Unknown keys are refused, and every mistake is reported at once.
//!
//! A setting is a field of a struct here and its commented line in `default.toml`. Which URLs there are is not known here: the
//! backend that opens a URL judges it.

mod access_role;
mod addresses;
mod backends;
mod brand;
mod calendar;
mod check_issuers;
mod color;
mod deserialize;
mod encoding;
mod environment;
mod error;
mod fields;
mod issuer;
mod layers;
mod load;
mod networks;
mod paths;
mod private;
mod quotas;
mod role;
mod settings;
mod sources;
mod urls;
mod values;
mod webhook;

pub use access_role::AccessRole;
pub use backends::{Broker, Database, Mail, Storage};
pub use brand::{Brand, Logo};
pub use calendar::Calendar;
pub use check_issuers::LONGEST_ACCESS;
pub use color::Color;
pub use error::{ConfigError, SettingError};
pub use issuer::{Assignment, Issuer, SignInToken, SignatureAlgorithm};
pub use load::DEFAULTS;
pub use networks::{Network, is_public};
pub use quotas::{Quotas, Tenant};
pub use role::Role;
pub use settings::{Catalogue, Config, Http, LogFormat, Mode, Notifier, Service, Sweeper, Telemetry, Worker};
pub use sources::{Source, TENANT, TenantSource};
pub use urls::{UrlCheck, UrlSchemes, check_place, check_urls, is_loopback, wrong_urls};
pub use values::{Secret, Secrets};
pub use webhook::{EVERY_TENANT, Webhook};
