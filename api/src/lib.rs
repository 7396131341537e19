//! The gateway: REST, server-sent events and download links over the store.

mod admin;
mod application;
mod auth;
mod body;
mod cors;
mod download;
mod gateway;
mod jobs;
mod limits;
mod links;
mod openapi;
mod operations;
mod problem;
mod reports;
mod routes;
mod trace;
mod under_way;
mod watch;

pub use application::Application;
pub use auth::Access;
pub use openapi::Document;
pub use routes::{Row, table};
