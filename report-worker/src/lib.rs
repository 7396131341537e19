//! The report worker: takes jobs from the broker, runs reports, stores artifacts.
//!
//! The path of one job through this crate: [`consume`] takes a delivery, [`run_job`] claims the job and settles it in the end,
//! `open_rows` finds where its rows come from, [`source`] reads them, [`mod@format`] turns them into files, [`write_files`] joins the two and the storage.

mod failpoint;

mod application;
mod broadcast;
mod budget;
mod claim;
mod company;
mod consume;
mod definition;
mod discard;
mod encode;
mod finish;
pub mod format;
mod heartbeat;
mod limits;
mod measure;
mod open_rows;
mod preview;
mod run_job;
mod running;
mod settle;
pub mod source;
mod worker;
mod write_files;

pub use application::Application;
pub use definition::Report;
