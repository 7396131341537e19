//! What tests of Waitless stand on: private servers, a proxy that breaks connections, and our own processes.

pub mod azurite;
pub mod broker_conformance;
pub mod fake_clock;
pub mod identity_provider;
pub mod kubernetes;
pub mod mariadb;
pub mod pdf;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod rabbitmq;
pub mod readers;
pub mod s3;
pub mod smtp;
pub mod source;
pub mod store_conformance;
pub mod store_histories;
pub mod tls;
pub mod webhook_endpoint;
pub mod workbook;

mod account;
mod environment;
mod eventually;
mod fuzz_time;
mod http;
mod port;
mod process_tree;
mod reaper;
mod run;

pub use eventually::{Observation, eventually};
pub use fuzz_time::{fuzz_time, fuzz_time_or};
