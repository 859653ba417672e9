//! Whose an entity is, told from what IAM shows of it: one answer for plans and deletions.
//! Pure.
//!
//! The mark says it: the owner's tags on a role or a policy, the owner's `Sid` in a group's
//! policy. But the console's editor of policies writes `Sid`s of its own, and tags are taken
//! off by hand. An entity without any mark is ours if all of this holds, and never for less:
//!
//! 1. CloudFormation names it by the id that we gave, which is its ARN, path included.
//! 2. It lies below the provisioner's own path.
//! 3. Our policy is on it, under the name that the properties give, or gave before. A policy
//!    is on our role, and on nothing else.
//! 4. No other owner's mark is on it, nor on that policy.
//! 5. It cannot have been adopted: what was given back looks the same, and is not ours any
//!    more. So `AdoptArns` must not name it, without which nothing is adopted.
//!
//! What is proven so gets its mark back with an Update and is removed by a Delete. Where the
//! id names an entity and the proof is not whole, an Update and a Delete fail and say so.

use std::collections::BTreeSet;

use sagemaker_external::arn::PolicyArn;
use sagemaker_external::name::IamPath;

use crate::found::is_marked;
use crate::group::GroupPlace;
use crate::group_plan::Group;
use crate::owner::Owner;
use crate::pack::MOST_POLICIES;
use crate::role::{Defaults, RolePlace};
use crate::role_plan::{Policy, Role, RoleState};
use crate::step::Step;

/// What is known of an entity besides what IAM shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Whether CloudFormation names it by the id that we gave.
    pub by_id: bool,
    /// The provisioner's own path.
    fence: IamPath,
    /// Whether this run has seen our mark on it.
    seen: bool,
    /// ARNs that may be adopted.
    adoptable: BTreeSet<String>,
}

impl Evidence {
    pub fn of(defaults: &Defaults) -> Self {
        Self { by_id: false, fence: defaults.path.clone(), seen: false, adoptable: defaults.adopt_arns.clone() }
    }

    pub fn named(self) -> Self {
        Self { by_id: true, ..self }
    }

    pub fn seen(self) -> Self {
        Self { by_id: true, seen: true, ..self }
    }

    pub(crate) fn is_below_path(&self, path: &IamPath) -> bool {
        path.as_str().starts_with(self.fence.as_str())
    }

    /// Whether an unmarked entity may be one that was adopted and given back.
    pub(crate) fn may_be_given_back(&self, arn: &str) -> bool {
        !self.seen && self.adoptable.contains(arn)
    }

    /// Refuses to adopt anew what CloudFormation names by the id that we gave. It is most likely
    /// one that was adopted and has lost its mark: our own rights would be kept as what it was
    /// like, and stay when it is given back.
    pub(crate) fn check_not_lost(&self, entity: &str) -> Result<(), String> {
        match self.by_id {
            true => Err(format!(
                "OnExisting: {entity} is this resource's own, and no longer says what it was like before it was adopted; put its mark back, or restore it by hand and let the resource name another one"
            )),
            false => Ok(()),
        }
    }

    /// Whether nothing but the entity itself is missing from the proof.
    fn counts(&self, arn: &str, path: &IamPath) -> bool {
        self.by_id && self.is_below_path(path) && !self.may_be_given_back(arn)
    }
}

/// Notes on the role and its policies that they are ours without their mark.
pub(crate) fn prove_role(state: &mut RoleState, place: &RolePlace, old: Option<&RolePlace>, owner: &Owner) {
    let Some(role) = state.role.as_mut().filter(|role| role.arn == place.role_arn()) else { return };
    let names = [place].into_iter().chain(old.filter(|old| old.name == place.name)).map(|named| &named.policy_name);
    let ours: BTreeSet<PolicyArn> = names
        .map(|name| RolePlace { policy_name: name.clone(), ..place.clone() })
        .flat_map(|place| (0..MOST_POLICIES).map_while(move |index| place.policy_arn(index)))
        .collect();
    let counts = place.evidence.counts(&role.arn.to_string(), &role.arn.path) && !is_marked(&role.tags);
    let on_it = |arn: &PolicyArn, policy: &Policy| {
        let free = !owner.is_anothers(&policy.tags) && !is_marked(&policy.tags);
        ours.contains(arn) && role.attached.contains(&arn.to_string()) && free
    };
    if !owner.owns(&role.tags) {
        let has_policy = state.policies.iter().any(|(arn, policy)| on_it(arn, policy));
        role.proven = counts && has_policy && !owner.is_anothers(&role.tags);
    }
    if !counts || !role.is_ours(owner) {
        return;
    }
    let alone = BTreeSet::from([role.arn.name.to_string()]);
    for (arn, policy) in &mut state.policies {
        policy.proven = !owner.owns(&policy.tags)
            && on_it(arn, policy)
            && policy.roles == alone
            && policy.others.is_empty()
            && place.evidence.counts(&arn.to_string(), &arn.path);
    }
}

