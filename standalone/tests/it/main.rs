//! Tests of the binary `waitless`, as people use it.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod check;
mod demo;
mod doctor;
mod errors;
mod keys;
mod mails;
mod month;
mod pauses;
mod printing;
mod proxies;
mod restores;
mod run;
mod runs_at_once;
mod schedules;
mod scripts;
mod sealed;
mod service;
mod settings;
mod sqlite_source;
mod storage_away;
mod up;
mod webhooks;
