//! The child's half: what a `Custom::SageMakerExternalGroup` wishes, and the
//! steps from what IAM holds to that. Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::{Account, GroupArn, RoleArn};
use sagemaker_external::name::{GroupName, IamPath, PolicyName, UserName};
use sagemaker_external::policy::{Document, PermissionStatement, allow, quota, same};
use serde_json::{Map, Value};

use crate::owner::Owner;
use crate::properties::Properties;
use crate::request::Home;
use crate::role::Defaults;
use crate::step::Step;

const KNOWN: [&str; 6] = ["RoleArns", "GroupName", "PolicyName", "Path", "UserNames", "OnExisting"];
const GROUP_NAME: &str = "SagemakerTester";
const POLICY_NAME: &str = "AssumeSageMakerExternal";

/// Where a group of ours may stand, and whom we put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlace {
    pub account: Account,
    pub path: IamPath,
    pub name: GroupName,
    pub users: BTreeSet<String>,
}

impl GroupPlace {
    pub fn group_arn(&self) -> GroupArn {
        GroupArn { account: self.account.clone(), path: self.path.clone(), name: self.name.clone() }
    }

    /// As `RolePlace::from_traces`: whatever of the properties is valid (C35).
    pub fn from_traces(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Option<Self> {
        let p = Properties::unchecked(properties);
        Some(Self {
            account: home.account.clone(),
            path: p.parsed("Path").ok().flatten().unwrap_or_else(|| defaults.path.clone()),
            name: p.parsed("GroupName").ok().flatten().or_else(|| GROUP_NAME.parse().ok())?,
            users: p.list("UserNames").unwrap_or_default().into_iter().collect(),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    pub place: GroupPlace,
    pub policy_name: PolicyName,
    pub role_arns: BTreeSet<String>,
}

impl GroupSpec {
    pub fn parse(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Result<Self, String> {
        let p = Properties::read(properties, &KNOWN)?;
        let role_arns: BTreeSet<String> =
            p.parsed_list::<RoleArn>("RoleArns")?.iter().map(ToString::to_string).collect();
        if role_arns.is_empty() {
            return Err(
                "RoleArns: at least one role ARN is required; the parent's stack prints it as RoleArn".to_owned()
            );
        }
        if p.choice("OnExisting", &["Fail", "Adopt"])? == Some("Adopt") {
            return Err(
                "OnExisting: Adopt is not supported yet; remove the existing group or use another GroupName".to_owned()
            );
        }
        let users = p.parsed_list::<UserName>("UserNames")?.iter().map(ToString::to_string).collect();
        let place = GroupPlace {
            account: home.account.clone(),
            path: p.parsed("Path")?.unwrap_or_else(|| defaults.path.clone()),
            name: p.parsed_or("GroupName", GROUP_NAME)?,
            users,
        };
        let spec = Self { place, policy_name: p.parsed_or("PolicyName", POLICY_NAME)?, role_arns };
        // Any owner's Sid has the same length: the size is known before the owner.
        let any = Owner { stack_id: String::new(), logical_id: String::new() };
        match spec.document(&any).size() {
            size if size > quota::GROUP_INLINE => Err(format!(
                "RoleArns: the group's policy would have {size} characters of IAM's {}; name fewer roles",
                quota::GROUP_INLINE
            )),
            _ => Ok(spec),
        }
    }

    /// The recipe's inline policy; its `Sid` says whose it is.
    pub fn document(&self, owner: &Owner) -> Document<PermissionStatement> {
        let actions = vec!["sts:AssumeRole".to_owned()];
        allow(Some(owner.sid()), actions, self.role_arns.iter().cloned().collect())
    }
}

/// What was read of IAM about one group; `None` where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub arn: GroupArn,
    pub users: BTreeSet<String>,
    /// Inline policies, name to document.
    pub inline: BTreeMap<String, String>,
    /// ARNs of attached managed policies.
    pub attached: BTreeSet<String>,
}

impl Group {
    /// Names of the inline policies that carry this owner's Sid.
    fn marked<'a>(&'a self, owner: &Owner) -> impl Iterator<Item = &'a String> {
        let sid = owner.sid();
        self.inline.iter().filter(move |(_, document)| sids(document).contains(&sid)).map(|(name, _)| name)
    }

    /// A group without rights: what a Create leaves that was cut off after its
    /// first call, and all that can be taken over without a proof of ownership.
    fn is_blank(&self) -> bool {
        self.inline.is_empty() && self.attached.is_empty()
    }
}

/// The steps to what `spec` wishes. `old_users` are those an earlier wish put in:
/// members that others added stay (U30).
pub fn converge(
    spec: &GroupSpec,
    owner: &Owner,
    state: Option<&Group>,
    old_users: &BTreeSet<String>,
) -> Result<Vec<Step>, String> {
    let name = &spec.place.name;
    let document = spec.document(owner).to_json();
    let policy = spec.policy_name.to_string();
    let add = |user: &String| Step::AddUser { group: name.clone(), user: user.clone() };
    let put = Step::PutGroupPolicy { group: name.clone(), policy: policy.clone(), document: document.clone() };
    let Some(group) = state else {
        let create = Step::CreateGroup { path: spec.place.path.clone(), group: name.clone() };
        return Ok([create, put].into_iter().chain(spec.place.users.iter().map(add)).collect());
    };
    claim(spec, owner, group)?;
    // Who leaves goes before the policy changes, who comes joins after it (U37).
    let leaving = old_users.difference(&spec.place.users).filter(|user| group.users.contains(*user));
    let mut steps: Vec<Step> =
        leaving.map(|user| Step::RemoveUser { group: name.clone(), user: user.clone() }).collect();
    if !group.inline.get(&policy).is_some_and(|stored| same(stored, &document)) {
        steps.push(put);
    }
    let renamed = group.marked(owner).filter(|marked| **marked != policy);
    steps.extend(renamed.map(|old| Step::DeleteGroupPolicy { group: name.clone(), policy: old.clone() }));
    steps.extend(spec.place.users.difference(&group.users).map(add));
    Ok(steps)
}

/// The steps that remove what `owner` made at `place`, and what is left alone.
/// A group without mark is ours only if it holds no rights and nobody else's members.
pub fn retire(place: &GroupPlace, owner: &Owner, state: Option<&Group>) -> Result<(Vec<Step>, Vec<String>), String> {
    let Some(group) = state else { return Ok((Vec::new(), Vec::new())) };
    let marked: BTreeSet<String> = group.marked(owner).cloned().collect();
    let unclaimed = group.is_blank() && group.users.is_subset(&place.users);
    let ours = (!marked.is_empty() || unclaimed) && group.arn == place.group_arn();
    if !ours {
        return Ok((Vec::new(), vec![format!("group {} was not made by this resource", group.arn)]));
    }
    let users = group.users.difference(&place.users).map(|user| format!("user {user}"));
    let inline = group.inline.keys().filter(|policy| !marked.contains(*policy)).map(|p| format!("inline policy {p}"));
    let attached = group.attached.iter().map(|arn| format!("policy {arn}"));
    let foreign: Vec<String> = users.chain(inline).chain(attached).collect();
    if !foreign.is_empty() {
        let (name, foreign) = (&group.arn.name, foreign.join(", "));
        return Err(format!("group {name} also holds what others put there ({foreign}); take it out first"));
    }
    let name = &group.arn.name;
    let remove = group.users.iter().map(|user| Step::RemoveUser { group: name.clone(), user: user.clone() });
    // The mark goes last but one: until then a second try knows the group as ours.
    let unmark = marked.into_iter().map(|policy| Step::DeleteGroupPolicy { group: name.clone(), policy });
    let steps = remove.chain(unmark).chain([Step::DeleteGroup { group: name.clone() }]).collect();
    Ok((steps, Vec::new()))
}

fn claim(spec: &GroupSpec, owner: &Owner, group: &Group) -> Result<(), String> {
    let taken = |what: String| {
        Err(format!(
            "GroupName: {what} exists already and was not made by this resource; remove it or choose another GroupName"
        ))
    };
    let marked = group.marked(owner).next().is_some();
    let unclaimed = group.is_blank() && group.users.is_subset(&spec.place.users);
    if !(marked || unclaimed) {
        return taken(format!("group {}", group.arn));
    }
    if group.arn.path != spec.place.path {
        if !marked {
            return taken(format!("group {}", group.arn));
        }
        return Err(format!(
            "Path: group {} cannot move to {}, since group names are unique whatever the path; change GroupName too",
            group.arn, spec.place.path
        ));
    }
    if group.arn.name != spec.place.name {
        return Err(format!(
            "GroupName: {} differs from the existing {} in case only",
            spec.place.name, group.arn.name
        ));
    }
    if let Some(foreign) = group.inline.keys().find(|name| **name == spec.policy_name.as_str())
        && group.marked(owner).all(|name| name != foreign)
    {
        return Err(format!(
            "PolicyName: inline policy {foreign} of group {} was not made by this resource",
            group.arn.name
        ));
    }
    Ok(())
}

fn sids(document: &str) -> Vec<String> {
    let document: Option<Document<PermissionStatement>> = serde_json::from_str(document).ok();
    document.iter().flat_map(Document::statements).filter_map(|statement| statement.sid.clone()).collect()
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
