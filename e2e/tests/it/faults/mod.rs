//! One file a family of faults.

mod broker;
mod clocks;
mod configuration;
mod database;
mod embedded;
mod gateways;
mod notifier;
mod restores;
mod rollouts;
mod schedule_files;
mod schedules;
mod starts;
mod workers;
