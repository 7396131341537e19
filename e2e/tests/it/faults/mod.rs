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
mod schedules;
mod starts;
mod workers;
