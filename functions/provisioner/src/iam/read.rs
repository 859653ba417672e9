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
use crate::pack::MOST_POLICIES;
use crate::role::RolePlace;
use crate::role_plan::{Policy, Role, RoleState};
use crate::step::{Step, Tags};

/// How many of them are looked up at once.
const AT_ONCE: usize = 5;

/// Which of a grant's numbered policies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Up to the first two in a row that are not there.
    Counted,
    /// Every one: after a replacement, and a removal that was cut off, any may be left.
    All,
}

impl Iam {
    /// Everything around one role: itself, the policies under our names and those
    /// attached, and which other roles are of the same owner. `also` names where
    /// an earlier wish put its policies.
    pub async fn role_state(
        &self,
        place: &RolePlace,
        also: Option<&RolePlace>,
        owner: &Owner,
        numbers: Numbers,
    ) -> Result<RoleState, Failure> {
        let (role, policies) = tokio::join!(self.role(place.name.as_str()), self.numbered(place, numbers));
        let (mut role, mut policies) = (role?, policies?);
        // An adopted role, and its policies, stand where they were found, whatever path
        // the properties name.
        let path = role.as_ref().filter(|role| owner.owns(&role.tags)).map_or(&place.path, |role| &role.arn.path);
        let here = RolePlace { path: path.clone(), ..place.clone() };
        let moved = (here.path != place.path).then(|| here.clone());
        let renamed = also
            .filter(|also| also.name == place.name && also.policy_name != place.policy_name)
            .map(|also| RolePlace { policy_name: also.policy_name.clone(), ..here.clone() });
        for place in moved.into_iter().chain(renamed) {
            policies.extend(self.numbered(&place, numbers).await?);
        }
        // A role at another path is nobody's business here, and may not be read further.
        let mut lost = None;
        if let Some(role) = role.as_mut().filter(|role| role.arn == here.role_arn()) {
            let name = place.name.as_str();
            let (attached, inline, profiles) =
                tokio::join!(self.attached(name), self.inline(name), self.profiles(name));
            match (attached, inline, profiles) {
                (Ok(attached), Ok(inline), Ok(profiles)) => {
                    (role.attached, role.inline, role.instance_profiles) = (attached, inline, profiles);
                }
                (Err(failure), _, _) | (_, Err(failure), _) | (_, _, Err(failure)) => lost = Some(failure),
            }
            // And those to be attached again where the role is given back.
            let detached = FoundRole::read(&role.tags).map(|found| found.detached).unwrap_or_default();
            for arn in role.attached.union(&detached).filter_map(|arn| arn.parse::<PolicyArn>().ok()) {
                if arn.account != place.account || policies.contains_key(&arn) {
                    continue;
                }
                match self.policy(&arn).await {
                    Ok(Some(policy)) => _ = policies.insert(arn, policy),
                    Ok(None) => {}
                    // Outside the provisioner's permissions: a stranger's, left alone.
                    Err(failure) if failure.kind == Kind::Denied => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        // Gone between two reads: as if it had not been there at the first.
        if let Some(failure) = lost {
            match self.role(place.name.as_str()).await? {
                None => role = None,
                Some(_) => return Err(failure),
            }
        }
        let (mut kin, mut unseen) = (BTreeSet::new(), BTreeSet::new());
        let sharing = policies.values().filter(|policy| owner.owns(&policy.tags)).flat_map(|policy| &policy.roles);
        for name in sharing.collect::<BTreeSet<_>>() {
            if name == place.name.as_str() {
                continue;
            }
            match self.role(name).await? {
                Some(role) if owner.owns(&role.tags) => _ = kin.insert(name.clone()),
                Some(_) => {}
                None => _ = unseen.insert(name.clone()),
            }
        }
        Ok(RoleState { role, policies, kin, unseen })
    }

    /// Whether the role or group that a step acts on is not there; by the two look-ups
    /// that need no path.
    pub(super) async fn is_gone(&self, step: &Step) -> bool {
        match step {
            Step::Detach { role, .. } => matches!(self.role(role).await, Ok(None)),
            Step::DeleteInlinePolicy { role, .. }
            | Step::DeleteRole { role }
            | Step::UntagRole { role, .. }
            | Step::DeleteBoundary { role } => matches!(self.role(role.as_str()).await, Ok(None)),
            Step::DeleteGroupPolicy { group, .. } | Step::RemoveUser { group, .. } | Step::DeleteGroup { group } => {
                matches!(self.group(group.as_str()).await, Ok(None))
            }
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

    /// Policies `NAME`, `NAME-2`, … that are there.
    async fn numbered(&self, place: &RolePlace, numbers: Numbers) -> Result<BTreeMap<PolicyArn, Policy>, Failure> {
        if numbers == Numbers::All {
            let arns: Vec<PolicyArn> = (0..MOST_POLICIES).map_while(|index| place.policy_arn(index)).collect();
            let reads = arns.into_iter().map(async |arn| Ok((self.policy(&arn).await?, arn)));
            let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
            return Ok(read.into_iter().filter_map(|(policy, arn)| Some((arn, policy?))).collect());
        }
        let mut policies = BTreeMap::new();
        let mut missing = 0;
        for arn in (0..).map_while(|index| place.policy_arn(index)) {
            match self.policy(&arn).await? {
                Some(policy) => {
                    policies.insert(arn, policy);
                    missing = 0;
                }
                // One may have gone with the role before a replacement.
                None if missing == 0 => missing = 1,
                None => break,
            }
        }
        Ok(policies)
    }

    async fn policy(&self, arn: &PolicyArn) -> Result<Option<Policy>, Failure> {
        let arn = arn.to_string();
        let Some(answer) = found(self.client.get_policy().policy_arn(&arn).send().await)? else { return Ok(None) };
        let Some(policy) = answer.policy else { return Ok(None) };
        let default_version = policy.default_version_id.unwrap_or_default();
        let get = self.client.get_policy_version().policy_arn(&arn).version_id(&default_version).send();
        let (document, versions, entities) = tokio::join!(get, self.versions(&arn), self.entities(&arn));
        // Gone between two reads: as if it had not been there at the first.
        let Some(document) = found(document)? else { return Ok(None) };
        let (roles, others) = entities?;
        Ok(Some(Policy {
            document: decoded(document.policy_version.and_then(|version| version.document).as_deref()),
            versions: versions?,
            default_version,
            tags: own_tags(policy.tags.unwrap_or_default()),
            roles,
            others,
        }))
    }

    /// Version ids `v1`, `v2`, …, oldest first.
    async fn versions(&self, arn: &str) -> Result<Vec<String>, Failure> {
        let mut pages = self.client.list_policy_versions().policy_arn(arn).into_paginator().send();
        let mut ids = Vec::new();
        while let Some(page) = pages.next().await {
            let Some(page) = found(page)? else { break };
            ids.extend(page.versions.unwrap_or_default().into_iter().filter_map(|version| version.version_id));
        }
        ids.sort_by_key(|id| id.trim_start_matches('v').parse::<u64>().unwrap_or(u64::MAX));
        Ok(ids)
    }

    /// The roles that a policy is attached to, and the users and groups.
    async fn entities(&self, arn: &str) -> Result<(BTreeSet<String>, BTreeSet<String>), Failure> {
        let mut pages = self.client.list_entities_for_policy().policy_arn(arn).into_paginator().send();
        let (mut roles, mut others) = (BTreeSet::new(), BTreeSet::new());
        while let Some(page) = pages.next().await {
            let Some(page) = found(page)? else { break };
            roles.extend(page.policy_roles.unwrap_or_default().into_iter().filter_map(|role| role.role_name));
            let users = page.policy_users.unwrap_or_default().into_iter().filter_map(|user| user.user_name);
            others.extend(users.map(|name| format!("user {name}")));
            let groups = page.policy_groups.unwrap_or_default().into_iter().filter_map(|group| group.group_name);
            others.extend(groups.map(|name| format!("group {name}")));
        }
        Ok((roles, others))
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

fn own_tags(tags: Vec<Tag>) -> Tags {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}
