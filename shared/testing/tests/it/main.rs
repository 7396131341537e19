//! Holds the files of `deploy/` against the code they deploy. What can be checked without the code is checked by
//! `deploy/validate`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod deployment;
mod documents;
mod extending;
mod glossary;
mod processes;
mod promises;
mod rules;
mod sources;