/// The marks of what is proven ours, put back before all else, and the state with them: the
/// steps after it may take the proof away, and be cut off.
pub(crate) fn marked(owner: &Owner, state: &RoleState) -> (Vec<Step>, RoleState) {
    let (mut steps, mut state) = (Vec::new(), state.clone());
    if let Some(role) = state.role.as_mut().filter(|role| role.proven) {
        steps.push(Step::TagRole { role: role.arn.name.clone(), tags: owner.tags() });
        role.tags.extend(owner.tags());
    }
    for (arn, policy) in state.policies.iter_mut().filter(|(_, policy)| policy.proven) {
        steps.push(Step::TagPolicy { policy: arn.clone(), tags: owner.tags() });
        policy.tags.extend(owner.tags());
    }
    (steps, state)
}

/// Why a role that CloudFormation names by the id that we gave is not taken for ours, where
/// nobody else's mark is on it either.
pub(crate) fn unproven_role(place: &RolePlace, owner: &Owner, role: &Role) -> Option<String> {
    let arn = role.arn.to_string();
    let nobodys = !role.is_ours(owner) && !owner.is_anothers(&role.tags);
    let named = place.evidence.by_id && role.arn == place.role_arn();
    (nobodys && named && !place.evidence.may_be_given_back(&arn)).then(|| {
        let [stack, resource] = Owner::tag_keys();
        format!(
            "role {arn} is there, and no longer shows that this resource made it: its tags {stack} and {resource} are gone, and policy {} of its path is not attached to it; put the tags or the policy back, or delete the role by hand",
            place.policy_name
        )
    })
}

/// The same of the policy that the properties name.
pub(crate) fn unproven_policy(place: &RolePlace, owner: &Owner, state: &RoleState) -> Option<String> {
    let arn = place.policy_arn(0)?;
    let policy = state.policies.get(&arn)?;
    let nobodys = !policy.is_ours(owner) && !owner.is_anothers(&policy.tags);
    (nobodys && place.evidence.counts(&arn.to_string(), &arn.path)).then(|| {
        format!(
            "policy {arn} is there, and no longer shows that this resource made it: its tags are gone, and it is not attached to role {} alone; put the tags back, or delete the policy by hand",
            place.name
        )
    })
}

/// Notes on the group which of its policies is ours without its mark.
pub(crate) fn prove_group(group: &mut Group, place: &GroupPlace, old: Option<&GroupPlace>, owner: &Owner) {
    let counts = place.evidence.counts(&group.arn.to_string(), &group.arn.path);
    if group.is_marked(owner) || group.arn != place.group_arn() || !counts || group.is_anothers(owner) {
        return;
    }
    let names = old.filter(|old| old.name == place.name).into_iter().chain([place]);
    let names = names.map(|named| group.policy_name(&named.policy_name));
    group.proven = names.into_iter().find(|name| group.inline.contains_key(name));
}

/// Whether the group may be one of ours that has lost its policy: it gives nobody any right,
/// so that this is no more than its name.
pub(crate) fn is_bare_and_named(place: &GroupPlace, group: &Group) -> bool {
    let arn = group.arn.to_string();
    group.arn == place.group_arn() && group.is_blank() && place.evidence.counts(&arn, &group.arn.path)
}

/// As [`unproven_role`], of a group.
pub(crate) fn unproven_group(place: &GroupPlace, owner: &Owner, group: &Group) -> Option<String> {
    let arn = group.arn.to_string();
    let nobodys = !group.is_marked(owner) && !group.is_anothers(owner);
    let named = place.evidence.by_id && group.arn == place.group_arn();
    (nobodys && named && !place.evidence.may_be_given_back(&arn)).then(|| {
        format!(
            "group {arn} is there, and no longer shows that this resource made it: no policy of it has the Sid {}, and its policy {} is gone; put that policy back, or delete the group by hand",
            owner.sid(),
            place.policy_name
        )
    })
}
