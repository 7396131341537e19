//! A schedule as a catalogue file has it.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// One `[[schedules]]` table: what is asked for, by whom, and the name that it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSpec {
    /// Names it within the file; with file and tenant it is the schedule's identity.
    pub name: String,
    /// Whose it is.
    pub tenant: String,
    /// The principal in whose name its jobs run.
    pub owner: String,
    /// Everything else, as the body of `POST /v1/schedules` has it, without `report`.
    pub asked: Map<String, Value>,
}

impl ScheduleSpec {
    /// Returns what tells one state of the table from another: the same for the same owner and settings, however they are set out.
    #[must_use]
    pub fn edition(&self) -> String {
        let text = Value::from_iter([Value::from(self.owner.as_str()), Value::Object(self.asked.clone())]).to_string();
        hex::encode(Sha256::digest(text.as_bytes()))
    }
}
