//! The child's half: what a `Custom::SageMakerExternalGroup` wishes, and the
//! steps from what IAM holds to that. Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::api_arn::ApiArn;
use sagemaker_external::arn::{Account, GroupArn, RoleArn};
use sagemaker_external::name::{GroupName, IamPath, PolicyName, UserName};
use sagemaker_external::policy::{Document, Effect, PermissionStatement, allow, quota, same};
use serde_json::{Map, Value};

use crate::found::{Adoption, FoundGroup};
use crate::owner::{Owner, SID_PREFIX};
use crate::properties::Properties;
use crate::request::Home;
use crate::role::Defaults;
use crate::step::Step;

const KNOWN: [&str; 9] =
    ["RoleArns", "ApiArns", "GroupName", "PolicyName", "Path", "UserNames", "OnExisting", "OnDelete", "DryRun"];
const GROUP_NAME: &str = "SagemakerTester";
const POLICY_NAME: &str = "AssumeSageMakerExternal";

/// Where a group of ours may stand, and whom we put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlace {
    pub account: Account,
    pub path: IamPath,
    pub name: GroupName,
    pub users: BTreeSet<String>,
    /// Whether a Delete removes what was adopted, too.
    pub remove_adopted: bool,
    /// Whether CloudFormation names the group by the id that we gave.
    pub proven: bool,
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
            remove_adopted: p.removes_adopted().unwrap_or(false),
            proven: false,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    pub place: GroupPlace,
    pub policy_name: PolicyName,
    pub role_arns: BTreeSet<String>,
    /// Routes of this account's APIs that members may call; often none.
    pub api_arns: BTreeSet<String>,
    /// Set when a group that nobody owns may be taken over.
    pub adopt: Option<Adoption>,
    pub dry_run: bool,
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
        let api_arns = api_arns(&p, home)?;
        let users = p.parsed_list::<UserName>("UserNames")?.iter().map(ToString::to_string).collect();
        let place = GroupPlace {
            account: home.account.clone(),
            path: p.path(defaults)?,
            name: p.parsed_or("GroupName", GROUP_NAME)?,
            users,
            remove_adopted: p.removes_adopted()?,
            proven: false,
        };
        let policy_name = p.parsed_or("PolicyName", POLICY_NAME)?;
        let (adopt, dry_run) = (p.adoption(defaults)?, p.flag("DryRun")?);
        let spec = Self { place, policy_name, role_arns, api_arns, adopt, dry_run };
        // Any owner's Sid has the same length: the size is known before the owner.
        let any = Owner { stack_id: String::new(), logical_id: String::new() };
        fits(&spec.document(&any, None)).map(|()| spec)
    }

    /// Whether both wish for the same rights of the members.
    pub fn allows_as(&self, other: &Self) -> bool {
        (&self.role_arns, &self.api_arns) == (&other.role_arns, &other.api_arns)
    }

    /// The recipe's inline policy; its `Sid` says whose it is. A second statement lets
    /// members call the API, where one is named; a last one, which denies what nobody
    /// can do, keeps what an adopted group was like.
    pub fn document(&self, owner: &Owner, found: Option<&FoundGroup>) -> Document<PermissionStatement> {
        let actions = vec!["sts:AssumeRole".to_owned()];
        let allowed = allow(Some(owner.sid()), actions.clone(), self.role_arns.iter().cloned().collect());
        let note = found.map(|found| PermissionStatement {
            sid: Some(found.sid()),
            effect: Effect::Deny,
            action: actions,
            resource: vec![NOBODYS_ROLE.to_owned()],
        });
        let invoke = (!self.api_arns.is_empty()).then(|| PermissionStatement {
            sid: Some("InvokeApi".to_owned()),
            effect: Effect::Allow,
            action: vec!["execute-api:Invoke".to_owned()],
            resource: self.api_arns.iter().cloned().collect(),
        });
        Document::new(allowed.statements().iter().cloned().chain(invoke).chain(note).collect())
    }
}

