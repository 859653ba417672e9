//! One change to IAM each: the vocabulary between the pure plans and `iam.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sagemaker_external::arn::{PolicyArn, RoleArn};
use sagemaker_external::name::{GroupName, IamPath, RoleName};

use crate::member::Member;

pub type Tags = BTreeMap<String, String>;

/// The principals whom a trust may lose, if IAM does not know them any more.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Dispensable {
    pub principals: BTreeSet<String>,
    /// Those of them whom the role's trust does not show by their ARN.
    pub absent: BTreeSet<String>,
    /// Whether one was waited for already in this event.
    pub waited_for: bool,
}

impl Dispensable {
    /// Those that a refusal of IAM's is about: whom it names, or else who is absent.
    pub fn refused(&self, message: &str) -> BTreeSet<String> {
        let is_named = |principal: &&String| message.contains(&format!("\"{principal}\""));
        match self.principals.iter().find(is_named) {
            Some(named) => BTreeSet::from([named.clone()]),
            // Somebody else is named, or nobody.
            None if message.contains("\"arn:") => BTreeSet::new(),
            None => self.absent.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// With its boundary in the same call: no moment without it (U26).
    CreateRole {
        role: RoleArn,
        trust: String,
        max_session: i32,
        boundary: String,
        tags: Tags,
        dispensable: Dispensable,
    },
    PutBoundary {
        role: RoleName,
        boundary: String,
    },
    PutTrust {
        role: RoleName,
        document: String,
        dispensable: Dispensable,
    },
    DeleteBoundary {
        role: RoleName,
    },
    SetMaxSession {
        role: RoleName,
        seconds: i32,
    },
    TagRole {
        role: RoleName,
        tags: Tags,
    },
    /// The first step of taking a role over: the mark, with what was found.
    AdoptRole {
        role: RoleName,
        tags: Tags,
    },
    UntagRole {
        role: RoleName,
        keys: Vec<String>,
    },
    DeleteInlinePolicy {
        role: RoleName,
        policy: String,
    },
    DeleteRole {
        role: RoleName,
    },
    CreatePolicy {
        policy: PolicyArn,
        document: String,
        tags: Tags,
    },
    /// A new version, at once the default one.
    PutPolicy {
        policy: PolicyArn,
        document: String,
    },
    SetDefaultVersion {
        policy: PolicyArn,
        version: String,
    },
    DeletePolicyVersion {
        policy: PolicyArn,
        version: String,
    },
    TagPolicy {
        policy: PolicyArn,
        tags: Tags,
    },
    UntagPolicy {
        policy: PolicyArn,
        keys: Vec<String>,
    },
    DeletePolicy {
        policy: PolicyArn,
    },
    Attach {
        role: RoleName,
        policy: String,
    },
    Detach {
        role: String,
        policy: String,
    },
    CreateGroup {
        path: IamPath,
        group: GroupName,
    },
    PutGroupPolicy {
        group: GroupName,
        policy: String,
        document: String,
    },
    /// The first step of taking a group over: our policy, with what was found.
    AdoptGroup {
        group: GroupName,
        policy: String,
        document: String,
    },
    DeleteGroupPolicy {
        group: GroupName,
        policy: String,
    },
    AddUser {
        group: GroupName,
        user: Member,
        /// Whether the wish before had this member, too. The user may be deleted, or in as
        /// many groups as IAM allows, since: then all else goes on without this member.
        optional: bool,
    },
    RemoveUser {
        group: GroupName,
        user: Member,
    },
    DeleteGroup {
        group: GroupName,
    },
}

impl Step {
    /// Steps that take something away: when it is gone already, they are done (U14).
    pub fn is_removal(&self) -> bool {
        matches!(
            self,
            Self::DeleteInlinePolicy { .. }
                | Self::DeleteRole { .. }
                | Self::DeletePolicyVersion { .. }
                | Self::DeletePolicy { .. }
                | Self::Detach { .. }
                | Self::DeleteGroupPolicy { .. }
                | Self::RemoveUser { .. }
                | Self::DeleteGroup { .. }
                | Self::UntagRole { .. }
                | Self::UntagPolicy { .. }
                | Self::DeleteBoundary { .. }
        )
    }

    /// Steps that change what a role may do by its policies.
    pub fn changes_rights(&self) -> bool {
        matches!(
            self,
            Self::CreatePolicy { .. }
                | Self::PutPolicy { .. }
                | Self::SetDefaultVersion { .. }
                | Self::Attach { .. }
                | Self::Detach { .. }
        )
    }

    /// Whether both may be under way at once: no order of the two is safer, and neither
    /// needs the other.
    pub fn is_beside(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::AddUser { .. }, Self::AddUser { .. })
            | (Self::RemoveUser { .. }, Self::RemoveUser { .. })
            | (Self::DeleteInlinePolicy { .. }, Self::DeleteInlinePolicy { .. }) => true,
            (Self::DeletePolicyVersion { policy: one, .. }, Self::DeletePolicyVersion { policy: other, .. }) => {
                one == other
            }
            _ => false,
        }
    }

