//! From what IAM holds to what a group should be, or to its end: the difference as
//! steps, in an order that never gives anyone more than before or after (U37). Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::GroupArn;
use sagemaker_external::name::PolicyName;
use sagemaker_external::policy::{quota, same};
use serde_json::Value;

use crate::adopt::taken;
use crate::found::FoundGroup;
use crate::group::{GroupPlace, GroupSpec, fits};
use crate::member::Member;
use crate::owner::{Owner, SID_PREFIX};
use crate::ownership::{is_bare_and_named, unproven_group};
use crate::step::Step;

/// What was read of IAM about one group; `None` where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub arn: GroupArn,
    pub users: BTreeSet<Member>,
    /// Inline policies, name to document.
    pub inline: BTreeMap<String, String>,
    /// ARNs of attached managed policies.
    pub attached: BTreeSet<String>,
    /// Made so recently that a Create of ours can be the one that made it.
    pub is_new: bool,
    /// The inline policy by which it is ours though the mark is gone (see
    /// [`crate::ownership`]).
    pub proven: Option<String>,
}

impl Group {
    /// Names of the inline policies that carry this owner's Sid, or are proven ours without.
    pub(crate) fn marked<'a>(&'a self, owner: &Owner) -> impl Iterator<Item = &'a String> {
        let sid = owner.sid();
        let ours = move |name: &String, text: &str| sids(text).contains(&sid) || self.proven.as_ref() == Some(name);
        self.inline.iter().filter(move |(name, text)| ours(name, text)).map(|(name, _)| name)
    }

    /// What it was like before this owner adopted it, if it did.
    fn found(&self, owner: &Owner) -> Option<FoundGroup> {
        let mut marked = self.marked(owner).filter_map(|name| self.inline.get(name));
        marked.find_map(|document| sids(document).iter().find_map(|sid| FoundGroup::read(sid)))
    }

    pub fn is_marked(&self, owner: &Owner) -> bool {
        self.marked(owner).next().is_some()
    }

    pub fn is_adopted(&self, owner: &Owner) -> bool {
        self.found(owner).is_some()
    }

    /// Adopted by this owner already, or nobody's.
    pub fn is_adoptable(&self, owner: &Owner) -> bool {
        let marks = self.inline.values().flat_map(|document| sids(document));
        self.found(owner).is_some() || !marks.into_iter().any(|sid| sid.starts_with(SID_PREFIX))
    }

    /// Whether an inline policy carries another owner's Sid.
    pub(crate) fn is_anothers(&self, owner: &Owner) -> bool {
        let marks = self.inline.values().flat_map(|document| sids(document));
        marks.into_iter().any(|sid| sid.starts_with(SID_PREFIX) && sid != owner.sid())
    }

    /// Marked, or what a Create leaves that was cut off before it could mark it.
    pub fn is_begun(&self, owner: &Owner) -> bool {
        self.is_marked(owner) || (self.is_blank() && self.is_new)
    }

    /// The name of the inline policy that `name` stands for. IAM compares the names of
    /// other entities without regard to case and does not say how it compares these, so
    /// two names that differ in case only are taken for one: the policy stays where it is.
    pub(crate) fn policy_name(&self, name: &PolicyName) -> String {
        let is_same = |held: &&String| held.eq_ignore_ascii_case(name.as_str());
        let held = || self.inline.keys().find(is_same).cloned();
        if self.inline.contains_key(name.as_str()) { name.to_string() } else { held().unwrap_or(name.to_string()) }
    }

    /// What others put into it, besides `users` and the policy of this name.
    pub fn foreign(&self, owner: &Owner, users: &BTreeSet<Member>, policy: &PolicyName) -> Vec<String> {
        let marked: BTreeSet<&String> = self.marked(owner).collect();
        let policy = self.policy_name(policy);
        let ours = |name: &String| marked.contains(name) || *name == policy;
        let users = self.users.difference(users).map(|user| format!("user {user}"));
        let inline = self.inline.keys().filter(|name| !ours(name)).map(|name| format!("inline policy {name}"));
        users.chain(inline).chain(self.attached.iter().map(|arn| format!("policy {arn}"))).collect()
    }

    /// A group without rights: what a Create leaves that was cut off after its
    /// first call, and all that can be taken over without a proof of ownership.
    pub(crate) fn is_blank(&self) -> bool {
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
    old_users: &BTreeSet<Member>,
    changed: bool,
) -> Result<Vec<Step>, String> {
    let name = &spec.place.name;
    let add = |user: &Member| {
        let optional = old_users.contains(user);
        Step::AddUser { group: name.clone(), user: user.clone(), optional }
    };
    let Some(group) = state else {
        let policy = spec.place.policy_name.to_string();
        let document = spec.document(owner, None).to_json();
        let put = Step::PutGroupPolicy { group: name.clone(), policy, document };
        let create = Step::CreateGroup { path: spec.place.path.clone(), group: name.clone() };
        return Ok([create, put].into_iter().chain(spec.place.users.iter().map(add)).collect());
    };
    let policy = group.policy_name(&spec.place.policy_name);
    let adopting = claim(spec, owner, group)?;
    let found = if adopting { Some(found(spec, group)) } else { group.found(owner) };
    let document = spec.document(owner, found.as_ref());
    fits(&document).map_err(|too_long| match &found {
        Some(_) if fits(&spec.document(owner, None)).is_ok() => unkept(&group.arn),
        _ => too_long,
    })?;
    let document = document.to_json();
    // Who leaves goes before the policy changes, who comes joins after it (U37).
    let stays = |user: &&Member| found.as_ref().is_some_and(|found| found.users.contains(*user));
    let leaving = old_users.difference(&spec.place.users).filter(|user| group.users.contains(*user) && !stays(user));
    let mut steps: Vec<Step> =
        leaving.map(|user| Step::RemoveUser { group: name.clone(), user: user.clone() }).collect();
    if let Some(old) = group.proven.as_ref().filter(|old| **old != policy) {
        // Its mark again, before another policy has it: else a rollback would not know this one.
        let document = document.clone();
        steps.push(Step::PutGroupPolicy { group: name.clone(), policy: old.clone(), document });
    }
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
    if let Some(why) = unproven_group(place, owner, group).filter(|_| !is_bare_and_named(place, group)) {
        return Err(why);
    }
    let here = group.arn == place.group_arn() && (place.evidence.by_id || group.is_new);
    // One that was adopted and given back may hold nothing either, unless it was to be removed.
    let here = here && (place.remove_adopted || !place.evidence.may_be_given_back(&group.arn.to_string()));
    let half_made = here && group.is_blank() && group.users.is_subset(&place.users);
    let ours = !marked.is_empty() || half_made || is_bare_and_named(place, group);
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
    let policies: Vec<String> = inline.chain(attached).collect();
    let name = &group.arn.name;
    if place.is_switched_off && !policies.is_empty() {
        return Ok(withdraw(place, group, marked, &policies.join(", ")));
    }
    let foreign: Vec<String> = users.filter(|_| !place.is_switched_off).chain(policies).collect();
    if !foreign.is_empty() {
        let foreign = foreign.join(", ");
        return Err(format!("group {name} also holds what others put there ({foreign}); take it out first"));
    }
    let remove = group.users.iter().map(|user| Step::RemoveUser { group: name.clone(), user: user.clone() });
    // The mark goes last but one: until then a second try knows the group as ours.
    let unmark = marked.into_iter().map(|policy| Step::DeleteGroupPolicy { group: name.clone(), policy });
    let steps = remove.chain(unmark).chain([Step::DeleteGroup { group: name.clone() }]).collect();
    Ok((steps, Vec::new()))
}

