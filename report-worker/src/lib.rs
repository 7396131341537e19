//! The report worker: takes jobs from the broker, runs reports, stores artifacts.
//!
//! The path of one job through this crate: [`consume`] takes a delivery, [`run_job`] claims the job and settles it in the end,
//! `open_rows` finds where its rows come from, [`sources`] reads them, [`formats`] turns them into files, [`write_files`] joins
//! the two and the storage.

mod failpoint;

mod application;
mod attempt;
mod attempt_metrics;
mod attempt_registry;
mod broadcast;
mod claim;
mod complete_upload;
mod consume;
mod definition_cache;
mod discard;
mod encode;
mod encoder_task;
mod exclusivity;
mod heartbeat;
mod idle;
mod limit_rows;
mod limits;
mod memory_budget;
mod open_rows;
mod plan_files;
mod pod_cost;
mod preview;
mod run_job;
mod settle;
mod worker;
mod write_files;

pub use application::Application;
