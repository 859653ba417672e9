//! From what IAM holds to what a role should be: the difference as steps, in an
//! order that never gives anyone more than before or after (U37). Pure.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::{PolicyArn, RoleArn};

use crate::adopt::{check_count, check_marks, check_tags, claim, found_policy, found_role, stands};
use crate::found::FoundPolicy;
use crate::owner::Owner;
use crate::ownership::marked;
use crate::pack::pack;
use crate::rights::rights;
use crate::role::{RolePlace, RoleSpec};
use crate::step::{Step, Tags};
use crate::trust_plan::{dispensable, trust_and_rights, trust_json};

/// What was read of IAM around one role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleState {
    pub role: Option<Role>,
    /// The policies under our names, and those attached to the role.
    pub policies: BTreeMap<PolicyArn, Policy>,
    /// Other roles of the same owner that share one of the policies: the one
    /// before or after a replacement.
    pub kin: BTreeSet<String>,
    /// Other roles that hang on a policy of ours, and that IAM does not show: its copies
    /// lag, and they may be kin.
    pub unseen: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub arn: RoleArn,
    pub id: String,
    pub trust: String,
    pub max_session: i32,
    pub boundary: Option<String>,
    pub tags: Tags,
    /// Whether it is ours though its mark is not whole (see [`crate::ownership`]).
    pub proven: bool,
    /// ARNs of the attached policies, AWS's own and strangers' too.
    pub attached: BTreeSet<String>,
    pub inline: Vec<String>,
    pub instance_profiles: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub document: String,
    /// Version ids, oldest first.
    pub versions: Vec<String>,
    pub default_version: String,
    pub tags: Tags,
    /// As of the role.
    pub proven: bool,
    pub roles: BTreeSet<String>,
    /// Users and groups that it is attached to.
    pub others: BTreeSet<String>,
}

impl Role {
    pub fn is_ours(&self, owner: &Owner) -> bool {
        owner.owns(&self.tags) || self.proven
    }
}

impl Policy {
    pub fn is_ours(&self, owner: &Owner) -> bool {
        owner.owns(&self.tags) || self.proven
    }
}

/// The steps to what `spec` wishes (none when it is so already), and the policies
/// that serve it in the end. `old` is what the wish before named: tags of its that are not
/// wished any more are taken off, everybody else's stay.
pub fn converge(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    old: Option<&RolePlace>,
) -> Result<(Vec<Step>, Vec<PolicyArn>), String> {
    let old_tags = old.map(|old| old.tags.clone()).unwrap_or_default();
    check_marks(owner, state)?;
    let (marks, state) = &marked(owner, state);
    let adopting = match &state.role {
        Some(role) => claim(spec, owner, role)?,
        None => false,
    };
    let found = state.role.as_ref().and_then(|role| found_role(role, adopting));
    let wanted = pack(spec, owner, state)?;
    if let Some(found) = &found {
        check_tags(spec, &format!("role {}", spec.place.name), &found.tags)?;
    }
    for (arn, _) in &wanted {
        let Some(policy) = state.policies.get(arn) else { continue };
        let Some(found) = found_policy(arn, policy, state.role.as_ref(), owner) else { continue };
        let (entity, tags) = (format!("policy {}", arn.name), wished_tags(&spec.tags, owner));
        check_tags(spec, &entity, &found.tags)?;
        check_count(&entity, policy.tags.keys().chain(tags.keys()).chain(found.tags().keys()).collect())?;
    }
    let policies = wanted.iter().map(|(arn, _)| arn.clone()).collect();
    let Some(role) = &state.role else {
        let create = Step::CreateRole {
            role: spec.place.role_arn(),
            trust: trust_json(spec),
            max_session: spec.max_session,
            boundary: spec.boundary.to_string(),
            tags: wished_tags(&spec.tags, owner),
            dispensable: dispensable(spec, old, None),
        };
        let rights = rights(spec, owner, state, &wanted, &BTreeSet::new(), &old_tags);
        let steps = [create].into_iter().chain(adopted(spec, owner, state, &wanted)).chain(rights);
        return Ok((steps.collect(), policies));
    };
    let name = &spec.place.name;
    let mut steps = marks.clone();
    let own = |key: &&String| found.as_ref().is_none_or(|found| !stands(&found.tags, key));
    let old_own = old_tags.iter().filter(own).cloned().collect();
    let (mut tags, untag) = tag_difference(&role.tags, &wished_tags(&spec.tags, owner), &old_own, &Keys::OfRole);
    if let Some(mut found) = found {
        let before = found.detached.len();
        found.detached.extend(given_up(owner, state, &wanted));
        if adopting || found.detached.len() > before {
            tags.extend(found.tags());
        }
        let stay = role.tags.keys().filter(|key| !untag.contains(*key));
        check_count(&format!("role {name}"), stay.chain(tags.keys()).collect())?;
    }
    if adopting {
        // First of all: from here on a Delete knows what to give back.
        steps.push(Step::AdoptRole { role: name.clone(), tags });
    } else if !tags.is_empty() {
        steps.push(Step::TagRole { role: name.clone(), tags });
    }
    steps.extend(adopted(spec, owner, state, &wanted));
    if !untag.is_empty() {
        steps.push(Step::UntagRole { role: name.clone(), keys: untag });
    }
    // The duration of sessions shrinks before anyone gets a right, and grows last.
    let session = Step::SetMaxSession { role: name.clone(), seconds: spec.max_session };
    let (first, last) = match role.max_session.cmp(&spec.max_session) {
        Ordering::Greater => (Some(session), None),
        Ordering::Less => (None, Some(session)),
        Ordering::Equal => (None, None),
    };
    let rights = trust_and_rights(spec, owner, state, role, &wanted, old);
    steps.extend(first.into_iter().chain(rights).chain(last));
    Ok((steps, policies))
}

