//! Which managed policy names which of a grant's resources. Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::PolicyArn;
use sagemaker_external::policy::{Document, PermissionStatement, quota, same};

use crate::adopt::{claim_policy, taken};
use crate::owner::Owner;
use crate::role::RoleSpec;
use crate::role_plan::{Policy, RoleState, is_ours};

/// IAM's quota of managed policies attached to one role, without a raise.
pub(crate) const POLICIES_PER_ROLE: usize = 10;
/// How many of the numbers of a grant's policies are ever taken: a replacement lives
/// beside what it replaces.
pub(crate) const MOST_POLICIES: usize = 2 * POLICIES_PER_ROLE;

/// Spreads the wish's resources over as few policies as the quota allows. What a policy
/// names already stays there, and what is missing goes together into one where it fits,
/// so that one endpoint more or less touches one policy.
pub(crate) fn pack(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
) -> Result<Vec<(PolicyArn, BTreeSet<String>)>, String> {
    let room = quota::MANAGED.saturating_sub(spec.permissions(&BTreeSet::new()).size());
    let mut missing = spec.resources.clone();
    let mut buckets: Vec<(PolicyArn, BTreeSet<String>)> = Vec::new();
    let mut shared = Vec::new();
    // Over gaps: after a replacement the first numbers may have gone with the old role, and
    // be taken at another path.
    let arns = (0..MOST_POLICIES).map_while(|index| spec.place.policy_arn(index));
    let numbered = arns.filter_map(|arn| state.policies.get_key_value(&arn));
    for (arn, policy) in numbered.filter(|(_, policy)| usable(spec, owner, policy)) {
        let named: BTreeSet<String> = named_resources(&policy.document).into_iter().collect();
        if policy.roles.iter().any(|role| state.kin.contains(role)) {
            // The role before or after a replacement lives on it: shared as it is, or
            // not at all (C15).
            if same(&policy.document, &spec.permissions(&named).to_json()) && named.is_subset(&missing) {
                missing.retain(|resource| !named.contains(resource));
                shared.push((arn.clone(), named));
            }
            continue;
        }
        let mut kept = BTreeSet::new();
        for resource in named {
            if size(&kept) + cost(&resource) <= room && missing.remove(&resource) {
                kept.insert(resource);
            }
        }
        buckets.push((arn.clone(), kept));
    }
    match buckets.iter_mut().find(|(_, held)| size(held) + size(&missing) <= room) {
        Some((_, held)) => held.append(&mut missing),
        None => {
            for group in together(missing) {
                if let Some((_, held)) = buckets.iter_mut().find(|(_, held)| size(held) + size(&group) <= room) {
                    held.extend(group);
                } else if buckets.len() + shared.len() < POLICIES_PER_ROLE {
                    buckets.push((free(spec, owner, state, &buckets)?, group));
                } else {
                    // No further policy: into whatever gaps there are.
                    for resource in group {
                        match buckets.iter_mut().find(|(_, held)| size(held) + cost(&resource) <= room) {
                            Some((_, held)) => _ = held.insert(resource),
                            // One too many, which is refused below.
                            None => buckets.push((free(spec, owner, state, &buckets)?, BTreeSet::from([resource]))),
                        }
                    }
                }
            }
        }
    }
    // Names count up without a gap: an emptied policy takes over the last one's part.
    while let Some(empty) = buckets.iter().position(|(_, held)| held.is_empty()) {
        let last = buckets.pop().map(|(_, held)| held).unwrap_or_default();
        if let Some((_, held)) = buckets.get_mut(empty) {
            *held = last;
        }
    }
    buckets.extend(shared);
    if buckets.len() > POLICIES_PER_ROLE {
        return Err(format!(
            "EndpointNames: the grant would need {} managed policies of the {POLICIES_PER_ROLE} that a role may have; name fewer endpoints, or use several roles",
            buckets.len()
        ));
    }
    check_room(spec, owner, state, &buckets)?;
    for (arn, _) in &buckets {
        if let Some(there) = state.policies.keys().find(|there| differs_in_case_only(arn, there)) {
            return Err(format!("PolicyName: {} differs from the existing {} in case only", arn.name, there.name));
        }
        match state.policies.get(arn) {
            Some(policy) if !usable(spec, owner, policy) => {
                return Err(taken("PolicyName", &format!("policy {arn}"), Owner::is_anyones(&policy.tags)));
            }
            Some(policy) if policy.is_ours(owner) => {}
            Some(policy) => claim_policy(spec, arn, policy)?,
            // To be made, beside an adopted role it may be.
            None => spec.adopt.iter().try_for_each(|adopt| adopt.allow_new(&arn.to_string(), &arn.path))?,
        }
    }
    Ok(buckets)
}

