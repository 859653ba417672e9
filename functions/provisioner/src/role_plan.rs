//! From what IAM holds to what a role should be: the difference as steps, in an
//! order that never gives anyone more than before or after (U37). Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::{PolicyArn, RoleArn};
use sagemaker_external::policy::{Document, PermissionStatement, quota, same};

use crate::owner::Owner;
use crate::role::{RolePlace, RoleSpec, Trust};
use crate::step::{Step, Tags};

/// IAM's quota of managed policies attached to one role, without a raise.
const POLICIES_PER_ROLE: usize = 10;
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
    if let Some(role) = &state.role {
        claim(&spec.place, owner, role)?;
    }
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
        return Ok(([vec![create], rights].concat(), policies));
    };
    let name = &spec.place.name;
    let mut steps = Vec::new();
    if role.boundary.as_deref() != Some(spec.boundary.to_string().as_str()) {
        steps.push(Step::PutBoundary { role: name.clone(), boundary: spec.boundary.to_string() });
    }
    let (tags, untag) = tag_difference(&role.tags, &wished_tags(&spec.tags, owner), old_tags);
    if !tags.is_empty() {
        steps.push(Step::TagRole { role: name.clone(), tags });
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

/// The steps that remove what `owner` made at `place`, and what is left alone,
/// each with its reason. Refused, before anything is touched, where a stranger
/// hangs on what would go (U09).
pub fn retire(place: &RolePlace, owner: &Owner, state: &RoleState) -> Result<(Vec<Step>, Vec<String>), String> {
    let mut steps = Vec::new();
    let mut left = Vec::new();
    let role = state.role.as_ref().filter(|role| {
        let ours = owner.owns(&role.tags) && role.arn == place.role_arn();
        if !ours {
            left.push(format!("role {} was not made by this resource", role.arn));
        }
        ours
    });
    if let Some(role) = role {
        if !role.instance_profiles.is_empty() {
            let profiles = role.instance_profiles.join(", ");
            return Err(format!(
                "role {} is in instance profiles ({profiles}); take it out of them first",
                role.arn.name
            ));
        }
        // Strangers' first: where the provisioner may not detach one, all the rest is still whole.
        let (ours, foreign): (Vec<&String>, Vec<&String>) =
            role.attached.iter().partition(|arn| is_ours(arn, owner, state));
        let from = role.arn.name.to_string();
        let detach = foreign.into_iter().chain(ours);
        steps.extend(detach.map(|policy| Step::Detach { role: from.clone(), policy: policy.clone() }));
    }
    for (arn, policy) in newest_first(state).filter(|(_, policy)| owner.owns(&policy.tags)) {
        let others: BTreeSet<&String> =
            policy.roles.iter().filter(|name| role.is_none_or(|role| *name != role.arn.name.as_str())).collect();
        let strangers: Vec<String> = others
            .iter()
            .filter(|name| !state.kin.contains(**name))
            .map(|name| format!("role {name}"))
            .chain(policy.others.iter().cloned())
            .collect();
        if !strangers.is_empty() {
            return Err(format!(
                "policy {} is also attached to {}; detach it there first",
                arn.name,
                strangers.join(", ")
            ));
        }
        if others.is_empty() {
            steps.extend(delete_policy(arn, policy));
        } else {
            left.push(format!("policy {} serves another role of this resource", arn.name));
        }
    }
    if let Some(role) = role {
        let name = &role.arn.name;
        let inline =
            role.inline.iter().map(|policy| Step::DeleteInlinePolicy { role: name.clone(), policy: policy.clone() });
        steps.extend(inline);
        steps.push(Step::DeleteRole { role: name.clone() });
    }
    Ok((steps, left))
}

/// Only a role of this owner, at this place, is changed (U02, U03, C13).
fn claim(place: &RolePlace, owner: &Owner, role: &Role) -> Result<(), String> {
    if !owner.owns(&role.tags) {
        return Err(format!(
            "RoleName: role {} exists already and was not made by this resource; remove it or choose another RoleName",
            role.arn
        ));
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
    Ok(())
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
            let ours: BTreeSet<String> =
                role.attached.iter().filter(|arn| is_ours(arn, owner, state)).cloned().collect();
            let kept: BTreeSet<String> = role.attached.difference(&ours).cloned().collect();
            let detach = ours.into_iter().map(|policy| Step::Detach { role: spec.place.name.to_string(), policy });
            let again = rights(spec, owner, state, wanted, &kept, old_tags);
            detach.chain([put(&spec.trust)]).chain(again).collect()
        }
    }
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
                let (tag, untag) = tag_difference(&policy.tags, &tags, old_tags);
                if !tag.is_empty() {
                    steps.push(Step::TagPolicy { policy: arn.clone(), tags: tag });
                }
                if !untag.is_empty() {
                    steps.push(Step::UntagPolicy { policy: arn.clone(), keys: untag });
                }
                if !same(&policy.document, &document) {
                    // The role before a replacement must not gain by the new rights.
                    let kin = policy.roles.iter().filter(|name| state.kin.contains(*name));
                    steps.extend(kin.map(|name| Step::Detach { role: name.clone(), policy: arn.to_string() }));
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
        if alone {
            steps.extend(delete_policy(arn, policy));
        }
    }
    steps
}

