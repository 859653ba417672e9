//! Which managed policy names which of a grant's resources. Pure.

use std::collections::BTreeSet;

use sagemaker_external::arn::PolicyArn;
use sagemaker_external::policy::{Document, PermissionStatement, quota};

use crate::owner::Owner;
use crate::role::RoleSpec;
use crate::role_plan::{Policy, RoleState};

/// IAM's quota of managed policies attached to one role, without a raise.
const POLICIES_PER_ROLE: usize = 10;

/// Spreads the wish's resources over as few policies as the quota allows. What a
/// policy names already stays there, so that one endpoint more touches one policy.
pub(crate) fn pack(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
) -> Result<Vec<(PolicyArn, BTreeSet<String>)>, String> {
    let room = quota::MANAGED.saturating_sub(spec.permissions(&BTreeSet::new()).size());
    let cost = |arn: &String| arn.len() + r#""","#.len();
    let mut missing = spec.resources.clone();
    let mut buckets: Vec<BTreeSet<String>> = Vec::new();
    for policy in (0..).map_while(|index| state.policies.get(&spec.place.policy_arn(index)?)) {
        if !usable(spec, owner, policy) {
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
            Some(policy) if !usable(spec, owner, policy) => Err(format!(
                "PolicyName: policy {arn} exists already and was not made by this resource; remove it or choose another PolicyName"
            )),
            Some(policy) if !owner.owns(&policy.tags) => {
                let allowed = spec.adopt.iter().try_for_each(|adopt| adopt.allow(&arn.to_string(), &arn.path));
                allowed.map(|()| (arn, bucket))
            }
            _ => Ok((arn, bucket)),
        }
    });
    named.collect()
}

pub(crate) fn named_resources(document: &str) -> Vec<String> {
    let document: Option<Document<PermissionStatement>> = serde_json::from_str(document).ok();
    document.iter().flat_map(Document::statements).flat_map(|statement| statement.resource.clone()).collect()
}

/// Ours, or nobody's and to be adopted.
fn usable(spec: &RoleSpec, owner: &Owner, policy: &Policy) -> bool {
    owner.owns(&policy.tags) || (spec.adopt.is_some() && !Owner::is_anyones(&policy.tags))
}
