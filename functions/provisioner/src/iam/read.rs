//! What IAM holds around one role; every list read to its end (U35).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::error::SdkError;
use aws_sdk_iam::types::Tag;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures_util::{StreamExt, TryStreamExt, stream};
use percent_encoding::percent_decode_str;
use sagemaker_external::arn::PolicyArn;
use sagemaker_external::failure::{Failure, Kind};

use super::{Iam, SETTLE, failure, unreadable};
use crate::found::FoundRole;
use crate::owner::Owner;
use crate::pack::POLICIES_PER_ROLE;
use crate::role::RolePlace;
use crate::role_plan::{Policy, Role, RoleState};
use crate::step::{Step, Tags};

/// How many policies or roles are read at once, beside what is asked of the role itself:
/// a policy takes three calls, and IAM throttles bursts.
pub(super) const AT_ONCE: usize = 5;

/// Which of a grant's numbered policies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Up to the first two in a row that are not there.
    Counted,
    /// Every one: after a replacement, and a removal that was cut off, any may be left.
    All,
}

/// So many numbers in a row that are not there end the count: one may have gone with the
/// role before a replacement.
const GAP: usize = 2;

impl Numbers {
    /// How many numbers are asked for at once, after so many in a row that are not there.
    pub(super) fn batch(self, missing: usize) -> usize {
        match self {
            // No more than must be asked for in any case.
            Self::Counted => GAP.saturating_sub(missing),
            // A role's own first: only beside a replacement are there others.
            Self::All => POLICIES_PER_ROLE,
        }
    }
}

impl Iam {
    /// Everything around one role: itself, the policies under our names and those
    /// attached, and which other roles are of the same owner. `also` names where
    /// an earlier wish put its policies. What does not wait for an answer is asked at once.
    pub async fn role_state(
        &self,
        place: &RolePlace,
        also: Option<&RolePlace>,
        owner: &Owner,
        numbers: Numbers,
    ) -> Result<RoleState, Failure> {
        let (role, policies) =
            tokio::join!(self.role_around(place, also, owner, numbers), self.numbered(place, numbers));
        let ((role, around), mut policies) = (role?, policies?);
        policies.extend(around);
        if let Some(role) = role.as_ref().filter(|role| role.arn == here(place, Some(role), owner).role_arn()) {
            // And those to be attached again where the role is given back.
            let detached = FoundRole::read(&role.tags).map(|found| found.detached).unwrap_or_default();
            let arns = role.attached.union(&detached).filter_map(|arn| arn.parse::<PolicyArn>().ok());
            let unread = arns.filter(|arn| arn.account == place.account && !policies.contains_key(arn));
            policies.extend(self.attached_policies(unread.collect()).await?);
        }
        let sharing = policies.values().filter(|policy| owner.owns(&policy.tags)).flat_map(|policy| &policy.roles);
        let others: BTreeSet<String> = sharing.filter(|name| *name != place.name.as_str()).cloned().collect();
        let reads = others.into_iter().map(async |name| Ok((self.role(&name).await?, name)));
        let (mut kin, mut unseen) = (BTreeSet::new(), BTreeSet::new());
        for (role, name) in stream::iter(reads).buffered(AT_ONCE).try_collect::<Vec<_>>().await? {
            match role {
                Some(role) if owner.owns(&role.tags) => _ = kin.insert(name),
                Some(_) => {}
                None => _ = unseen.insert(name),
            }
        }
        Ok(RoleState { role, policies, kin, unseen })
    }

    /// The role with all that hangs on it, and the policies that only it tells of.
    async fn role_around(
        &self,
        place: &RolePlace,
        also: Option<&RolePlace>,
        owner: &Owner,
        numbers: Numbers,
    ) -> Result<(Option<Role>, BTreeMap<PolicyArn, Policy>), Failure> {
        let role = self.role(place.name.as_str()).await?;
        let here = here(place, role.as_ref(), owner);
        let moved = (here.path != place.path).then(|| here.clone());
        let renamed = also
            .filter(|also| also.name == place.name && also.policy_name != place.policy_name)
            .map(|also| RolePlace { policy_name: also.policy_name.clone(), ..here.clone() });
        let at = async |place: Option<RolePlace>| match place {
            Some(place) => self.numbered(&place, numbers).await,
            None => Ok(BTreeMap::new()),
        };
        let (role, moved, renamed) = tokio::join!(self.filled(role, &here), at(moved), at(renamed));
        Ok((role?, moved?.into_iter().chain(renamed?).collect()))
    }

