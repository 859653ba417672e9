//! A role's permissions: from the policies that are there to those that a wish needs. Pure.

use std::collections::BTreeSet;

use sagemaker_external::arn::PolicyArn;
use sagemaker_external::policy::same;

use crate::adopt::found_policy;
use crate::found::FoundPolicy;
use crate::owner::Owner;
use crate::pack::POLICIES_PER_ROLE;
use crate::role::RoleSpec;
use crate::role_plan::{Keys, Policy, RoleState, newest_first, tag_difference, wished_tags};
use crate::role_retire::{delete_policy, restore_policy};
use crate::step::Step;

/// IAM's quota of versions of one managed policy.
const VERSIONS_PER_POLICY: usize = 5;

/// The policies: made or brought up to date, attached; then those not wanted any
/// more detached and removed. `attached` is what hangs on the role at that point.
pub(crate) fn rights(
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
    let mut attached = attached.clone();
    let unwanted: Vec<_> = newest_first(state)
        .filter(|(arn, policy)| policy.is_ours(owner) && wanted.iter().all(|(wanted, _)| wanted != *arn))
        .collect();
    let detach = |arn: &PolicyArn| Step::Detach { role: role.to_string(), policy: arn.to_string() };
    for (arn, resources) in wanted {
        let document = spec.permissions(resources).to_json();
        match state.policies.get(arn) {
            None => steps.push(Step::CreatePolicy { policy: arn.clone(), document, tags: tags.clone() }),
            Some(policy) => {
                let found = found_policy(arn, policy, state.role.as_ref(), owner);
                let own = |key: &&String| found.as_ref().is_none_or(|found| !found.tags.contains(*key));
                let old_own = old_tags.iter().filter(own).cloned().collect();
                let (tag, untag) = tag_difference(&policy.tags, &tags, &old_own, &Keys::OfPolicy);
                if policy.is_ours(owner) && !tag.is_empty() {
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
        if attached.contains(&arn.to_string()) {
            continue;
        }
        // Where the role is full, rather without an old right for a moment.
        if attached.len() >= POLICIES_PER_ROLE
            && let Some((old, _)) = unwanted.iter().find(|(old, _)| attached.remove(&old.to_string()))
        {
            steps.push(detach(old));
        }
        attached.insert(arn.to_string());
        steps.push(Step::Attach { role: role.clone(), policy: arn.to_string() });
    }
    for (arn, policy) in unwanted {
        if attached.contains(&arn.to_string()) {
            steps.push(detach(arn));
        }
        let alone = policy.others.is_empty() && policy.roles.iter().all(|name| name == role.as_str());
        match FoundPolicy::read(&policy.tags) {
            Some(found) => {
                let set = old_tags.union(&spec.place.tags).cloned().collect();
                steps.extend(restore_policy(arn, policy, &found, &set));
            }
            None if alone => steps.extend(delete_policy(arn, policy)),
            None => {}
        }
    }
    steps
}

/// Makes room for a version where there is none: the oldest goes that is neither the
/// default, which IAM would not delete (U05, U07), nor found there.
fn oldest_version(arn: &PolicyArn, policy: &Policy) -> Option<Step> {
    let full = policy.versions.len() >= VERSIONS_PER_POLICY;
    let found = FoundPolicy::read(&policy.tags).map(|found| found.versions).unwrap_or_default();
    let kept = |version: &String| *version == policy.default_version || found.contains(version);
    let oldest = policy.versions.iter().find(|version| !kept(version))?;
    full.then(|| Step::DeletePolicyVersion { policy: arn.clone(), version: oldest.clone() })
}