    /// Steps by which a role or a group becomes this owner's.
    pub fn is_claim(&self) -> bool {
        matches!(
            self,
            Self::CreateRole { .. } | Self::CreateGroup { .. } | Self::AdoptRole { .. } | Self::AdoptGroup { .. }
        )
    }

    /// Whom a trust of this step may lose.
    pub fn dispensable(&self) -> Option<&Dispensable> {
        match self {
            Self::CreateRole { dispensable, .. } | Self::PutTrust { dispensable, .. } => Some(dispensable),
            _ => None,
        }
    }

    /// Steps that make an entity of their own.
    pub fn is_creation(&self) -> bool {
        matches!(self, Self::CreateRole { .. } | Self::CreatePolicy { .. } | Self::CreateGroup { .. })
    }

    /// Steps after which a later one may be refused while IAM's copies catch up: the
    /// entity is not known yet, or not yet with the boundary that permissions ask for.
    pub fn opens(&self) -> bool {
        self.is_creation() || matches!(self, Self::PutBoundary { .. })
    }
}

/// IAM's own name of the action, and what it acts on: for logs and reasons.
/// Documents are left out: a trust holds the ExternalId.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRole { role, .. } => write!(f, "CreateRole {role}"),
            Self::PutBoundary { role, .. } => write!(f, "PutRolePermissionsBoundary {role}"),
            Self::PutTrust { role, .. } => write!(f, "UpdateAssumeRolePolicy {role}"),
            Self::DeleteBoundary { role } => write!(f, "DeleteRolePermissionsBoundary {role}"),
            Self::SetMaxSession { role, .. } => write!(f, "UpdateRole {role}"),
            Self::TagRole { role, .. } => write!(f, "TagRole {role}"),
            Self::AdoptRole { role, .. } => write!(f, "TagRole {role} to adopt it"),
            Self::UntagRole { role, .. } => write!(f, "UntagRole {role}"),
            Self::DeleteInlinePolicy { role, policy } => write!(f, "DeleteRolePolicy {policy} of {role}"),
            Self::DeleteRole { role } => write!(f, "DeleteRole {role}"),
            Self::CreatePolicy { policy, .. } => write!(f, "CreatePolicy {policy}"),
            Self::PutPolicy { policy, .. } => write!(f, "CreatePolicyVersion {policy}"),
            Self::SetDefaultVersion { policy, version } => {
                write!(f, "SetDefaultPolicyVersion {version} of {policy}")
            }
            Self::DeletePolicyVersion { policy, version } => write!(f, "DeletePolicyVersion {version} of {policy}"),
            Self::TagPolicy { policy, .. } => write!(f, "TagPolicy {policy}"),
            Self::UntagPolicy { policy, .. } => write!(f, "UntagPolicy {policy}"),
            Self::DeletePolicy { policy } => write!(f, "DeletePolicy {policy}"),
            Self::Attach { role, policy } => write!(f, "AttachRolePolicy {policy} to {role}"),
            Self::Detach { role, policy } => write!(f, "DetachRolePolicy {policy} from {role}"),
            Self::CreateGroup { path, group } => write!(f, "CreateGroup {path}{group}"),
            Self::PutGroupPolicy { group, policy, .. } => write!(f, "PutGroupPolicy {policy} of {group}"),
            Self::AdoptGroup { group, policy, .. } => write!(f, "PutGroupPolicy {policy} of {group} to adopt it"),
            Self::DeleteGroupPolicy { group, policy } => write!(f, "DeleteGroupPolicy {policy} of {group}"),
            Self::AddUser { group, user, .. } => write!(f, "AddUserToGroup {user} to {group}"),
            Self::RemoveUser { group, user } => write!(f, "RemoveUserFromGroup {user} from {group}"),
            Self::DeleteGroup { group } => write!(f, "DeleteGroup {group}"),
        }
    }
}
