//! From what IAM holds to nothing of ours: what was made is removed, what was adopted
//! is given back, what is a stranger's is left alone. Pure.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use sagemaker_external::arn::PolicyArn;
use sagemaker_external::policy::same;

use crate::adopt::{check_marks, stands};
use crate::found::{FoundPolicy, FoundRole};
use crate::owner::{Owner, TAG_PREFIX};
use crate::ownership::{marked, unproven_policy, unproven_role};
use crate::role::RolePlace;
use crate::role_plan::{Policy, Role, RoleState, is_ours, newest_first};
use crate::step::{Dispensable, Step, Tags};
use crate::trust::closed;

/// The steps that remove what `owner` made at `place`, and what is left alone, each
/// with its reason. Refused, before anything is touched, where a stranger hangs on
/// what would go (U09).
pub fn retire(place: &RolePlace, owner: &Owner, state: &RoleState) -> Result<(Vec<Step>, Vec<String>), String> {
    if let Some(why) = state.role.as_ref().and_then(|role| unproven_role(place, owner, role)) {
        return Err(why);
    }
    let (marks, state) = &marked(owner, state);
    let mut left = Vec::new();
    let role = state.role.as_ref().filter(|role| {
        let ours = role.is_ours(owner);
        if !ours {
            left.push(format!("role {} was not made by this resource", role.arn));
        }
        ours
    });
    if !place.remove_adopted {
        check_marks(owner, state)?;
    }
    let found = role.and_then(|role| FoundRole::read(&role.tags)).filter(|_| !place.remove_adopted);
    let policies = policies(place, owner, state, role, &mut left)?;
    let steps = match (role, found) {
        (Some(role), Some(found)) => {
            left.push(format!("role {} was adopted and is given back as it was found", role.arn.name));
            give_back(place, state, role, &found, &policies, &mut left)
        }
        (Some(role), None) => remove(place, owner, state, role, &policies)?,
        (None, _) => policies.iter().flat_map(|policy| policy.go(place)).collect(),
    };
    Ok((marks.iter().cloned().chain(steps).collect(), left))
}

/// A policy of ours that goes with the role.
struct Going<'a> {
    arn: &'a PolicyArn,
    policy: &'a Policy,
    /// Set when it is to be given back.
    found: Option<FoundPolicy>,
}

impl Going<'_> {
    fn detach(&self, role: &Role) -> Option<Step> {
        let policy = self.arn.to_string();
        role.attached.contains(&policy).then(|| Step::Detach { role: role.arn.name.to_string(), policy })
    }

    /// The steps once it is detached from our role.
    fn go(&self, place: &RolePlace) -> Vec<Step> {
        match &self.found {
            Some(found) => restore_policy(self.arn, self.policy, found, &place.tags),
            None => delete_policy(self.arn, self.policy),
        }
    }
}

/// The policies that go; strangers on one that would be deleted are named.
fn policies<'a>(
    place: &RolePlace,
    owner: &Owner,
    state: &'a RoleState,
    role: Option<&Role>,
    left: &mut Vec<String>,
) -> Result<Vec<Going<'a>>, String> {
    // Beside a role that is left alone, a policy is too.
    let concerned = role.is_some() || state.role.is_none();
    if let Some(why) = unproven_policy(place, owner, state).filter(|_| concerned) {
        return Err(why);
    }
    let mut going = Vec::new();
    for (arn, policy) in newest_first(state).filter(|(_, policy)| policy.is_ours(owner)) {
        let found = FoundPolicy::read(&policy.tags).filter(|_| !place.remove_adopted);
        let others: BTreeSet<&String> =
            policy.roles.iter().filter(|name| role.is_none_or(|role| *name != role.arn.name.as_str())).collect();
        let strangers: Vec<String> = others
            .iter()
            .filter(|name| !state.kin.contains(**name))
            .map(|name| format!("role {name}"))
            .chain(policy.others.iter().cloned())
            .collect();
        if found.is_none() && !strangers.is_empty() {
            let strangers = strangers.join(", ");
            return Err(format!("policy {} is also attached to {strangers}; detach it there first", arn.name));
        }
        if others.iter().any(|name| state.kin.contains(*name)) {
            left.push(format!("policy {} serves another role of this resource", arn.name));
        } else {
            if let Some(found) = found.as_ref().filter(|found| found.back(policy) != found.version) {
                let (name, gone, now) = (&arn.name, &found.version, found.back(policy));
                left.push(format!(
                    "version {gone} of policy {name}, as found, is not there any more: {now} is the default"
                ));
            }
            going.push(Going { arn, policy, found });
        }
    }
    Ok(going)
}

