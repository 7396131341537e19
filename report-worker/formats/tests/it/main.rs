//! The tests of formats: one module a format, read back by code that shares nothing with the writers.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod formula;
mod rows;
mod write;

mod csv;
mod every_type;
mod jsonl;
mod openpyxl;
mod options;
mod parquet;
mod pdf;
mod pdf_charts;
mod pdf_text;
mod xlsx;
