//! The role's trust policy: the one form of trust that is ever written (S04). Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::{Account, AccountId, Partition, PrincipalArn};
use sagemaker_external::name::ExternalId;
use sagemaker_external::policy::{
    AwsPrincipal, Document, Effect, ExternalIdCondition, TagKeysCondition, TrustCondition, TrustStatement, quota,
};
use sagemaker_external::session_tag;

use crate::properties::Properties;
use crate::request::Home;

const EXTERNAL_ID_KEY: &str = "sts:ExternalId";
/// The `Sid` of the statement of [`naming`], and its ExternalId.
const NAMED: &str = "NotYetTrusted";

/// Who may assume the role: principals, always with the ExternalId (S04).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Account roots, roles and users, as ARNs; never empty.
    pub principals: BTreeSet<String>,
    pub external_id: ExternalId,
    pub attribution: Attribution,
}

/// What sessions may carry besides their name, from nothing to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribution {
    None,
    /// A source identity, and of tags those that the invoker sets.
    InvokersTags,
    /// A source identity, and any tags: what earlier releases wrote, and no wish asks for.
    AnyTags,
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
            condition: Some(TrustCondition::ExternalId(ExternalIdCondition { string_equals: external_id })),
        }];
        if self.attribution != Attribution::None {
            let keys = || session_tag::ALL.map(str::to_owned).to_vec();
            // These two say nothing without AssumeRole, whose statement has the
            // ExternalId; STS does not offer them that to compare. No tag but the
            // invoker's: a policy of the parent may go by tags of its own.
            statements.push(TrustStatement {
                sid: Some("CallerAttribution".to_owned()),
                effect: Effect::Allow,
                principal,
                action: vec!["sts:SetSourceIdentity".to_owned(), "sts:TagSession".to_owned()],
                condition: (self.attribution == Attribution::InvokersTags)
                    .then(|| TrustCondition::TagKeys(TagKeysCondition::new(keys()))),
            });
        }
        Document::new(statements)
    }

    /// Reads a stored trust back, if it is exactly one of ours, with or without a statement
    /// of [`naming`].
    pub fn from_document(json: &str) -> Option<Self> {
        let document: Document<TrustStatement> = serde_json::from_str(json).ok()?;
        let lets_in = document.statements().iter().filter(|statement| statement.sid.as_deref() != Some(NAMED));
        let document = Document::new(lets_in.cloned().collect::<Vec<_>>());
        let first = document.statements().first()?;
        let Some(TrustCondition::ExternalId(condition)) = &first.condition else { return None };
        let trust = Self {
            principals: first.principal.aws.iter().cloned().collect(),
            external_id: condition.string_equals.get(EXTERNAL_ID_KEY)?.parse().ok()?,
            attribution: match document.statements().get(1) {
                None => Attribution::None,
                Some(TrustStatement { condition: None, .. }) => Attribution::AnyTags,
                Some(_) => Attribution::InvokersTags,
            },
        };
        sagemaker_external::policy::same(&trust.document().to_json(), &document.to_json()).then_some(trust)
    }

    /// Without the unique ids that IAM shows of principals that are gone; `None` where nobody
    /// else is trusted.
    pub fn live(&self) -> Option<Self> {
        let ids = self.principals.iter().filter(|principal| !principal.starts_with("arn:"));
        self.without(&ids.cloned().collect())
    }

    /// Without these; `None` where nobody else is trusted.
    pub fn without(&self, gone: &BTreeSet<String>) -> Option<Self> {
        let principals: BTreeSet<String> = self.principals.difference(gone).cloned().collect();
        (!principals.is_empty()).then(|| Self { principals, ..self.clone() })
    }

    /// What both trusts allow, as a trust; `None` when that is nothing.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let principals: BTreeSet<String> = self.principals.intersection(&other.principals).cloned().collect();
        (self.external_id == other.external_id && !principals.is_empty()).then(|| Self {
            principals,
            external_id: self.external_id.clone(),
            attribution: self.attribution.min(other.attribution),
        })
    }
}

/// `trust`, or a trust of nobody, that also names `principals` without any effect: nobody
/// sends this ExternalId, and nothing would be allowed with it.
pub(crate) fn naming(trust: Option<&Trust>, principals: &BTreeSet<String>) -> Document<TrustStatement> {
    let named = TrustStatement {
        sid: Some(NAMED.to_owned()),
        effect: Effect::Deny,
        principal: AwsPrincipal { aws: principals.iter().cloned().collect() },
        action: vec!["sts:AssumeRole".to_owned()],
        condition: Some(TrustCondition::ExternalId(ExternalIdCondition {
            string_equals: BTreeMap::from([(EXTERNAL_ID_KEY.to_owned(), NAMED.to_owned())]),
        })),
    };
    let trust = trust.map(Trust::document);
    Document::new(trust.iter().flat_map(Document::statements).cloned().chain([named]).collect())
}

/// Nobody may assume the role, whatever else its policies say.
pub(crate) fn closed() -> Document<TrustStatement> {
    Document::new(vec![TrustStatement {
        sid: None,
        effect: Effect::Deny,
        principal: AwsPrincipal { aws: vec!["*".to_owned()] },
        action: vec!["sts:AssumeRole".to_owned()],
        condition: None,
    }])
}

/// Whom properties trust, as ARNs, whatever else of them is valid (C35).
pub(crate) fn traced(p: &Properties<'_>, home: &Home) -> BTreeSet<String> {
    let root = |id: AccountId| Account { partition: home.account.partition.clone(), id }.root_arn();
    let accounts = p.list("TrustedAccountIds").unwrap_or_default();
    let accounts = accounts.into_iter().filter_map(|id| id.parse().ok()).map(root);
    accounts.chain(p.list("TrustedPrincipalArns").unwrap_or_default()).collect()
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
        attribution: if p.flag("CallerAttribution")? { Attribution::InvokersTags } else { Attribution::None },
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