/// Two such policies cannot be at once: IAM compares names without regard to case.
fn differs_in_case_only(arn: &PolicyArn, there: &PolicyArn) -> bool {
    arn != there && arn.name.as_str().eq_ignore_ascii_case(there.name.as_str())
}

/// What a resource takes of a document's quota.
fn cost(resource: &str) -> usize {
    resource.len() + r#""","#.len()
}

fn size(resources: &BTreeSet<String>) -> usize {
    resources.iter().map(|resource| cost(resource)).sum()
}

/// Each endpoint's spellings and regions together, so that it touches one policy when it
/// comes and when it goes.
fn together(resources: BTreeSet<String>) -> impl Iterator<Item = BTreeSet<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for resource in resources {
        let name = resource.splitn(6, ':').last().unwrap_or_default().to_ascii_lowercase();
        groups.entry(name).or_default().insert(resource);
    }
    groups.into_values()
}

/// The ARN of the first number that no policy of ours has.
fn free(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    buckets: &[(PolicyArn, BTreeSet<String>)],
) -> Result<PolicyArn, String> {
    let used = |arn: &PolicyArn| {
        buckets.iter().any(|(own, _)| own == arn)
            || state.policies.get(arn).is_some_and(|policy| usable(spec, owner, policy))
    };
    let free = (0..).map(|index| spec.place.policy_arn(index)).find(|arn| !arn.as_ref().is_some_and(used));
    let too_long = || "PolicyName: with its number it would pass 128 characters; use a shorter name".to_owned();
    free.flatten().ok_or_else(too_long)
}

/// Others may have taken places of the role's quota: said before anything is written.
fn check_room(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    wanted: &[(PolicyArn, BTreeSet<String>)],
) -> Result<(), String> {
    let Some(role) = &state.role else { return Ok(()) };
    let wanted: BTreeSet<String> = wanted.iter().map(|(arn, _)| arn.to_string()).collect();
    let others: Vec<&str> =
        role.attached.difference(&wanted).filter(|arn| !is_ours(arn, owner, state)).map(String::as_str).collect();
    // Where all hang there already, the account's quota is a higher one.
    if wanted.is_subset(&role.attached) || others.len() + wanted.len() <= POLICIES_PER_ROLE {
        return Ok(());
    }
    Err(format!(
        "EndpointNames: the grant needs {} managed policies of the {POLICIES_PER_ROLE} that a role may have, and others attached {} to role {} ({}); detach some of these, name fewer endpoints, or use several roles",
        wanted.len(),
        others.len(),
        spec.place.name,
        others.join(", ")
    ))
}

pub(crate) fn named_resources(document: &str) -> Vec<String> {
    let document: Option<Document<PermissionStatement>> = serde_json::from_str(document).ok();
    document.iter().flat_map(Document::statements).flat_map(|statement| statement.resource.clone()).collect()
}

/// Ours, or nobody's and to be adopted.
fn usable(spec: &RoleSpec, owner: &Owner, policy: &Policy) -> bool {
    policy.is_ours(owner) || (spec.adopt.is_some() && !Owner::is_anyones(&policy.tags))
}