/// `ApiArns`: only of the group's own account, since no other lets our members in.
fn api_arns(p: &Properties<'_>, home: &Home) -> Result<BTreeSet<String>, String> {
    let arns = p.parsed_list::<ApiArn>("ApiArns")?;
    match arns.iter().find(|arn| arn.account != home.account) {
        Some(foreign) => Err(format!("ApiArns: {foreign} is not an API of this account, {}", home.account.id)),
        None => Ok(arns.iter().map(ToString::to_string).collect()),
    }
}

/// Account 000000000000 does not exist.
const NOBODYS_ROLE: &str = "arn:aws:iam::000000000000:role/nobody";

fn fits(document: &Document<PermissionStatement>) -> Result<(), String> {
    match document.size() {
        size if size > quota::GROUP_INLINE => Err(format!(
            "RoleArns, ApiArns: the group's policy would have {size} characters of IAM's {}; name fewer of them",
            quota::GROUP_INLINE
        )),
        _ => Ok(()),
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
    /// Made so recently that a Create of ours can be the one that made it.
    pub is_new: bool,
}

impl Group {
    /// Names of the inline policies that carry this owner's Sid.
    fn marked<'a>(&'a self, owner: &Owner) -> impl Iterator<Item = &'a String> {
        let sid = owner.sid();
        self.inline.iter().filter(move |(_, document)| sids(document).contains(&sid)).map(|(name, _)| name)
    }

    /// What it was like before this owner adopted it, if it did.
    fn found(&self, owner: &Owner) -> Option<FoundGroup> {
        let mut marked = self.marked(owner).filter_map(|name| self.inline.get(name));
        marked.find_map(|document| sids(document).iter().find_map(|sid| FoundGroup::read(sid)))
    }

    pub fn is_adopted(&self, owner: &Owner) -> bool {
        self.found(owner).is_some()
    }

    /// Adopted by this owner already, or nobody's.
    pub fn is_adoptable(&self, owner: &Owner) -> bool {
        let marks = self.inline.values().flat_map(|document| sids(document));
        self.found(owner).is_some() || !marks.into_iter().any(|sid| sid.starts_with(SID_PREFIX))
    }

    /// Marked, or what a Create leaves that was cut off before it could mark it.
    pub fn is_begun(&self, owner: &Owner) -> bool {
        self.marked(owner).next().is_some() || (self.is_blank() && self.is_new)
    }

    /// A group without rights: what a Create leaves that was cut off after its
    /// first call, and all that can be taken over without a proof of ownership.
    fn is_blank(&self) -> bool {
        self.inline.is_empty() && self.attached.is_empty()
    }
}

