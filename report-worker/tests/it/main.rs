//! The report worker's integration tests: one module a step of a job's path.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod ground;
mod pdf;
mod rows;
mod stack;
mod workbook;

mod attempts;
mod bad_input;
mod cancels;
mod demo_catalogue;
mod failures;
mod five_million;
mod format_csv;
mod format_every_type;
mod format_jsonl;
mod format_options;
mod format_parquet;
mod format_pdf;
mod format_xlsx;
mod limits;
mod losses;
mod made_from;
mod memory;
mod preview;
mod read_back;
mod source;
mod source_faults;
mod source_mysql;
mod source_postgres;
mod source_postgres_params;
mod source_postgres_types;
mod source_sqlite;
mod storage_faults;
