//! What tests of Waitless stand on: private servers, a proxy that breaks connections, and our own processes.

pub mod broker_conformance;
pub mod clock;
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
pub mod tls;
pub mod workbook;

mod account;
mod eventually;
mod guard;
mod http;
mod port;
mod run;
mod tree;

pub use eventually::{Look, eventually};
