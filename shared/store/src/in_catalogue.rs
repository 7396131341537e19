//! Schedules of the catalogue: which edition of each is in force, and who has it.

use std::time::Duration;

use model::schedule::CataloguePlace;
use uuid::Uuid;

/// Which state of a place in the catalogue is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEdition {
    /// The place.
    pub place: CataloguePlace,
    /// Names the states that were in force, the newest, which is, first. Empty text: it stood in no file.
    pub editions: Vec<String>,
}

impl CatalogueEdition {
    /// Tells whether the place says nothing any more.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.editions.first().is_some_and(String::is_empty)
    }
}

/// The editions that are remembered of a place.
pub const EDITIONS_KEPT: usize = 20;
/// What has ended is told to have ended for so long.
pub const SAY_ENDED_FOR: Duration = Duration::from_secs(86_400);

/// How long the word of whoever has what is in force holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldTimes {
    /// They say so again after this time.
    pub say_again: Duration,
    /// What nobody has said to have for so long, may be put back to what was there before.
    pub held_for: Duration,
}

/// A schedule of the catalogue, as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub tenant: String,
    /// Which edition of which place.
    pub edition: CatalogueEdition,
    /// The version it is seen with.
    pub version: i64,
    /// Somebody has said within [`HoldTimes::held_for`] to have this edition.
    pub is_held: bool,
    /// It is time to say so again.
    pub asks_again: bool,
}
