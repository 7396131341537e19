//! Refusals: a format that cannot hold the rows of a job, and what becomes of the job then.

use serde::{Deserialize, Serialize};

use crate::artifact::Format;
use crate::job::UnknownName;
use crate::problem::Problem;

/// What becomes of a job when one of its formats cannot hold the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRefusal {
    /// It fails: all of its formats, or none.
    #[default]
    Fail,
    /// It is done with the other formats, and says what is missing and why. Where every format refuses, it fails.
    KeepOthers,
}

impl OnRefusal {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Fail, Self::KeepOthers];

    /// Returns the name used in the API and the database (which keeps nothing for `fail`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::KeepOthers => "keep_others",
        }
    }

    /// Returns what the database keeps: nothing for `fail`.
    #[must_use]
    pub fn kept(self) -> Option<&'static str> {
        (self != Self::Fail).then(|| self.as_str())
    }
}

impl std::str::FromStr for OnRefusal {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.as_str() == name)
            .ok_or_else(|| UnknownName::new("answer to a refusal", name))
    }
}

/// A format that could not hold the rows of a job that is done with the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One of the job's formats; it has no artifact.
    pub format: Format,
    /// Why.
    pub problem: Problem,
}
