//! From what IAM holds to what a role should be: the difference as steps, in an
//! order that never gives anyone more than before or after (U37). Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::{PolicyArn, RoleArn};
use sagemaker_external::policy::same;

use crate::found::{FoundPolicy, FoundRole};
use crate::owner::Owner;
use crate::pack::pack;
use crate::role::{RolePlace, RoleSpec, Trust};
use crate::role_retire::{delete_policy, restore_policy};
use crate::step::{Step, Tags};

/// IAM's quota of versions of one managed policy.
const VERSIONS_PER_POLICY: usize = 5;

/// What was read of IAM around one role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleState {
    pub role: Option<Role>,
    /// The policies under our names, and those attached to the role.
    pub policies: BTreeMap<PolicyArn, Policy>,
    /// Other roles of the same owner that share one of the policies: the one
    /// before or after a replacement.
    pub kin: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub arn: RoleArn,
    pub id: String,
    pub trust: String,
    pub max_session: i32,
    pub boundary: Option<String>,
    pub tags: Tags,
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
    pub roles: BTreeSet<String>,
    /// Users and groups that it is attached to.
    pub others: BTreeSet<String>,
}

/// The steps to what `spec` wishes (none when it is so already), and the policies
/// that serve it in the end. `old_tags` are
/// the keys that an earlier wish set: those not wished any more are taken off,
/// everybody else's stay.
pub fn converge(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    old_tags: &BTreeSet<String>,
) -> Result<(Vec<Step>, Vec<PolicyArn>), String> {
    let adopting = match &state.role {
        Some(role) => claim(spec, owner, role, old_tags)?,
        None => false,
    };
    let wanted = pack(spec, owner, state)?;
    let policies = wanted.iter().map(|(arn, _)| arn.clone()).collect();
    let Some(role) = &state.role else {
        let create = Step::CreateRole {
            role: spec.place.role_arn(),
            trust: spec.trust.document().to_json(),
            max_session: spec.max_session,
            boundary: spec.boundary.to_string(),
            tags: wished_tags(&spec.tags, owner),
        };
        let rights = rights(spec, owner, state, &wanted, &BTreeSet::new(), old_tags);
        let steps = [create].into_iter().chain(adopted(spec, owner, state, &wanted)).chain(rights);
        return Ok((steps.collect(), policies));
    };
    let name = &spec.place.name;
    let mut steps = Vec::new();
    let (tags, untag) = tag_difference(&role.tags, &wished_tags(&spec.tags, owner), old_tags, &Keys::OfRole);
    if adopting {
        // First of all: from here on a Delete knows what to give back.
        let tags = tags.into_iter().chain(FoundRole::of(role).tags()).collect();
        steps.push(Step::AdoptRole { role: name.clone(), tags });
    } else if !tags.is_empty() {
        steps.push(Step::TagRole { role: name.clone(), tags });
    }
    steps.extend(adopted(spec, owner, state, &wanted));
    if role.boundary.as_deref() != Some(spec.boundary.to_string().as_str()) {
        steps.push(Step::PutBoundary { role: name.clone(), boundary: spec.boundary.to_string() });
    }
    if !untag.is_empty() {
        steps.push(Step::UntagRole { role: name.clone(), keys: untag });
    }
    steps.extend(trust_and_rights(spec, owner, state, role, &wanted, old_tags));
    if role.max_session != spec.max_session {
        steps.push(Step::SetMaxSession { role: name.clone(), seconds: spec.max_session });
    }
    Ok((steps, policies))
}