/// Detach, the policies, the inline policies, the role (U10, U11, U37).
fn remove(
    place: &RolePlace,
    owner: &Owner,
    state: &RoleState,
    role: &Role,
    policies: &[Going<'_>],
) -> Result<Vec<Step>, String> {
    let name = &role.arn.name;
    if !role.instance_profiles.is_empty() {
        let profiles = role.instance_profiles.join(", ");
        return Err(format!("role {name} is in instance profiles ({profiles}); take it out of them first"));
    }
    let foreign: Vec<&str> =
        role.attached.iter().filter(|arn| !is_ours(arn, owner, state)).map(String::as_str).collect();
    if !foreign.is_empty() {
        let foreign = foreign.join(", ");
        return Err(format!("others attached policies to role {name} ({foreign}); detach them first"));
    }
    // Those that serve another role stay; each other one goes before the next is detached,
    // so that a removal cut off leaves the rest where it is found again.
    let stays = |arn: &&String| policies.iter().all(|policy| policy.arn.to_string() != **arn);
    let shared = role.attached.iter().filter(stays);
    let mut steps: Vec<Step> =
        shared.map(|policy| Step::Detach { role: name.to_string(), policy: policy.clone() }).collect();
    for policy in policies {
        steps.extend(policy.detach(role));
        steps.extend(policy.go(place));
    }
    steps.extend(
        role.inline.iter().map(|policy| Step::DeleteInlinePolicy { role: name.clone(), policy: policy.clone() }),
    );
    steps.push(Step::DeleteRole { role: name.clone() });
    Ok(steps)
}

/// The adopted role as it was found: without our policies, with its own trust, and
/// the mark off last, so that an interrupted Delete can go on. While the trust and
/// the rights both change back, the role is without rights.
fn give_back(
    place: &RolePlace,
    state: &RoleState,
    role: &Role,
    found: &FoundRole,
    policies: &[Going<'_>],
    left: &mut Vec<String>,
) -> Vec<Step> {
    let name = &role.arn.name;
    let trust = if place.trust_is_lost {
        left.push(format!(
            "the trust of role {name} as it was found names a principal that is gone: nobody can assume the role until its owner writes another trust"
        ));
        closed().to_json()
    } else {
        found.trust.clone()
    };
    let new_trust = !same(&role.trust, &trust);
    let stays = |policy: &Going<'_>| {
        let same_version = |found: &FoundPolicy| found.back(policy.policy) == policy.policy.default_version;
        policy.found.as_ref().is_some_and(|found| found.attached && (same_version(found) || !new_trust))
    };
    let session = Step::SetMaxSession { role: name.clone(), seconds: found.max_session };
    let (shorter, longer) = match role.max_session.cmp(&found.max_session) {
        Ordering::Greater => (Some(session), None),
        Ordering::Less => (None, Some(session)),
        Ordering::Equal => (None, None),
    };
    let mut steps = Vec::from_iter(shorter);
    for policy in policies.iter().filter(|policy| !stays(policy)) {
        steps.extend(policy.detach(role));
        if policy.found.is_none() {
            steps.extend(policy.go(place));
        }
    }
    if new_trust {
        steps.push(Step::PutTrust { role: name.clone(), document: trust, dispensable: Dispensable::default() });
    }
    let attach = |arn: &PolicyArn| Step::Attach { role: name.clone(), policy: arn.to_string() };
    for policy in policies {
        let Some(found) = &policy.found else { continue };
        let mut back = policy.go(place);
        if found.attached && !(role.attached.contains(&policy.arn.to_string()) && stays(policy)) {
            // Before the last step, which takes the policy's own mark off.
            back.insert(back.len().saturating_sub(1), attach(policy.arn));
        }
        steps.extend(back);
    }
    let elsewhere = |arn: &&String| policies.iter().all(|policy| policy.arn.to_string() != **arn);
    for arn in found.detached.difference(&role.attached).filter(elsewhere) {
        match arn.parse().ok().filter(|arn: &PolicyArn| state.policies.contains_key(arn)) {
            Some(arn) => steps.push(attach(&arn)),
            None => left.push(format!("policy {arn} hung on role {name} and is not there any more")),
        }
    }
    steps.extend(longer);
    match &found.boundary {
        boundary if *boundary == role.boundary => {}
        Some(boundary) => steps.push(Step::PutBoundary { role: name.clone(), boundary: boundary.clone() }),
        None => steps.push(Step::DeleteBoundary { role: name.clone() }),
    }
    steps.push(Step::UntagRole { role: name.clone(), keys: our_keys(&role.tags, &place.tags, &found.tags) });
    steps
}

/// All versions but the default, then the policy (U10).
pub(crate) fn delete_policy(arn: &PolicyArn, policy: &Policy) -> Vec<Step> {
    let versions = policy.versions.iter().filter(|version| **version != policy.default_version);
    versions
        .map(|version| Step::DeletePolicyVersion { policy: arn.clone(), version: version.clone() })
        .chain([Step::DeletePolicy { policy: arn.clone() }])
        .collect()
}

/// The found version is the default again, what was not found there goes, the mark last.
pub(crate) fn restore_policy(
    arn: &PolicyArn,
    policy: &Policy,
    found: &FoundPolicy,
    tags: &BTreeSet<String>,
) -> Vec<Step> {
    let version = found.back(policy);
    let set = (policy.default_version != version)
        .then(|| Step::SetDefaultVersion { policy: arn.clone(), version: version.to_owned() });
    let ours = policy.versions.iter().filter(|other| *other != version && !found.versions.contains(other));
    let delete = ours.map(|ours| Step::DeletePolicyVersion { policy: arn.clone(), version: ours.clone() });
    let untag = Step::UntagPolicy { policy: arn.clone(), keys: our_keys(&policy.tags, tags, &found.tags) };
    set.into_iter().chain(delete).chain([untag]).collect()
}

/// Our marks, and the keys that the properties `set`, but for those `found` there. A key
/// that differs from a found one in case only is the found one to a role.
fn our_keys(tags: &Tags, set: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<String> {
    let ours = |key: &&String| key.starts_with(TAG_PREFIX) || (set.contains(*key) && !stands(found, key));
    tags.keys().filter(ours).cloned().collect()
}
