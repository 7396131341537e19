//! Report definitions: parsing, parameters, placeholders. Pure: no input or output.

mod canonical;
mod column;
mod definition;
mod demo;
mod file;
mod fingerprint;
mod output;
mod parse;
mod parse_column;
mod parse_param;
mod parse_print;
mod query;
mod schema;
mod validate;

pub use column::{ColumnAlign, ColumnFormat, ColumnSpec, ColumnTotal};
pub use definition::*;
pub use demo::DEMO_CATALOGUE;
pub use fingerprint::fingerprint;
pub use output::{Compression, CsvOptions, JsonlOptions, OnLimit};
pub use parse::{parse_definition, parse_definition_for};
pub use query::{Dialect, ListPlace, Placeholder, Query};
pub use schema::params_schema;
pub use validate::validate_params;

/// Placeholders whose values come from the caller's credentials and from nowhere else.
pub const RESERVED: [&str; 2] = ["tenant", "principal"];
