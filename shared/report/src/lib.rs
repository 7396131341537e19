//! Report definitions: parsing, parameters, placeholders. Pure: no input or output.

mod canonical;
mod check_attributes;
mod column;
mod definition;
mod demo;
mod fingerprint;
mod output;
mod parse;
mod parse_attribute;
mod parse_column;
mod parse_faults;
mod parse_param;
mod parse_print;
mod parse_query;
mod parse_running;
mod parse_schedule;
mod query;
mod relative;
mod run_key;
mod schedule_spec;
mod schema;
mod table_reader;
mod unique_names;
mod validate;
mod viewer;

pub use check_attributes::{UnreadAttribute, attributes_read, check_attributes};
pub use column::{ColumnAlign, ColumnFormat, ColumnSpec, ColumnTotal, ColumnType, DecimalDigits};
pub use definition::*;
pub use demo::DEMO_CATALOGUE;
pub use fingerprint::fingerprint;
pub use output::{Compression, CsvOptions, FormulaText, JsonText, JsonlOptions, OnLimit};
pub use parse::{check_definition, check_definition_for, parse_definition};
pub use query::{Dialect, ListPlace, Placeholder, Query};
pub use relative::relative_value;
pub use run_key::{RunsAtOnce, limit_key, run_key};
pub use schedule_spec::ScheduleSpec;
pub use schema::params_schema;
pub use unique_names::unique_names;
pub use validate::validate_params;
pub use viewer::{Viewer, viewers_of};

/// Placeholders whose values come from the caller's credentials and from nowhere else.
pub const RESERVED: [&str; 2] = ["tenant", "principal"];
