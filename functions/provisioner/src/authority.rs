//! What the operator of the provisioner's stack lets events ask for. Whoever may invoke the
//! function can write any event, also one that names the provisioner's own stack or claims
//! other old properties; so the bounds stand in the function's environment, and what may stay
//! beyond them is what IAM shows. Pure.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use sagemaker_external::arn::{AccountId, PrincipalArn, RoleArn};
use sagemaker_external::name::UserName;

use crate::member::Member;
use crate::owner::Owner;

/// The bounds. A variable that is not set allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    own_stack: Option<String>,
    /// Accounts whose root, roles and users a role may trust.
    accounts: BTreeSet<AccountId>,
    /// Single roles and users that a role may trust.
    principals: BTreeSet<String>,
    any_endpoint: bool,
    groups_of_others: bool,
    own_group: OwnGroup,
}

/// What an event of the provisioner's own stack may ask of its group: what the stack's
/// parameters say, since such an event can be forged like any other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OwnGroup {
    is_made: bool,
    users: BTreeSet<Member>,
    /// `None` is any role of another account: the roles stand in the stack's Grants.
    roles: Option<BTreeSet<String>>,
}

/// What one event may ask of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupBounds<'a> {
    /// Any member, and any role of another account.
    Any,
    /// What the own stack's parameters say.
    OwnStack { users: &'a BTreeSet<Member>, roles: Option<&'a BTreeSet<String>> },
    /// Nothing but what the group has already, and why.
    Nothing(&'static str),
}

const OTHERS_MAKE_NONE: &str = "this provisioner makes no groups for other stacks; its operator can set \
                                GroupsForOtherStacks of its stack to true";
const OWN_MAKES_NONE: &str =
    "the provisioner's own stack makes no group; its operator can set CreateGroup of it to true";

impl Authority {
    /// From the function's environment.
    ///
    /// # Errors
    /// A sentence that names the variable that is broken.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let roles = list::<String>(&variable, "OWN_GROUP_ROLE_ARNS")?;
        let any_role = roles.iter().any(|role| role == "*");
        for role in roles.iter().filter(|role| *role != "*") {
            role.parse::<RoleArn>().map_err(|why| broken("OWN_GROUP_ROLE_ARNS", why))?;
        }
        let users = list::<UserName>(&variable, "OWN_GROUP_USER_NAMES")?;
        Ok(Self {
            own_stack: variable("OWN_STACK_ID"),
            accounts: list(&variable, "GRANTABLE_ACCOUNT_IDS")?.into_iter().collect(),
            principals: strings(list::<PrincipalArn>(&variable, "GRANTABLE_PRINCIPAL_ARNS")?),
            any_endpoint: flag(&variable, "ALLOW_ANY_ENDPOINT")?,
            groups_of_others: flag(&variable, "GROUPS_FOR_OTHER_STACKS")?,
            own_group: OwnGroup {
                is_made: flag(&variable, "OWN_GROUP")?,
                users: users.iter().map(|user| user.to_string().into()).collect(),
                roles: (!any_role).then(|| roles.into_iter().collect()),
            },
        })
    }

    /// Whether a role may trust this principal: an account's root, a role or a user.
    pub(crate) fn may_trust(&self, principal: &str) -> bool {
        let account = principal.split(':').nth(4).and_then(|id| id.parse().ok());
        account.is_some_and(|id: AccountId| self.accounts.contains(&id)) || self.principals.contains(principal)
    }

    /// Whether a role may call endpoints that no name and no region bounds.
    pub(crate) fn any_endpoint(&self) -> bool {
        self.any_endpoint
    }

    /// Whether this is the provisioner's own stack, and it makes no group any more.
    pub(crate) fn has_switched_off_group(&self, owner: &Owner) -> bool {
        self.own_stack.as_ref() == Some(&owner.stack_id) && !self.own_group.is_made
    }

    pub(crate) fn group_bounds(&self, owner: &Owner) -> GroupBounds<'_> {
        let OwnGroup { is_made, users, roles } = &self.own_group;
        match (self.own_stack.as_ref() == Some(&owner.stack_id), is_made) {
            (true, true) => GroupBounds::OwnStack { users, roles: roles.as_ref() },
            (true, false) => GroupBounds::Nothing(OWN_MAKES_NONE),
            (false, _) if self.groups_of_others => GroupBounds::Any,
            (false, _) => GroupBounds::Nothing(OTHERS_MAKE_NONE),
        }
    }
}

fn list<T: FromStr<Err: Display>>(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Vec<T>, String> {
    let text = variable(name).unwrap_or_default();
    // An empty parameter leaves an empty item.
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|why| broken(name, why))).collect()
}

fn strings(items: Vec<impl Display>) -> BTreeSet<String> {
    items.iter().map(ToString::to_string).collect()
}

fn flag(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Result<bool, String> {
    match variable(name).as_deref() {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(broken(name, "it must be true or false")),
    }
}

fn broken(name: &str, why: impl Display) -> String {
    format!("the function's variable {name}: {why}")
}
