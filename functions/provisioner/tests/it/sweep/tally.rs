//! What a sweep found, counted.

use std::fmt;

/// What is wrong after a scenario.
#[derive(Debug)]
pub enum Trouble {
    /// Ours, and nobody wished for it.
    Orphan(String),
    /// What others hold is not as it was.
    Foreign(String),
    /// Not exactly one valid answer, in time.
    Unanswered(String),
    /// Neither what was before nor what was wished, or an event that did not go well
    /// though nothing was in its way.
    Wrong(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orphan(what) => write!(f, "an orphan: {what}"),
            Self::Foreign(what) => write!(f, "a foreign change: {what}"),
            Self::Unanswered(what) => write!(f, "unanswered: {what}"),
            Self::Wrong(what) => write!(f, "wrong: {what}"),
        }
    }
}

/// How many scenarios were played, and what is wrong after which.
#[derive(Default)]
pub struct Tally {
    pub scenarios: usize,
    pub found: Vec<(String, Trouble)>,
}

/// A list of this many says enough.
const SHOWN: usize = 12;

impl Tally {
    fn count(&self, kind: fn(&Trouble) -> bool) -> usize {
        self.found.iter().filter(|(_, trouble)| kind(trouble)).count()
    }

    /// Fails when anything was found.
    pub fn assert_clean(&self) {
        let shown: String =
            self.found.iter().take(SHOWN).map(|(case, trouble)| format!("{case}\n  {trouble}\n")).collect();
        assert!(self.found.is_empty(), "{} findings: {self}\n{shown}", self.found.len());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let orphans = self.count(|trouble| matches!(trouble, Trouble::Orphan(_)));
        let foreign = self.count(|trouble| matches!(trouble, Trouble::Foreign(_)));
        let unanswered = self.count(|trouble| matches!(trouble, Trouble::Unanswered(_)));
        let scenarios = self.scenarios;
        write!(f, "{scenarios} scenarios, {orphans} orphans, {foreign} foreign changes, {unanswered} unanswered")
    }
}
