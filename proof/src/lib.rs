#![doc = include_str!("../README.md")]

mod action;
mod bounds;
mod database;
mod mutation;
mod notifiers;
mod processes;
mod properties;
mod recovery;
mod system;
mod watcher;

pub use action::{Action, RunEnding};
pub use bounds::Bounds;
pub use database::{ClaimReply, LossCause};
pub use mutation::Mutation;
pub use properties::{ALWAYS, PropertyCheck, SOMETIMES};
pub use recovery::ends_well;
pub use system::{
    DeliveryRow, Doorbell, Doorbells, JobRow, NotifierProcess, QueuedMessage, Run, StoredFile, System, WorkerLife,
    WorkerProcess,
};
pub use watcher::Watcher;
