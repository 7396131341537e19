//! The gateway: REST, server-sent events and download links over the store.

pub mod admin;
pub mod application;
pub mod asyncapi;
pub mod audit;
pub mod auth;
pub mod body;
mod cache;
pub mod closed_sets;
pub mod console;
pub mod cors;
pub mod download;
pub mod entity_tag;
pub mod error;
pub mod forecast;
pub mod gateway;
pub mod in_flight;
pub mod jobs;
pub mod limits;
pub mod links;
pub mod openapi;
pub mod operations;
pub mod own_address;
pub mod report_versions;
pub mod reports;
pub mod routes;
pub mod schedules;
pub mod service_status;
pub mod session;
pub mod tokens;
pub mod trace;
pub mod usage;
pub mod watch;

pub use application::Application;
pub use auth::Access;
pub use openapi::Document;
pub use routes::{RouteEntry, table};
