//! What an adopted entity was like before it was taken over, kept on the entity
//! itself so that a Delete can give it back: in tags of a role and a policy, and in
//! the `Sid` of a statement of a group's policy, since groups have no tags. Pure.

use std::collections::BTreeSet;

use sagemaker_external::arn::PolicyArn;
use sagemaker_external::name::IamPath;
use serde::{Deserialize, Serialize};

use crate::member::Member;
use crate::owner::TAG_PREFIX;
use crate::role_plan::{Policy, Role};
use crate::step::Tags;

/// What may be taken over: the ARNs that the provisioner's stack names. Beside it, further
/// policies may be made below the provisioner's own path, or where they are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    pub path: IamPath,
    pub arns: BTreeSet<String>,
}

impl Adoption {
    /// What is there is taken over by name alone, wherever it lies: giving it back obeys what
    /// stands on it, which is no way for who may write tags to have it written anew.
    pub fn allow_existing(&self, arn: &str) -> Result<(), String> {
        match self.arns.contains(arn) {
            true => Ok(()),
            false => Err(format!(
                "OnExisting: {arn} exists already; name it in AdoptArns of the provisioner's stack to adopt it"
            )),
        }
    }

    /// Refuses what IAM would refuse later, half-way.
    pub fn allow_new(&self, arn: &str, path: &IamPath) -> Result<(), String> {
        if path.as_str().starts_with(self.path.as_str()) || self.arns.contains(arn) {
            return Ok(());
        }
        Err(format!(
            "OnExisting: {arn} lies outside {}; name it in AdoptArns of the provisioner's stack to adopt it",
            self.path
        ))
    }
}

/// Why an entity that says how it was found is neither changed nor removed: `named` are the
/// ARNs for which that is obeyed. It may be adopted or made here, and somebody may have
/// forged what it says; only the operator can tell.
pub(crate) fn unnamed(arn: &str, mark: &str, named: &BTreeSet<String>) -> Option<String> {
    (!named.contains(arn)).then(|| {
        format!(
            "{arn} has {mark}, which says what it was like before it was adopted and is ignored, because AdoptArns of the provisioner's stack does not name it; its operator can name it there if it was adopted, or that can be taken off it if it was made here"
        )
    })
}

/// IAM's limit of a tag's value.
const TAG_VALUE: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRole {
    pub trust: String,
    pub max_session: i32,
    pub boundary: Option<String>,
    /// The keys of its tags, which nothing here sets or takes off.
    pub tags: BTreeSet<String>,
    /// ARNs of adopted policies that an Update has detached since.
    pub detached: BTreeSet<String>,
}

impl FoundRole {
    pub fn of(role: &Role) -> Self {
        Self {
            trust: role.trust.clone(),
            max_session: role.max_session,
            boundary: role.boundary.clone(),
            tags: role.tags.keys().cloned().collect(),
            detached: BTreeSet::new(),
        }
    }

    pub fn tags(&self) -> Tags {
        to_tags(self)
    }

