//! The role's trust policy: the one form of trust that is ever written (S04). Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::{Account, AccountId, Partition, PrincipalArn};
use sagemaker_external::name::ExternalId;
use sagemaker_external::policy::{AwsPrincipal, Document, Effect, TrustCondition, TrustStatement, quota};

use crate::properties::Properties;
use crate::request::Home;

const EXTERNAL_ID_KEY: &str = "sts:ExternalId";

/// Who may assume the role: principals, always with the ExternalId (S04).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Account roots, roles and users, as ARNs; never empty.
    pub principals: BTreeSet<String>,
    pub external_id: ExternalId,
    /// Whether sessions may carry a source identity and tags.
    pub attribution: bool,
}

impl Trust {
    pub fn document(&self) -> Document<TrustStatement> {
        let principal = AwsPrincipal { aws: self.principals.iter().cloned().collect() };
        let external_id = BTreeMap::from([(EXTERNAL_ID_KEY.to_owned(), self.external_id.expose().to_owned())]);
        let mut statements = vec![TrustStatement {
            sid: None,
            effect: Effect::Allow,
            principal: principal.clone(),
            action: vec!["sts:AssumeRole".to_owned()],
            condition: Some(TrustCondition { string_equals: external_id }),
        }];
        if self.attribution {
            // These two say nothing without AssumeRole, whose statement has the
            // condition; STS does not offer them the ExternalId to compare.
            statements.push(TrustStatement {
                sid: Some("CallerAttribution".to_owned()),
                effect: Effect::Allow,
                principal,
                action: vec!["sts:SetSourceIdentity".to_owned(), "sts:TagSession".to_owned()],
                condition: None,
            });
        }
        Document::new(statements)
    }

    /// Reads a stored trust back, if it is exactly one of ours.
    pub fn from_document(json: &str) -> Option<Self> {
        let document: Document<TrustStatement> = serde_json::from_str(json).ok()?;
        let first = document.statements().first()?;
        let trust = Self {
            principals: first.principal.aws.iter().cloned().collect(),
            external_id: first.condition.as_ref()?.string_equals.get(EXTERNAL_ID_KEY)?.parse().ok()?,
            attribution: document.statements().len() == 2,
        };
        sagemaker_external::policy::same(&trust.document().to_json(), json).then_some(trust)
    }

    /// What both trusts allow, as a trust; `None` when that is nothing.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let principals: BTreeSet<String> = self.principals.intersection(&other.principals).cloned().collect();
        (self.external_id == other.external_id && !principals.is_empty()).then(|| Self {
            principals,
            external_id: self.external_id.clone(),
            attribution: self.attribution && other.attribution,
        })
    }
}

pub(crate) fn trust(p: &Properties<'_>, home: &Home) -> Result<Trust, String> {
    let mut principals = BTreeSet::new();
    for id in p.parsed_list::<AccountId>("TrustedAccountIds")? {
        if id == home.account.id {
            let instead = "a whole account of one's own is no trust; name its roles or users in TrustedPrincipalArns";
            return Err(format!("TrustedAccountIds: \"{id}\" is this account itself; {instead}"));
        }
        principals.insert(Account { partition: home.account.partition.clone(), id }.root_arn());
    }
    for arn in p.parsed_list::<PrincipalArn>("TrustedPrincipalArns")? {
        require_partition(&arn.to_string(), &home.account.partition)?;
        principals.insert(arn.to_string());
    }
    if principals.is_empty() {
        return Err("TrustedAccountIds: at least one account id here, or one ARN in TrustedPrincipalArns, is required"
            .to_owned());
    }
    let trust = Trust {
        principals,
        external_id: p.parsed_or("ExternalId", home.account.id.as_str())?,
        attribution: p.flag("CallerAttribution")?,
    };
    match trust.document().size() {
        size if size > quota::TRUST => Err(format!(
            "TrustedPrincipalArns: the trust policy would have {size} characters of IAM's {}; trust fewer principals, or whole accounts",
            quota::TRUST
        )),
        _ => Ok(trust),
    }
}

fn require_partition(arn: &str, partition: &Partition) -> Result<(), String> {
    match arn.split(':').nth(1) {
        Some(found) if found == partition.to_string() => Ok(()),
        _ => Err(format!("TrustedPrincipalArns: \"{arn}\" is in another partition; it must be in {partition}")),
    }
}
