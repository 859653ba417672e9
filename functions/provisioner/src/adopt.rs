//! What may be taken over, and in which state: refused before anything is written,
//! where it could not be given back as it was found. Pure.

use std::collections::BTreeSet;

use sagemaker_external::arn::PolicyArn;

use crate::found::{self, FoundPolicy, FoundRole, is_marked};
use crate::owner::Owner;
use crate::ownership::unproven_role;
use crate::role::{RolePlace, RoleSpec};
use crate::role_plan::{Policy, Role, RoleState};
use crate::step::Tags;

/// How many versions of a policy can be kept as they were found: beside them, one is in
/// force and one takes its place.
const VERSIONS: usize = 3;

/// IAM's quota of tags of one entity.
const TAGS: usize = 50;

/// Only a role of this owner, at this place, is changed (U02, U03, C13), or one of
/// nobody's that is to be adopted: then `true`.
pub(crate) fn claim(spec: &RoleSpec, owner: &Owner, role: &Role) -> Result<bool, String> {
    let place = &spec.place;
    let ours = role.is_ours(owner);
    match &spec.adopt {
        _ if ours => {}
        Some(adopt) if !Owner::is_anyones(&role.tags) => {
            let arn = role.arn.to_string();
            adopt.allow_existing(&arn)?;
            place.evidence.check_not_lost(&format!("role {arn}"))?;
            let there = RolePlace { path: role.arn.path.clone(), ..place.clone() };
            there.policy_arn(0).map_or(Ok(()), |policy| adopt.allow_new(&policy.to_string(), &policy.path))?;
        }
        _ => {
            if let Some(why) = unproven_role(place, owner, role) {
                return Err(format!("RoleName: {why}"));
            }
            return Err(taken("RoleName", &format!("role {}", role.arn), Owner::is_anyones(&role.tags)));
        }
    }
    if role.arn.path != place.path {
        return Err(format!(
            "Path: role {} cannot move to {}, since role names are unique whatever the path; change RoleName too",
            role.arn, place.path
        ));
    }
    if role.arn.name != place.name {
        return Err(format!("RoleName: {} differs from the existing {} in case only", place.name, role.arn.name));
    }
    Ok(!ours)
}

/// A name that somebody else's entity has. What keeps the entity is offered first, and its
/// removal last; another resource's is neither to adopt nor to remove.
pub(crate) fn taken(property: &str, entity: &str, is_anothers: bool) -> String {
    let instead = if is_anothers {
        format!("was made by another resource, which alone may change it; choose another {property}")
    } else {
        format!(
            "was not made by this resource: to take it over, set OnExisting to Adopt and name it in AdoptArns of the provisioner's stack; or choose another {property}; or, if nobody needs it, remove it"
        )
    };
    format!("{property}: {entity} exists already and {instead}")
}

/// What was adopted, and does not say any more how it was found, must neither be taken for
/// made here nor be given back by guess.
pub(crate) fn check_marks(owner: &Owner, state: &RoleState) -> Result<(), String> {
    let role = state.role.iter().map(|role| (role.arn.to_string(), &role.tags, FoundRole::read(&role.tags).is_some()));
    let policies = state.policies.iter();
    let policies =
        policies.map(|(arn, policy)| (arn.to_string(), &policy.tags, FoundPolicy::read(&policy.tags).is_some()));
    let is_lost = |(_, tags, is_read): &(String, &Tags, bool)| owner.owns(tags) && is_marked(tags) && !is_read;
    match role.chain(policies).find(is_lost) {
        Some((arn, ..)) => Err(format!(
            "{arn} was adopted, and its tags sagemaker-external:found-… no longer say what it was like; put them back, or delete it with OnDelete set to Remove"
        )),
        None => Ok(()),
    }
}

/// The first of this owner's entities that says how it was found where nobody named it.
pub(crate) fn unnamed(owner: &Owner, state: &RoleState, named: &BTreeSet<String>) -> Option<String> {
    let role = state.role.iter().map(|role| (role.arn.to_string(), &role.tags));
    let policies = state.policies.iter().map(|(arn, policy)| (arn.to_string(), &policy.tags));
    let marked = role.chain(policies).filter(|(_, tags)| owner.owns(tags) && is_marked(tags));
    marked.into_iter().find_map(|(arn, _)| found::unnamed(&arn, "tags sagemaker-external:found-…", named))
}

/// What is kept of the role, if it is, or is to be, an adopted one.
pub(crate) fn found_role(role: &Role, adopting: bool) -> Option<FoundRole> {
    if adopting { Some(FoundRole::of(role)) } else { FoundRole::read(&role.tags) }
}

/// The same of a policy.
pub(crate) fn found_policy(
    arn: &PolicyArn,
    policy: &Policy,
    role: Option<&Role>,
    owner: &Owner,
) -> Option<FoundPolicy> {
    if policy.is_ours(owner) { FoundPolicy::read(&policy.tags) } else { Some(FoundPolicy::of(arn, policy, role)) }
}

/// The keys of tags that stood there are nobody's to set: what they stood for could not
/// be given back.
pub(crate) fn check_tags(spec: &RoleSpec, entity: &str, found: &BTreeSet<String>) -> Result<(), String> {
    match spec.tags.keys().find(|key| stands(found, key)) {
        Some(key) => Err(format!("Tags: \"{key}\" stood on {entity} before it was adopted; leave it out")),
        None => Ok(()),
    }
}

/// Keys of a role's tags differ in more than case to IAM.
pub(crate) fn stands(found: &BTreeSet<String>, key: &str) -> bool {
    found.iter().any(|found| found.eq_ignore_ascii_case(key))
}

/// What was found is kept in tags too, so a role of many tags may have no room for it.
pub(crate) fn check_count(entity: &str, keys: BTreeSet<&String>) -> Result<(), String> {
    let tags = keys.len();
    if tags <= TAGS {
        return Ok(());
    }
    Err(format!(
        "Tags: {entity} would have {tags} of the {TAGS} tags that IAM allows, with those that keep how it was found; set fewer, or take some off it"
    ))
}

/// A policy of nobody's: only one that serves no one else, whose rights would change
/// with it.
pub(crate) fn claim_policy(spec: &RoleSpec, arn: &PolicyArn, policy: &Policy) -> Result<(), String> {
    spec.adopt.iter().try_for_each(|adopt| adopt.allow_existing(&arn.to_string()))?;
    let roles = policy.roles.iter().filter(|name| *name != spec.place.name.as_str());
    let others: Vec<String> = roles.map(|name| format!("role {name}")).chain(policy.others.iter().cloned()).collect();
    if !others.is_empty() {
        let others = others.join(", ");
        return Err(format!(
            "PolicyName: policy {arn} is also attached to {others}, whose rights would change with it; detach it there or choose another PolicyName"
        ));
    }
    match policy.versions.len() {
        count if count > VERSIONS => Err(format!(
            "PolicyName: policy {arn} has {count} versions of IAM's 5, and two must be free to adopt it; delete those not needed, or choose another PolicyName"
        )),
        _ => Ok(()),
    }
}
