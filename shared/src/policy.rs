//! Policy documents as types: a trust statement and a permission statement are
//! different structs, so a `Resource` in a trust or a `Principal` in an identity
//! policy does not compile, and no document is ever built from string templates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The one policy language version that knows policy variables and is current.
const VERSION: &str = "2012-10-17";

/// The size quotas of IAM and STS in characters; IAM does not count white space.
pub mod quota {
    /// A role's trust policy, the default quota (case U25).
    pub const TRUST: usize = 2_048;
    /// A customer managed policy.
    pub const MANAGED: usize = 6_144;
    /// All inline policies of a group together.
    pub const GROUP_INLINE: usize = 5_120;
    /// A session policy passed to AssumeRole, in plain text (case R10).
    pub const SESSION: usize = 2_048;
}

/// A policy document of IAM's version 2012-10-17, with statements of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Document<S> {
    version: String,
    #[serde(deserialize_with = "one_or_many", bound(deserialize = "S: Deserialize<'de>"))]
    statement: Vec<S>,
}

impl<S: Serialize> Document<S> {
    /// Of these statements.
    pub fn new(statement: Vec<S>) -> Self {
        Self { version: VERSION.to_owned(), statement }
    }

    /// Compact JSON, as sent to IAM.
    pub fn to_json(&self) -> String {
        // Strings, lists and maps with string keys: serialising these cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What IAM counts against a quota.
    pub fn size(&self) -> usize {
        self.to_json().chars().filter(|c| !c.is_whitespace()).count()
    }
}

impl<S> Document<S> {
    /// The statements in their order.
    pub fn statements(&self) -> &[S] {
        &self.statement
    }
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Allows its actions.
    Allow,
    /// Nothing of it is allowed, whatever else allows it.
    Deny,
}

/// Who may assume a role, and under which conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TrustStatement {
    /// Its name: letters and digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// For whom.
    pub principal: AwsPrincipal,
    /// Actions, such as `sts:AssumeRole`.
    #[serde(deserialize_with = "one_or_many")]
    pub action: Vec<String>,
    /// When; absent, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<TrustCondition>,
}

/// Principals of AWS: ARNs, or ids of what is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsPrincipal {
    /// One at least.
    #[serde(rename = "AWS", deserialize_with = "one_or_many")]
    pub aws: Vec<String>,
}

/// When a statement of a trust of ours holds: never `…IfExists` (case S04), which a request
/// without the key would pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TrustCondition {
    /// Of the statement that lets a principal in.
    ExternalId(ExternalIdCondition),
    /// Of a statement that says what a session carries, and lets nobody in by itself.
    TagKeys(TagKeysCondition),
}

/// Values that a request must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalIdCondition {
    /// Condition keys and their values.
    #[serde(rename = "StringEquals")]
    pub string_equals: BTreeMap<String, String>,
}

/// The session tags that a request may set. A request that sets none passes, as it must:
/// `ForAllValues` holds where the key is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagKeysCondition {
    /// The key and its values.
    #[serde(rename = "ForAllValues:StringEquals")]
    pub each_equals: TagKeys,
}

/// Keys of a request's tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagKeys {
    /// One at least.
    #[serde(rename = "aws:TagKeys", deserialize_with = "one_or_many")]
    pub keys: Vec<String>,
}

impl TagKeysCondition {
    /// For requests that set no other tags than these.
    pub fn new(keys: Vec<String>) -> Self {
        Self { each_equals: TagKeys { keys } }
    }
}

/// What an identity may do, on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PermissionStatement {
    /// Its name: letters and digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// Actions, such as `sagemaker:InvokeEndpoint`.
    #[serde(deserialize_with = "one_or_many")]
    pub action: Vec<String>,
    /// ARNs of resources.
    #[serde(deserialize_with = "one_or_many")]
    pub resource: Vec<String>,
    /// When; absent, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<RegionCondition>,
}

/// The only condition of a permission of ours: the region of the request, for
/// resources that name none (`aws:RequestedRegion`, one of IAM's global keys).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionCondition {
    /// The key and its values.
    #[serde(rename = "StringEquals")]
    pub string_equals: RequestedRegion,
}

/// Regions of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedRegion {
    /// One at least.
    #[serde(rename = "aws:RequestedRegion", deserialize_with = "one_or_many")]
    pub regions: Vec<String>,
}

impl RegionCondition {
    /// For requests to these regions.
    pub fn new(regions: Vec<String>) -> Self {
        Self { string_equals: RequestedRegion { regions } }
    }
}

/// One statement that allows `actions` on `resources`.
pub fn allow(sid: Option<String>, actions: Vec<String>, resources: Vec<String>) -> Document<PermissionStatement> {
    Document::new(vec![PermissionStatement {
        sid,
        effect: Effect::Allow,
        action: actions,
        resource: resources,
        condition: None,
    }])
}

/// Whether two documents say the same (case U06): order, repetition and the
/// choice between one value and a list of one mean nothing to IAM.
pub fn same(a: &str, b: &str) -> bool {
    match (serde_json::from_str::<Value>(a), serde_json::from_str::<Value>(b)) {
        (Ok(a), Ok(b)) => normal(a) == normal(b),
        _ => false,
    }
}

/// Every list becomes sorted and free of repetition, every single value a list.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(members) => members.into_iter().map(|(key, member)| (key, listed(member))).collect(),
        other => other,
    }
}

fn listed(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let sorted: BTreeMap<String, Value> =
                items.into_iter().map(normal).map(|item| (item.to_string(), item)).collect();
            sorted.into_values().collect()
        }
        object @ Value::Object(_) => Value::Array(vec![normal(object)]),
        scalar => Value::Array(vec![scalar]),
    }
}

/// IAM stores what it was given: `"x"` and `["x"]` are the same to it.
fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        Many(Vec<T>),
        One(T),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(items) => items,
        OneOrMany::One(item) => vec![item],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// U06: what means the same is the same, what does not is not.
    #[test]
    fn u06_documents_are_compared_by_meaning() {
        let a = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:B","Resource":["y","x","x"]}}"#;
        let b =
            r#"{ "Statement": [{"Resource":["x","y"],"Action":["a:B"],"Effect":"Allow"}], "Version":"2012-10-17" }"#;
        assert!(same(a, b));
        for changed in
            [b.replace("a:B", "a:C"), b.replace("\"y\"", "\"z\""), b.replace("Allow", "Deny"), "{".to_owned()]
        {
            assert!(!same(a, &changed), "{changed}");
        }
    }

    #[test]
    fn a_document_reads_back_from_either_spelling() {
        let one = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:B","Resource":"x"}}"#;
        let many = allow(None, vec!["a:B".to_owned()], vec!["x".to_owned()]);
        assert_eq!(serde_json::from_str::<Document<PermissionStatement>>(one).ok(), Some(many.clone()));
        assert_eq!(serde_json::from_str::<Document<PermissionStatement>>(&many.to_json()).ok(), Some(many));
    }

    #[test]
    fn a_trust_that_holds_more_than_ours_is_not_read_as_ours() {
        let foreign = r#"{"Version":"2012-10-17","Statement":[{"Sid":"X","Effect":"Allow","Principal":{"AWS":"a","Service":"s"},"Action":"sts:AssumeRole"}]}"#;
        assert!(serde_json::from_str::<Document<TrustStatement>>(foreign).is_err());
    }

    #[test]
    fn size_counts_no_white_space() {
        let document = allow(None, vec!["a:B".to_owned()], vec!["x y".to_owned()]);
        assert_eq!(document.size(), document.to_json().len() - 1);
    }
}
