//! Configuration: the only place that reads the environment.

mod settings;
mod values;

pub use settings::*;
pub use values::{ByteSize, Secret};
