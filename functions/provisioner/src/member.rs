//! A user's name as IAM compares it: `alice` and `Alice` are one person. Pure.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Equal to, and sorted beside, every other spelling of the same name, so that a set holds
/// each person once. It is shown as it was first spelled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Member(String);

impl Member {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl From<String> for Member {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl Ord for Member {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for Member {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Member {}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_holds_each_person_once() {
        let set: BTreeSet<Member> = ["bob", "Alice", "alice", "ALICE", "Bob"].map(|n| n.to_owned().into()).into();
        assert_eq!(set.len(), 2, "{set:?}");
        assert!(set.contains(&Member::from("aLiCe".to_owned())) && !set.contains(&Member::from("al".to_owned())));
    }
}
