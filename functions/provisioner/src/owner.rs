//! Who made an entity: a stack's resource. Nothing is changed or removed that
//! another owner, or nobody, made.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Every tag of ours starts so; no property may set one.
pub const TAG_PREFIX: &str = "sagemaker-external:";
/// How many tags an owner takes of IAM's 50.
pub const TAG_COUNT: usize = 2;

/// How every owner's `Sid` begins.
pub const SID_PREFIX: &str = "SageMakerExternal";

const STACK_TAG: &str = "sagemaker-external:stack-id";
const RESOURCE_TAG: &str = "sagemaker-external:logical-id";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub stack_id: String,
    pub logical_id: String,
}

impl Owner {
    /// The keys of the tags that roles and policies carry.
    pub fn tag_keys() -> [&'static str; TAG_COUNT] {
        [STACK_TAG, RESOURCE_TAG]
    }

    /// The tags that roles and policies carry.
    pub fn tags(&self) -> BTreeMap<String, String> {
        [(STACK_TAG, &self.stack_id), (RESOURCE_TAG, &self.logical_id)]
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .into()
    }

    /// Whether these tags are this owner's.
    pub fn owns(&self, tags: &BTreeMap<String, String>) -> bool {
        self.tags().iter().all(|(key, value)| tags.get(key) == Some(value))
    }

    /// Whether these tags are another owner's.
    pub fn is_anothers(&self, tags: &BTreeMap<String, String>) -> bool {
        self.tags().iter().any(|(key, value)| tags.get(key).is_some_and(|held| held != value))
    }

    /// Whether these tags are some owner's, this one or another.
    pub fn is_anyones(tags: &BTreeMap<String, String>) -> bool {
        tags.keys().any(|key| key.starts_with(TAG_PREFIX))
    }

    /// Groups have no tags: the `Sid` of their inline policy says whose they are.
    /// Letters and digits only, which is all that a `Sid` may hold.
    pub fn sid(&self) -> String {
        let mut hash = Sha256::new();
        // A separator that neither id can hold keeps two owners from meeting.
        hash.update(format!("{}\n{}", self.stack_id, self.logical_id));
        let hex: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{SID_PREFIX}{hex}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C40: two resources of one stack, or of two, are two owners.
    #[test]
    fn c40_owners_are_told_apart() {
        let owner = |stack: &str, id: &str| Owner { stack_id: stack.to_owned(), logical_id: id.to_owned() };
        let a = owner("arn:stack/a", "Role");
        for other in [owner("arn:stack/a", "Role2"), owner("arn:stack/b", "Role")] {
            assert!(a.owns(&a.tags()) && !a.owns(&other.tags()));
            assert_ne!(a.sid(), other.sid());
        }
        assert!(!a.owns(&BTreeMap::new()));
        assert!(a.sid().bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
