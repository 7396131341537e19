//! What a look at one part of an installation found: how it stands, in one line, and what to do about it.

use std::fmt::Display;

use serde::Serialize;

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingLevel {
    /// As it should be.
    Ok,
    /// It works, and may not be meant or may not last.
    Warn,
    /// It does not work.
    Fail,
}

impl FindingLevel {
    /// Names it for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How good it is.
    pub level: FindingLevel,
    /// What was looked at and how it stands. Never with a secret in it.
    pub what: String,
    /// What somebody should do; `None` where nothing is to be done.
    #[serde(rename = "do")]
    pub advice: Option<String>,
}

/// Findings in the order in which they were made. Whoever looks writes into it as they go, so that what was found is there even
/// where the next question is never answered.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Notes what is as it should be.
    pub fn ok(&mut self, what: impl Display) {
        self.push(FindingLevel::Ok, what, None);
    }

    /// Notes what works and may not be meant, and what to do.
    pub fn warn(&mut self, what: impl Display, advice: impl Into<String>) {
        self.push(FindingLevel::Warn, what, Some(advice.into()));
    }

    /// Notes what does not work, and what to do.
    pub fn fail(&mut self, what: impl Display, advice: impl Into<String>) {
        self.push(FindingLevel::Fail, what, Some(advice.into()));
    }

    /// Returns them.
    #[must_use]
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }

    fn push(&mut self, level: FindingLevel, what: impl Display, advice: Option<String>) {
        // One line each, whatever a server said.
        let what = what.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        self.0.push(Finding { level, what, advice });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_the_worst_is_the_greatest() {
        let mut findings = Findings::default();
        findings.ok("a\n  b");
        findings.fail("c", "mend c");
        let findings = findings.into_vec();
        assert_eq!(findings[0].what, "a b");
        assert_eq!(findings.iter().map(|finding| finding.level).max(), Some(FindingLevel::Fail));
        let json = serde_json::to_value(&findings[1]).unwrap();
        assert_eq!(json, serde_json::json!({ "level": "fail", "what": "c", "do": "mend c" }));
    }
}
