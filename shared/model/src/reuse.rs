//! Reuse: one run answers several identical jobs.
//!
//! Identical jobs are of one tenant and access scope, one report version, equal parameters and the same formats. The first one is
//! the *leader*: its run is the only one. Those that come while it is under way *join* it and follow its states, each with a row,
//! events, recipients, links and a cancel of its own. Those that come after its end, while it is fresh enough, are answered from
//! its files.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::{hash_token, link_token};
use crate::artifact::Format;
use crate::job::{JobState, UnknownName};
use crate::transitions::Transition;

/// How a submit was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Served {
    /// By a run of its own.
    #[default]
    Cold,
    /// At once, from the files of an identical job.
    Warm,
    /// By the run of an identical job that was under way.
    Joined,
}

impl Served {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Cold, Self::Warm, Self::Joined];

    /// Returns the name used in the API, metrics and the database (which keeps nothing for cold ones).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::Joined => "joined",
        }
    }
}

impl std::str::FromStr for Served {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|served| served.as_str() == name).ok_or_else(|| UnknownName::new("served", name))
    }
}

/// Whose run a job has, and who else waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sharing {
    /// How the submit was answered.
    pub served: Served,
    /// The job whose run this one shares, or whose files it was answered from.
    pub leader: Option<Uuid>,
    /// How many jobs ever joined this one; none when none may.
    pub joined: Option<i32>,
    /// When its submitter cancelled it while others waited for its run. The store shows it to the submitter as cancelled; the run
    /// goes on.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// The finished job whose Parquet file it is made from, in place of the report's source. Its files expire no later than that one.
    #[serde(default)]
    pub made_from: Option<Uuid>,
}

impl Sharing {
    /// Tells whether other jobs may wait for this one's run.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.joined.is_some_and(|joined| joined > 0)
    }

    /// Returns the leader of a job that takes its states from there, as long as it is not final.
    #[must_use]
    pub fn follows(&self) -> Option<Uuid> {
        self.leader.filter(|_| self.served == Served::Joined)
    }
}

/// A submit's wish to be answered by an identical job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reuse {
    /// Of everything that makes jobs identical.
    pub fingerprint: [u8; 32],
    /// How long ago an identical job may have finished. Zero: a run of its own, which later submits may be answered from.
    pub max_age: Duration,
    /// A link for each format: the files of another job's run get links of this job's own.
    pub links: Vec<LinkSeed>,
    /// The finished job whose Parquet file the rows are read from, in place of the source. The same file makes the same files, so
    /// that whoever asks for that always has a wish to reuse.
    pub made_from: Option<Uuid>,
}

impl Reuse {
    /// Returns the two numbers of the lock that whoever submits what is identical takes turns by.
    #[must_use]
    pub fn turn(&self) -> (i32, i32) {
        let part = |from: usize| {
            let bytes = self.fingerprint.iter().skip(from).take(4);
            bytes.fold(0_i32, |number, byte| (number << 8) | i32::from(*byte))
        };
        (part(0), part(4))
    }
}

/// A link about to be made for a file that another job's run makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSeed {
    /// The format of the file.
    pub format: Format,
    /// The link's token is derived from it.
    pub link_id: Uuid,
    /// SHA-256 of the token, in hexadecimal.
    #[serde(with = "hex::serde")]
    pub link_hash: [u8; 32],
}

impl LinkSeed {
    /// Draws a link for a file of the format.
    #[must_use]
    pub fn new(secret: &str, format: Format) -> Self {
        let link_id = Uuid::new_v4();
        Self { format, link_id, link_hash: hash_token(&link_token(secret, link_id)) }
    }
}

/// A hash that may be missing, in hexadecimal.
pub(crate) mod maybe_hash {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(hash: &Option<[u8; 32]>, to: S) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => to.serialize_str(&hex::encode(hash)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let bytes = hex::decode(text).map_err(de::Error::custom)?;
        bytes.try_into().map(Some).map_err(|_| de::Error::custom("a hash has 32 bytes"))
    }
}

/// How a follower stands to its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderGap {
    /// Where the follower is.
    pub follower: JobState,
    /// Where the leader is.
    pub leader: JobState,
    /// The leader has begun attempts that the follower has not.
    pub behind: bool,
    /// The leader has lost workers of which the follower does not know.
    pub crashed: bool,
}

impl LeaderGap {
    /// Every gap there can be: what a store cannot ask of this code it reads from a table.
    pub fn all() -> impl Iterator<Item = Self> {
        JobState::ALL.into_iter().flat_map(|follower| {
            JobState::ALL.into_iter().flat_map(move |leader| {
                [(false, false), (false, true), (true, false), (true, true)]
                    .into_iter()
                    .map(move |(behind, crashed)| Self { follower, leader, behind, crashed })
            })
        })
    }

    /// Returns the next arrow of the follower towards its leader. It takes the arrows of an ordinary job, and so passes through
    /// `processing` even where the leader has left it already.
    #[must_use]
    pub const fn next_step(self) -> Option<Transition> {
        match (self.follower, self.leader) {
            (JobState::Pending | JobState::Retrying, _) if self.behind => Some(Transition::Claim),
            (JobState::Processing, _) if self.behind => Some(Transition::HandBack),
            (JobState::Processing, JobState::Done) => Some(Transition::Finish),
            (JobState::Processing, JobState::Failed) => Some(Transition::Fail),
            (JobState::Processing, JobState::Retrying) => Some(Transition::RetryLater),
            (JobState::Processing, JobState::Pending) if self.crashed => Some(Transition::Lose),
            (JobState::Processing, JobState::Pending) => Some(Transition::HandBack),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_reaches_every_state_of_its_leader_by_the_arrows_there_are() {
        let states = [JobState::Pending, JobState::Processing, JobState::Retrying, JobState::Done, JobState::Failed];
        for start in
            [(JobState::Pending, 0), (JobState::Processing, 1), (JobState::Retrying, 1), (JobState::Pending, 1)]
        {
            for state in states {
                for crashed in [true, false] {
                    let leader = (state, 2);
                    let mut follower = start;
                    for _ in 0..4 {
                        let gap = LeaderGap {
                            follower: follower.0,
                            leader: leader.0,
                            behind: leader.1 > follower.1,
                            crashed,
                        };
                        let Some(step) = gap.next_step() else { break };
                        assert!(step.from().contains(&follower.0), "{step:?} cannot leave {follower:?}");
                        let attempt = if step == Transition::Claim { leader.1 } else { follower.1 };
                        follower = (step.to(), attempt);
                    }
                    assert_eq!(follower, leader, "from {start:?}");
                }
            }
        }
    }

    #[test]
    fn a_link_seed_is_read_back_as_it_was_written() {
        let seed = LinkSeed::new("a secret of the tests", Format::Xlsx);
        let text = serde_json::to_string(&seed).unwrap();
        assert_eq!(serde_json::from_str::<LinkSeed>(&text).unwrap(), seed);
        for wrong in ["00", &"zz".repeat(32), &"00".repeat(33)] {
            let text = format!(r#"{{"format":"csv","link_id":"{}","link_hash":"{wrong}"}}"#, Uuid::nil());
            assert!(serde_json::from_str::<LinkSeed>(&text).is_err(), "{wrong}");
        }
    }
}