    /// The role with its lists. One at another path is nobody's business here, and may
    /// not be read further.
    async fn filled(&self, role: Option<Role>, here: &RolePlace) -> Result<Option<Role>, Failure> {
        let Some(role) = role else { return Ok(None) };
        if role.arn != here.role_arn() {
            return Ok(Some(role));
        }
        let name = role.arn.name.as_str();
        let lists = tokio::join!(self.attached(name), self.inline(name), self.profiles(name));
        match lists {
            (Ok(attached), Ok(inline), Ok(instance_profiles)) => {
                Ok(Some(Role { attached, inline, instance_profiles, ..role }))
            }
            // Gone between two reads: as if it had not been there at the first.
            (Err(failure), ..) | (_, Err(failure), _) | (.., Err(failure)) => match self.role(name).await? {
                None => Ok(None),
                Some(_) => Err(failure),
            },
        }
    }

    /// Those of these policies that are there and may be read.
    async fn attached_policies(&self, arns: Vec<PolicyArn>) -> Result<Vec<(PolicyArn, Policy)>, Failure> {
        let reads = arns.into_iter().map(async |arn| match self.policy(&arn).await {
            Ok(policy) => Ok(policy.map(|policy| (arn, policy))),
            // Outside the provisioner's permissions: a stranger's, left alone.
            Err(failure) if failure.kind == Kind::Denied => Ok(None),
            Err(failure) => Err(failure),
        });
        let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Whether the role or group that a step acts on is not there; by the two look-ups
    /// that need no path.
    pub(crate) async fn is_gone(&self, step: &Step) -> bool {
        match step {
            Step::Detach { role, .. } => matches!(self.role(role).await, Ok(None)),
            Step::DeleteInlinePolicy { role, .. }
            | Step::DeleteRole { role }
            | Step::UntagRole { role, .. }
            | Step::DeleteBoundary { role } => matches!(self.role(role.as_str()).await, Ok(None)),
            Step::DeleteGroupPolicy { group, .. }
            | Step::AddUser { group, .. }
            | Step::RemoveUser { group, .. }
            | Step::DeleteGroup { group } => matches!(self.group(group.as_str()).await, Ok(None)),
            _ => false,
        }
    }

    /// The role alone: what is attached to it and in it is not read.
    pub async fn role(&self, name: &str) -> Result<Option<Role>, Failure> {
        let mut waits = SETTLE.iter();
        loop {
            let Some(answer) = found(self.client.get_role().role_name(name).send().await)? else { return Ok(None) };
            let Some(role) = answer.role else { return Ok(None) };
            if let Ok(arn) = role.arn.parse() {
                return Ok(Some(Role {
                    arn,
                    id: role.role_id,
                    trust: decoded(role.assume_role_policy_document.as_deref()),
                    max_session: role.max_session_duration.unwrap_or(3_600),
                    boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
                    tags: own_tags(role.tags.unwrap_or_default()),
                    proven: false,
                    attached: BTreeSet::new(),
                    inline: Vec::new(),
                    instance_profiles: Vec::new(),
                }));
            }
            // For a moment after its creation a role's ARN may be its id (U17).
            let Some(wait) = waits.next() else { return Err(unreadable("GetRole")) };
            tokio::time::sleep(*wait).await;
        }
    }

    async fn attached(&self, role: &str) -> Result<BTreeSet<String>, Failure> {
        let mut pages = self.client.list_attached_role_policies().role_name(role).into_paginator().send();
        let mut arns = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let Some(page) = found(page)? else { break };
            arns.extend(page.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn));
        }
        Ok(arns)
    }

    async fn inline(&self, role: &str) -> Result<Vec<String>, Failure> {
        let mut pages = self.client.list_role_policies().role_name(role).into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let Some(page) = found(page)? else { break };
            names.extend(page.policy_names);
        }
        Ok(names)
    }

    async fn profiles(&self, role: &str) -> Result<Vec<String>, Failure> {
        let mut pages = self.client.list_instance_profiles_for_role().role_name(role).into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let Some(page) = found(page)? else { break };
            names.extend(page.instance_profiles.into_iter().map(|profile| profile.instance_profile_name));
        }
        Ok(names)
    }
}

/// An adopted role, and its policies, stand where they were found, whatever path the
/// properties name.
fn here(place: &RolePlace, role: Option<&Role>, owner: &Owner) -> RolePlace {
    let path = role.filter(|role| owner.owns(&role.tags)).map_or(&place.path, |role| &role.arn.path);
    RolePlace { path: path.clone(), ..place.clone() }
}

/// `None` where IAM says that there is no such entity.
pub(super) fn found<T, E>(answer: Result<T, SdkError<E, Response>>) -> Result<Option<T>, Failure>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer.map_err(failure) {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.kind == Kind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// IAM hands documents out percent-encoded.
pub(super) fn decoded(document: Option<&str>) -> String {
    percent_decode_str(document.unwrap_or_default()).decode_utf8_lossy().into_owned()
}

pub(super) fn own_tags(tags: Vec<Tag>) -> Tags {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}