    /// `None` for a role that was not adopted.
    pub fn read(tags: &Tags) -> Option<Self> {
        from_tags(tags)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPolicy {
    /// The default version.
    pub version: String,
    /// All versions, oldest first: they are kept as they are.
    pub versions: Vec<String>,
    /// Whether it was attached to the role.
    pub attached: bool,
    /// The keys of its tags, which nothing here sets or takes off.
    pub tags: BTreeSet<String>,
}

impl FoundPolicy {
    pub fn of(arn: &PolicyArn, policy: &Policy, role: Option<&Role>) -> Self {
        let arn = arn.to_string();
        // Detached since by ourselves, and now taken over again.
        let detached = |role: &Role| FoundRole::read(&role.tags).is_some_and(|found| found.detached.contains(&arn));
        Self {
            version: policy.default_version.clone(),
            versions: policy.versions.clone(),
            attached: role.is_some_and(|role| role.attached.contains(&arn) || detached(role)),
            tags: policy.tags.keys().cloned().collect(),
        }
    }

    pub fn tags(&self) -> Tags {
        to_tags(self)
    }

    /// `None` for a policy that was not adopted.
    pub fn read(tags: &Tags) -> Option<Self> {
        from_tags(tags)
    }

    /// The version to make the default again: the found one, or, where that was deleted
    /// since, the newest of those found with it, or else the one that is.
    pub fn back<'a>(&'a self, policy: &'a Policy) -> &'a str {
        let there = |version: &&String| policy.versions.contains(version);
        let newest = || self.versions.iter().rev().find(there);
        Some(&self.version).filter(there).or_else(newest).unwrap_or(&policy.default_version)
    }
}

const MARK: &str = "found-";

/// Whether some of what says how an entity was found stands there.
pub fn is_marked(tags: &Tags) -> bool {
    tags.keys().any(|key| key.strip_prefix(TAG_PREFIX).is_some_and(|key| key.starts_with(MARK)))
}

/// `…:found-01`, `…:found-02`, …: a tag's value is short.
fn to_tags(found: &impl Serialize) -> Tags {
    let text = encode(found);
    let parts = text.as_bytes().chunks(TAG_VALUE).map(|part| String::from_utf8_lossy(part).into_owned());
    parts.enumerate().map(|(index, part)| (key(index + 1), part)).collect()
}

fn key(index: usize) -> String {
    format!("{TAG_PREFIX}{MARK}{index:02}")
}

fn from_tags<T: for<'a> Deserialize<'a>>(tags: &Tags) -> Option<T> {
    let part = |index: usize| tags.get(&key(index)).map(String::as_str);
    decode(&(1..).map_while(part).collect::<String>())
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundGroup {
    pub users: BTreeSet<Member>,
    /// The inline policy that ours took the place of: name and document.
    pub policy: Option<(String, String)>,
}

const FOUND_SID: &str = "Found";

impl FoundGroup {
    /// Letters and digits only, which is all that a `Sid` may hold.
    pub fn sid(&self) -> String {
        format!("{FOUND_SID}{}", encode(self))
    }

    pub fn read(sid: &str) -> Option<Self> {
        decode(sid.strip_prefix(FOUND_SID)?)
    }
}

/// Hexadecimal JSON: it fits wherever IAM lets anything stand.
fn encode(found: &impl Serialize) -> String {
    // Strings, numbers and lists: serialising these cannot fail.
    let json = serde_json::to_vec(found).unwrap_or_default();
    json.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let bytes = digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect::<Vec<u8>>();
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_found_reads_back(trust in "\\PC{0,2048}", max_session in 3600..=43200, boundary in proptest::option::of("[a-z:/,]{1,200}"), keys in prop::collection::btree_set("[\\p{L}_.:/=+@-]{1,20}", 0..5)) {
            let found = FoundRole { trust, max_session, boundary, tags: keys, detached: BTreeSet::from(["arn".to_owned()]) };
            let tags = found.tags();
            prop_assert!(tags.values().all(|value| value.len() <= TAG_VALUE));
            prop_assert_eq!(FoundRole::read(&tags), Some(found));
        }

        #[test]
        fn a_found_group_is_a_sid(users in prop::collection::btree_set("[a-z+=,.@_-]{1,20}", 0..5), policy in proptest::option::of(("[a-z]{1,9}", "\\PC{0,99}"))) {
            let users = users.into_iter().map(Member::from).collect();
            let found = FoundGroup { users, policy };
            prop_assert!(found.sid().bytes().all(|b| b.is_ascii_alphanumeric()));
            prop_assert_eq!(FoundGroup::read(&found.sid()), Some(found));
        }
    }

    #[test]
    fn what_was_not_adopted_has_nothing_found() {
        assert_eq!(FoundRole::read(&Tags::new()), None);
        assert_eq!(FoundPolicy::read(&Tags::new()), None);
        assert_eq!(FoundGroup::read("SageMakerExternal00ff"), None);
        assert_eq!(FoundGroup::read("Foundzz"), None);
    }
}