/// Only a role of this owner, at this place, is changed (U02, U03, C13), or one of
/// nobody's that is to be adopted: then `true`.
fn claim(spec: &RoleSpec, owner: &Owner, role: &Role, old_tags: &BTreeSet<String>) -> Result<bool, String> {
    let place = &spec.place;
    let ours = owner.owns(&role.tags);
    match &spec.adopt {
        _ if ours => {}
        Some(adopt) if !Owner::is_anyones(&role.tags) => {
            let arn = role.arn.to_string();
            adopt.allow(&arn, &role.arn.path)?;
            let there = RolePlace { path: role.arn.path.clone(), ..place.clone() };
            there.policy_arn(0).map_or(Ok(()), |policy| adopt.allow(&policy.to_string(), &policy.path))?;
            // Giving it back takes the boundary off again, which the provisioner may
            // do nowhere else.
            if role.boundary.as_deref() != Some(spec.boundary.to_string().as_str()) {
                adopt.require(&arn, "has not the provisioner's boundary")?;
            }
        }
        _ => {
            return Err(format!(
                "RoleName: role {} exists already and was not made by this resource; remove it or choose another RoleName",
                role.arn
            ));
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
    if !ours || FoundRole::read(&role.tags).is_some() {
        let taken = |(key, value): &(&String, &String)| {
            !old_tags.contains(*key) && role.tags.get(*key).is_some_and(|found| found != *value)
        };
        if let Some((key, _)) = spec.tags.iter().find(taken) {
            return Err(format!(
                "Tags: \"{key}\" stands on the adopted role already, with another value; leave it out"
            ));
        }
    }
    Ok(!ours)
}

/// Trust and permissions together. Where both change, the trust first shrinks to
/// what old and new have in common and grows last. With nothing in common the
/// role is without rights in between, rather than open to the wrong party.
fn trust_and_rights(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    role: &Role,
    wanted: &[(PolicyArn, BTreeSet<String>)],
    old_tags: &BTreeSet<String>,
) -> Vec<Step> {
    let put = |trust: &Trust| Step::PutTrust { role: spec.place.name.clone(), document: trust.document().to_json() };
    let ordinary = rights(spec, owner, state, wanted, &role.attached, old_tags);
    if same(&role.trust, &spec.trust.document().to_json()) {
        return ordinary;
    }
    if ordinary.is_empty() {
        return vec![put(&spec.trust)];
    }
    let old = Trust::from_document(&role.trust);
    match old.as_ref().and_then(|old| old.meet(&spec.trust)) {
        Some(meet) => {
            let first = (old.as_ref() != Some(&meet)).then(|| put(&meet));
            let last = (meet != spec.trust).then(|| put(&spec.trust));
            first.into_iter().chain(ordinary).chain(last).collect()
        }
        None => {
            // Also those about to be adopted.
            let goes =
                |arn: &&String| is_ours(arn, owner, state) || wanted.iter().any(|(own, _)| own.to_string() == **arn);
            let ours: BTreeSet<String> = role.attached.iter().filter(goes).cloned().collect();
            let kept: BTreeSet<String> = role.attached.difference(&ours).cloned().collect();
            let detach = ours.into_iter().map(|policy| Step::Detach { role: spec.place.name.to_string(), policy });
            let again = rights(spec, owner, state, wanted, &kept, old_tags);
            detach.chain([put(&spec.trust)]).chain(again).collect()
        }
    }
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
    let found = found.filter(|(_, policy)| !owner.owns(&policy.tags)).map(|(arn, policy)| {
        let found = FoundPolicy::of(arn, policy, state.role.as_ref()).tags();
        let tags = wished_tags(&spec.tags, owner).into_iter().chain(found).collect();
        Step::TagPolicy { policy: arn.clone(), tags }
    });
    found.collect::<Vec<_>>().into_iter()
}

/// The policies: made or brought up to date, attached; then those not wanted any
/// more detached and removed. `attached` is what hangs on the role at that point.
fn rights(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    wanted: &[(PolicyArn, BTreeSet<String>)],
    attached: &BTreeSet<String>,
    old_tags: &BTreeSet<String>,
) -> Vec<Step> {
    let role = &spec.place.name;
    let tags = wished_tags(&spec.tags, owner);
    let mut steps = Vec::new();
    for (arn, resources) in wanted {
        let document = spec.permissions(resources).to_json();
        match state.policies.get(arn) {
            None => steps.push(Step::CreatePolicy { policy: arn.clone(), document, tags: tags.clone() }),
            Some(policy) => {
                let (tag, untag) = tag_difference(&policy.tags, &tags, old_tags, &Keys::OfPolicy);
                if owner.owns(&policy.tags) && !tag.is_empty() {
                    steps.push(Step::TagPolicy { policy: arn.clone(), tags: tag });
                }
                if !untag.is_empty() {
                    steps.push(Step::UntagPolicy { policy: arn.clone(), keys: untag });
                }
                if !same(&policy.document, &document) {
                    steps.extend(oldest_version(arn, policy));
                    steps.push(Step::PutPolicy { policy: arn.clone(), document });
                }
            }
        }
        if !attached.contains(&arn.to_string()) {
            steps.push(Step::Attach { role: role.clone(), policy: arn.to_string() });
        }
    }
    let unwanted = newest_first(state)
        .filter(|(arn, policy)| owner.owns(&policy.tags) && wanted.iter().all(|(wanted, _)| wanted != *arn));
    for (arn, policy) in unwanted {
        if attached.contains(&arn.to_string()) {
            steps.push(Step::Detach { role: role.to_string(), policy: arn.to_string() });
        }
        let alone = policy.others.is_empty() && policy.roles.iter().all(|name| name == role.as_str());
        match FoundPolicy::read(&policy.tags) {
            Some(found) => steps.extend(restore_policy(arn, policy, &found, &spec.place.tags)),
            None if alone => steps.extend(delete_policy(arn, policy)),
            None => {}
        }
    }
    steps
}

/// Makes room for a version where there is none: the oldest goes that is neither the
/// default, which IAM would not delete (U05, U07), nor to be given back.
fn oldest_version(arn: &PolicyArn, policy: &Policy) -> Option<Step> {
    let full = policy.versions.len() >= VERSIONS_PER_POLICY;
    let found = FoundPolicy::read(&policy.tags).map(|found| found.version);
    let kept = |version: &String| *version == policy.default_version || Some(version) == found.as_ref();
    let oldest = policy.versions.iter().find(|version| !kept(version))?;
    full.then(|| Step::DeletePolicyVersion { policy: arn.clone(), version: oldest.clone() })
}

/// Policies with the highest number first, so that what an interrupted removal
/// leaves is still found by counting up from the first.
pub(crate) fn newest_first(state: &RoleState) -> impl Iterator<Item = (&PolicyArn, &Policy)> {
    let mut policies: Vec<_> = state.policies.iter().collect();
    policies.sort_by_key(|(arn, _)| std::cmp::Reverse((arn.name.as_str().len(), arn.name.as_str())));
    policies.into_iter()
}

pub(crate) fn is_ours(arn: &str, owner: &Owner, state: &RoleState) -> bool {
    arn.parse().ok().and_then(|arn: PolicyArn| state.policies.get(&arn)).is_some_and(|p| owner.owns(&p.tags))
}

fn wished_tags(tags: &Tags, owner: &Owner) -> Tags {
    tags.clone().into_iter().chain(owner.tags()).collect()
}

/// Keys of a role's tags differ in more than case to IAM, those of a policy's need not.
enum Keys {
    OfRole,
    OfPolicy,
}

fn tag_difference(actual: &Tags, wished: &Tags, old: &BTreeSet<String>, keys: &Keys) -> (Tags, Vec<String>) {
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
