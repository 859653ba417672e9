//! What IAM holds around one group; every list read to its end (U35).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, TryStreamExt, stream};
use sagemaker_external::failure::Failure;

use super::read::{AT_ONCE, decoded, found};
use super::{Iam, unreadable};
use crate::group::GroupPlace;
use crate::group_plan::Group;

/// CloudFormation's longest ServiceTimeout: a group made before that is not of a
/// Create that still goes on.
const LONGEST_CREATE: Duration = Duration::from_secs(3_600);

impl Iam {
    pub async fn group_state(&self, place: &GroupPlace) -> Result<Option<Group>, Failure> {
        let name = place.name.as_str();
        let Some(mut group) = self.group(name).await? else { return Ok(None) };
        let (inline, attached) = tokio::join!(self.group_inline(name), self.group_attached(name));
        (group.inline, group.attached) = (inline?, attached?);
        Ok(Some(group))
    }

    /// The group and all its users: GetGroup pages them.
    pub(super) async fn group(&self, name: &str) -> Result<Option<Group>, Failure> {
        let mut pages = self.client.get_group().group_name(name).into_paginator().send();
        let mut read: Option<Group> = None;
        while let Some(page) = pages.next().await {
            let Some(page) = found(page)? else { return Ok(None) };
            let made = page.group.as_ref().and_then(|group| SystemTime::try_from(group.create_date).ok());
            let is_new = made.and_then(|made| made.elapsed().ok()).is_none_or(|age| age < LONGEST_CREATE);
            let Some(Ok(arn)) = page.group.map(|group| group.arn.parse()) else { return Err(unreadable("GetGroup")) };
            let users = page.users.into_iter().map(|user| user.user_name.into());
            let group = read.get_or_insert_with(|| Group {
                arn,
                users: BTreeSet::new(),
                inline: BTreeMap::new(),
                attached: BTreeSet::new(),
                is_new,
                proven: None,
            });
            group.users.extend(users);
        }
        Ok(read)
    }

    async fn group_inline(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        let mut pages = self.client.list_group_policies().group_name(name).into_paginator().send();
        let mut policies = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let Some(page) = found(page)? else { break };
            let reads = page.policy_names.into_iter().map(async |policy| {
                let get = self.client.get_group_policy().group_name(name).policy_name(&policy).send();
                Ok(found(get.await)?.map(|answer| (policy, decoded(Some(&answer.policy_document)))))
            });
            let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
            policies.extend(read.into_iter().flatten());
        }
        Ok(policies)
    }

    async fn group_attached(&self, name: &str) -> Result<BTreeSet<String>, Failure> {
        let mut pages = self.client.list_attached_group_policies().group_name(name).into_paginator().send();
        let mut arns = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let Some(page) = found(page)? else { break };
            arns.extend(page.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn));
        }
        Ok(arns)
    }
}