/// Makes room for a version where there is none: the oldest goes that is not the
/// default, which IAM would not delete (U05, U07).
fn oldest_version(arn: &PolicyArn, policy: &Policy) -> Option<Step> {
    let full = policy.versions.len() >= VERSIONS_PER_POLICY;
    let oldest = policy.versions.iter().find(|version| **version != policy.default_version)?;
    full.then(|| Step::DeletePolicyVersion { policy: arn.clone(), version: oldest.clone() })
}

/// All versions but the default, then the policy (U10).
fn delete_policy(arn: &PolicyArn, policy: &Policy) -> Vec<Step> {
    let versions = policy.versions.iter().filter(|version| **version != policy.default_version);
    versions
        .map(|version| Step::DeletePolicyVersion { policy: arn.clone(), version: version.clone() })
        .chain([Step::DeletePolicy { policy: arn.clone() }])
        .collect()
}

/// Policies with the highest number first, so that what an interrupted removal
/// leaves is still found by counting up from the first.
fn newest_first(state: &RoleState) -> impl Iterator<Item = (&PolicyArn, &Policy)> {
    let mut policies: Vec<_> = state.policies.iter().collect();
    policies.sort_by_key(|(arn, _)| std::cmp::Reverse((arn.name.as_str().len(), arn.name.as_str())));
    policies.into_iter()
}

fn is_ours(arn: &str, owner: &Owner, state: &RoleState) -> bool {
    arn.parse().ok().and_then(|arn: PolicyArn| state.policies.get(&arn)).is_some_and(|p| owner.owns(&p.tags))
}

fn wished_tags(tags: &Tags, owner: &Owner) -> Tags {
    tags.clone().into_iter().chain(owner.tags()).collect()
}

fn tag_difference(actual: &Tags, wished: &Tags, old: &BTreeSet<String>) -> (Tags, Vec<String>) {
    let set = wished.iter().filter(|(key, value)| actual.get(*key) != Some(value));
    let gone = old.iter().filter(|key| actual.contains_key(*key) && !wished.contains_key(*key));
    (set.map(|(k, v)| (k.clone(), v.clone())).collect(), gone.cloned().collect())
}

/// Spreads the wish's resources over as few policies as the quota allows. What a
/// policy names already stays there, so that one endpoint more touches one policy.
fn pack(spec: &RoleSpec, owner: &Owner, state: &RoleState) -> Result<Vec<(PolicyArn, BTreeSet<String>)>, String> {
    let room = quota::MANAGED.saturating_sub(spec.permissions(&BTreeSet::new()).size());
    let cost = |arn: &String| arn.len() + r#""","#.len();
    let mut missing = spec.resources.clone();
    let mut buckets: Vec<BTreeSet<String>> = Vec::new();
    for policy in (0..).map_while(|index| state.policies.get(&spec.place.policy_arn(index)?)) {
        if !owner.owns(&policy.tags) {
            break;
        }
        let mut kept = BTreeSet::new();
        for arn in named_resources(&policy.document) {
            let used: usize = kept.iter().map(cost).sum();
            if used + cost(&arn) <= room && missing.remove(&arn) {
                kept.insert(arn);
            }
        }
        buckets.push(kept);
    }
    for arn in missing {
        let free = buckets.iter_mut().find(|bucket| bucket.iter().map(cost).sum::<usize>() + cost(&arn) <= room);
        match free {
            Some(bucket) => _ = bucket.insert(arn),
            None => buckets.push(BTreeSet::from([arn])),
        }
    }
    // Names count up without a gap: an emptied policy takes over the last one's part.
    while let Some(empty) = buckets.iter().position(BTreeSet::is_empty) {
        buckets.swap_remove(empty);
    }
    if buckets.len() > POLICIES_PER_ROLE {
        return Err(format!(
            "EndpointNames: the grant would need {} managed policies of the {POLICIES_PER_ROLE} that a role may have; name fewer endpoints or regions, or use several roles",
            buckets.len()
        ));
    }
    let named = buckets.into_iter().enumerate().map(|(index, bucket)| {
        let too_long = || "PolicyName: with its number it would pass 128 characters; use a shorter name".to_owned();
        let arn = spec.place.policy_arn(index).ok_or_else(too_long)?;
        match state.policies.get(&arn) {
            Some(policy) if !owner.owns(&policy.tags) => Err(format!(
                "PolicyName: policy {arn} exists already and was not made by this resource; remove it or choose another PolicyName"
            )),
            _ => Ok((arn, bucket)),
        }
    });
    named.collect()
}

fn named_resources(document: &str) -> Vec<String> {
    let document: Option<Document<PermissionStatement>> = serde_json::from_str(document).ok();
    document.iter().flat_map(Document::statements).flat_map(|statement| statement.resource.clone()).collect()
}

#[cfg(test)]
#[path = "role_plan_tests.rs"]
mod tests;