/// The steps to what `spec` wishes. `old_users` are those an earlier wish put in:
/// members that others added stay (U30).
/// `changed`: the wish before named other roles or APIs, so the policy is written whatever a
/// read says, which may be of a copy that lags.
pub fn converge(
    spec: &GroupSpec,
    owner: &Owner,
    state: Option<&Group>,
    old_users: &BTreeSet<String>,
    changed: bool,
) -> Result<Vec<Step>, String> {
    let name = &spec.place.name;
    let policy = spec.policy_name.to_string();
    let add = |user: &String| Step::AddUser { group: name.clone(), user: user.clone() };
    let Some(group) = state else {
        let document = spec.document(owner, None).to_json();
        let put = Step::PutGroupPolicy { group: name.clone(), policy, document };
        let create = Step::CreateGroup { path: spec.place.path.clone(), group: name.clone() };
        return Ok([create, put].into_iter().chain(spec.place.users.iter().map(add)).collect());
    };
    let adopting = claim(spec, owner, group)?;
    let found = if adopting { Some(found(spec, group)) } else { group.found(owner) };
    let document = spec.document(owner, found.as_ref());
    fits(&document)?;
    let document = document.to_json();
    // Who leaves goes before the policy changes, who comes joins after it (U37).
    let stays = |user: &&String| found.as_ref().is_some_and(|found| found.users.contains(*user));
    let leaving = old_users.difference(&spec.place.users).filter(|user| group.users.contains(*user) && !stays(user));
    let mut steps: Vec<Step> =
        leaving.map(|user| Step::RemoveUser { group: name.clone(), user: user.clone() }).collect();
    if adopting {
        // First of all: from here on a Delete knows what to give back.
        steps.insert(0, Step::AdoptGroup { group: name.clone(), policy: policy.clone(), document });
    } else if changed || !group.inline.get(&policy).is_some_and(|stored| same(stored, &document)) {
        steps.push(Step::PutGroupPolicy { group: name.clone(), policy: policy.clone(), document });
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
    let here = group.arn == place.group_arn() && (place.proven || group.is_new);
    let half_made = here && group.is_blank() && group.users.is_subset(&place.users);
    let ours = !marked.is_empty() || half_made;
    if !ours {
        return Ok((Vec::new(), vec![format!("group {} was not made by this resource", group.arn)]));
    }
    if let Some(found) = group.found(owner).filter(|_| !place.remove_adopted) {
        let left = format!("group {} was adopted and is given back as it was found", group.arn.name);
        return Ok((give_back(place, group, &found, marked), vec![left]));
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

/// The adopted group as it was found: without the members we added, and with the
/// policy that ours took the place of; the mark goes last.
fn give_back(place: &GroupPlace, group: &Group, found: &FoundGroup, marked: BTreeSet<String>) -> Vec<Step> {
    let name = &group.arn.name;
    let ours = place.users.difference(&found.users).filter(|user| group.users.contains(*user));
    let remove = ours.map(|user| Step::RemoveUser { group: name.clone(), user: user.clone() });
    let kept = found.policy.as_ref().map(|(policy, _)| policy);
    let unmark = marked.into_iter().filter(|policy| Some(policy) != kept);
    let unmark = unmark.map(|policy| Step::DeleteGroupPolicy { group: name.clone(), policy });
    let restore = found.policy.iter().map(|(policy, document)| Step::PutGroupPolicy {
        group: name.clone(),
        policy: policy.clone(),
        document: document.clone(),
    });
    remove.chain(restore).chain(unmark).collect()
}

/// What is to be kept of a group that is taken over.
fn found(spec: &GroupSpec, group: &Group) -> FoundGroup {
    let policy = group.inline.get_key_value(spec.policy_name.as_str());
    FoundGroup { users: group.users.clone(), policy: policy.map(|(name, text)| (name.clone(), text.clone())) }
}

/// Only a group of this owner, or one that a Create left half-made, is changed (U02,
/// C13), or one of nobody's that is to be adopted: then `true`.
fn claim(spec: &GroupSpec, owner: &Owner, group: &Group) -> Result<bool, String> {
    let place = &spec.place;
    let marked = group.marked(owner).next().is_some();
    let here = group.arn.path == place.path && place.path.as_str().starts_with(fence(spec));
    let half_made = here && group.is_new && group.is_blank() && group.users.is_subset(&place.users);
    let adopting = match &spec.adopt {
        _ if marked || half_made => false,
        Some(adopt) if group.is_adoptable(owner) => {
            adopt.allow(&group.arn.to_string(), &group.arn.path)?;
            true
        }
        _ => {
            return Err(format!(
                "GroupName: group {} exists already and was not made by this resource; remove it or choose another GroupName",
                group.arn
            ));
        }
    };
    if group.arn.path != place.path {
        return Err(format!(
            "Path: group {} cannot move to {}, since group names are unique whatever the path; change GroupName too",
            group.arn, place.path
        ));
    }
    if group.arn.name != place.name {
        return Err(format!("GroupName: {} differs from the existing {} in case only", place.name, group.arn.name));
    }
    let foreign = group.inline.contains_key(spec.policy_name.as_str())
        && group.marked(owner).all(|name| *name != spec.policy_name.as_str());
    if foreign && !adopting {
        let (policy, name) = (&spec.policy_name, &group.arn.name);
        return Err(format!("PolicyName: inline policy {policy} of group {name} was not made by this resource"));
    }
    Ok(adopting)
}

/// Where a group without a mark can only be a Create's that was cut off.
fn fence(spec: &GroupSpec) -> &str {
    spec.adopt.as_ref().map_or("/", |adopt| adopt.path.as_str())
}

/// Read leniently: someone may have added a condition to our statement, which is ours
/// all the same.
fn sids(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement) => std::slice::from_ref(statement),
        None => &[],
    };
    statements.iter().filter_map(|statement| statement.get("Sid")?.as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
