//! What IAM holds of policies: their text, versions and holders; every list read to its
//! end (U35).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use sagemaker_external::arn::PolicyArn;
use sagemaker_external::failure::Failure;

use super::Iam;
use super::read::{AT_ONCE, Numbers, decoded, found, own_tags};
use crate::pack::MOST_POLICIES;
use crate::role::RolePlace;
use crate::role_plan::Policy;
use crate::step::Tags;

/// What GetPolicy says.
struct Head {
    default_version: String,
    tags: Tags,
}

impl Iam {
    /// Policies `NAME`, `NAME-2`, … that are there. While the next numbers are asked for,
    /// what was found is read.
    pub(super) async fn numbered(
        &self,
        place: &RolePlace,
        numbers: Numbers,
    ) -> Result<BTreeMap<PolicyArn, Policy>, Failure> {
        let mut policies = BTreeMap::new();
        let mut arns = (0..MOST_POLICIES).map_while(|index| place.policy_arn(index));
        let (mut missing, mut there) = (0, Vec::new());
        loop {
            let batch: Vec<PolicyArn> = arns.by_ref().take(numbers.batch(missing)).collect();
            if batch.is_empty() && there.is_empty() {
                return Ok(policies);
            }
            let (heads, bodies) = tokio::join!(self.heads(batch), self.bodies(std::mem::take(&mut there)));
            policies.extend(bodies?);
            for (arn, head) in heads? {
                missing = if head.is_some() { 0 } else { missing + 1 };
                there.extend(head.map(|head| (arn, head)));
            }
        }
    }

    async fn heads(&self, arns: Vec<PolicyArn>) -> Result<Vec<(PolicyArn, Option<Head>)>, Failure> {
        let reads = arns.into_iter().map(async |arn| self.head(&arn).await.map(|head| (arn, head)));
        try_join_all(reads).await
    }

    async fn bodies(&self, heads: Vec<(PolicyArn, Head)>) -> Result<Vec<(PolicyArn, Policy)>, Failure> {
        let reads = heads.into_iter().map(async |(arn, head)| {
            let policy = self.body(&arn, head).await?;
            Ok(policy.map(|policy| (arn, policy)))
        });
        let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    pub(super) async fn policy(&self, arn: &PolicyArn) -> Result<Option<Policy>, Failure> {
        match self.head(arn).await? {
            Some(head) => self.body(arn, head).await,
            None => Ok(None),
        }
    }

    async fn head(&self, arn: &PolicyArn) -> Result<Option<Head>, Failure> {
        let answer = found(self.client.get_policy().policy_arn(arn.to_string()).send().await)?;
        Ok(answer.and_then(|answer| answer.policy).map(|policy| Head {
            default_version: policy.default_version_id.unwrap_or_default(),
            tags: own_tags(policy.tags.unwrap_or_default()),
        }))
    }

    async fn body(&self, arn: &PolicyArn, Head { default_version, tags }: Head) -> Result<Option<Policy>, Failure> {
        let arn = arn.to_string();
        let get = self.client.get_policy_version().policy_arn(&arn).version_id(&default_version).send();
        let (document, versions, entities) = tokio::join!(get, self.versions(&arn), self.entities(&arn));
        // Gone between two reads: as if it had not been there at the first.
        let Some(document) = found(document)? else { return Ok(None) };
        let (roles, others) = entities?;
        Ok(Some(Policy {
            document: decoded(document.policy_version.and_then(|version| version.document).as_deref()),
            versions: versions?,
            default_version,
            tags,
            proven: false,
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
}
