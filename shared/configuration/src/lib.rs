//! Configuration: the only place that reads the environment.
//!
//! Defaults (`default.toml`) ← a file ← environment variables `WAITLESS_<SECTION>__<KEY>` ← secrets from files named by
//! `WAITLESS_<SECTION>__<KEY>_FILE`. Unknown keys are refused, and every mistake is reported at once.

mod brand;
mod environment;
mod layers;
mod load;
mod read;
mod sections;
mod settings;
mod values;

pub use brand::{Brand, Color, Logo};
pub use load::DEFAULTS;
pub use read::{ConfigError, Fault};
pub use settings::*;
pub use values::Secret;