/// The end of a group that its operator has switched off, where others attached policies to it: our
/// members and our policy go. CloudFormation sends this Delete after it has said that the
/// update is complete, and forgets a group whose Delete fails: its members would keep our
/// rights, and nothing would name them any more. For the same reason members that others added do
/// not keep a group that holds our policy alone.
fn withdraw(place: &GroupPlace, group: &Group, marked: BTreeSet<String>, policies: &str) -> (Vec<Step>, Vec<String>) {
    let name = &group.arn.name;
    let ours = place.users.intersection(&group.users);
    let remove = ours.map(|user| Step::RemoveUser { group: name.clone(), user: user.clone() });
    let unmark = marked.into_iter().map(|policy| Step::DeleteGroupPolicy { group: name.clone(), policy });
    let left = format!("group {name}, to which others attached {policies}; what this resource put there is gone");
    (remove.chain(unmark).collect(), vec![left])
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
    let policy = group.inline.get_key_value(&group.policy_name(&spec.place.policy_name));
    FoundGroup { users: group.users.clone(), policy: policy.map(|(name, text)| (name.clone(), text.clone())) }
}

/// Only a group of this owner, or one that a Create left half-made, is changed (U02,
/// C13), or one of nobody's that is to be adopted: then `true`.
fn claim(spec: &GroupSpec, owner: &Owner, group: &Group) -> Result<bool, String> {
    let place = &spec.place;
    let marked = group.is_marked(owner);
    let here = group.arn.path == place.path && place.path.as_str().starts_with(fence(spec));
    // One that the operator names is adopted, as new and empty as it may be.
    let adopts = spec.adopt.is_some() && place.evidence.may_be_given_back(&group.arn.to_string());
    let half_made = here && !adopts && group.is_new && group.is_blank() && group.users.is_subset(&place.users);
    let adopting = match &spec.adopt {
        _ if marked || half_made || is_bare_and_named(place, group) => false,
        Some(adopt) if group.is_adoptable(owner) => {
            let arn = group.arn.to_string();
            adopt.allow_existing(&arn)?;
            place.evidence.check_not_lost(&format!("group {arn}"))?;
            true
        }
        _ => {
            if let Some(why) = unproven_group(place, owner, group) {
                return Err(format!("GroupName: {why}"));
            }
            return Err(taken("GroupName", &format!("group {}", group.arn), !group.is_adoptable(owner)));
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
    let policy = group.policy_name(&place.policy_name);
    let foreign = group.inline.contains_key(&policy) && group.marked(owner).all(|name| *name != policy);
    if foreign && !adopting {
        let name = &group.arn.name;
        return Err(format!(
            "PolicyName: inline policy {policy} of group {name} was not made by this resource; choose another PolicyName"
        ));
    }
    Ok(adopting)
}

/// What an adopted group was like is kept in the policy itself.
fn unkept(group: &GroupArn) -> String {
    format!(
        "OnExisting: what has to be kept of group {group} to give it back, its members and its policy, does not fit into the {} characters of a group's policy; take members out of it, or choose another GroupName",
        quota::GROUP_INLINE
    )
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