/// The marks of policies to be adopted, with what was found: before any of them is
/// detached or changed, so that a Delete knows what to give back.
fn adopted(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    wanted: &[(PolicyArn, BTreeSet<String>)],
) -> impl Iterator<Item = Step> {
    let found = wanted.iter().filter_map(|(arn, _)| state.policies.get_key_value(arn));
    let found = found.filter(|(_, policy)| !policy.is_ours(owner)).map(|(arn, policy)| {
        let found = FoundPolicy::of(arn, policy, state.role.as_ref()).tags();
        let tags = wished_tags(&spec.tags, owner).into_iter().chain(found).collect();
        Step::TagPolicy { policy: arn.clone(), tags }
    });
    found.collect::<Vec<_>>().into_iter()
}

/// Adopted policies that hung on the role and serve the wish no more: a Delete of the
/// role attaches them again.
fn given_up(
    owner: &Owner,
    state: &RoleState,
    wanted: &[(PolicyArn, BTreeSet<String>)],
) -> impl Iterator<Item = String> {
    let unwanted = state.policies.iter().filter(|(arn, _)| wanted.iter().all(|(wanted, _)| wanted != *arn));
    let found = |policy: &Policy| FoundPolicy::read(&policy.tags).is_some_and(|found| found.attached);
    unwanted.filter(move |(_, policy)| owner.owns(&policy.tags) && found(policy)).map(|(arn, _)| arn.to_string())
}

/// Policies with the highest number first, so that what an interrupted removal
/// leaves is still found by counting up from the first.
pub(crate) fn newest_first(state: &RoleState) -> impl Iterator<Item = (&PolicyArn, &Policy)> {
    let mut policies: Vec<_> = state.policies.iter().collect();
    policies.sort_by_key(|(arn, _)| std::cmp::Reverse((arn.name.as_str().len(), arn.name.as_str())));
    policies.into_iter()
}

pub(crate) fn is_ours(arn: &str, owner: &Owner, state: &RoleState) -> bool {
    arn.parse().ok().and_then(|arn: PolicyArn| state.policies.get(&arn)).is_some_and(|policy| policy.is_ours(owner))
}

pub(crate) fn wished_tags(tags: &Tags, owner: &Owner) -> Tags {
    tags.clone().into_iter().chain(owner.tags()).collect()
}

/// Keys of a role's tags differ in more than case to IAM, those of a policy's need not.
pub(crate) enum Keys {
    OfRole,
    OfPolicy,
}

pub(crate) fn tag_difference(actual: &Tags, wished: &Tags, old: &BTreeSet<String>, keys: &Keys) -> (Tags, Vec<String>) {
    let set = wished.iter().filter(|(key, value)| actual.get(*key) != Some(value));
    let stays = |key: &String| match keys {
        Keys::OfRole => wished.keys().any(|wished| wished.eq_ignore_ascii_case(key)),
        Keys::OfPolicy => wished.contains_key(key),
    };
    let gone = old.iter().filter(|key| actual.contains_key(*key) && !stays(key));
    (set.map(|(k, v)| (k.clone(), v.clone())).collect(), gone.cloned().collect())
}

#[cfg(test)]
#[path = "role_plan_tests.rs"]
mod tests;
