//! The demo: data derived from TPC-H in a SQLite file, and one report on it from submit to mail.

mod make_source;
mod preview;
mod read_mail;
mod run_demo;
mod write_rows;

pub(crate) use make_source::{make_demo_source, path_in};
pub(crate) use run_demo::run_demo;
