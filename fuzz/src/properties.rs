//! The properties of the custom resources, and the documents that are written from
//! them: no input makes one that allows more than was asked for.

use std::collections::BTreeSet;

use provisioner::group::GroupSpec;
use provisioner::owner::Owner;
use provisioner::request::Home;
use provisioner::role::{Defaults, RoleSpec};
use provisioner::role_plan::{RoleState, converge};
use provisioner::step::Step;
use sagemaker_external::policy::{Document, Effect, PermissionStatement, TrustCondition, TrustStatement, quota};
use serde_json::{Map, Value};

use crate::arns::is_literal;
use crate::is_sentence;
use crate::untyped::object;

/// Of the example events.
const FUNCTION: &str =
    "arn:aws:lambda:us-east-1:111122223333:function:sagemaker-external-parent-ProvisionerFunction-Wq3nT8yKd0Lz";
const ACCOUNT: &str = "111122223333";

pub(crate) fn home() -> Home {
    Home::of(FUNCTION).expect("a function's ARN")
}

pub(crate) fn defaults() -> Defaults {
    Defaults {
        path: "/sagemaker-external/".parse().expect("a path"),
        boundary: "arn:aws:iam::111122223333:policy/boundary".parse().ok(),
        adopt_arns: BTreeSet::new(),
    }
}

fn owner() -> Owner {
    Owner {
        stack_id: "arn:aws:cloudformation:us-east-1:111122223333:stack/s/1".to_owned(),
        logical_id: "Role".to_owned(),
    }
}

pub(crate) fn role(data: &[u8]) {
    let Some(properties) = object(data) else { return };
    let spec = match RoleSpec::parse(&properties, &home(), &defaults()) {
        Ok(spec) => spec,
        Err(sentence) => {
            assert!(is_sentence(&sentence), "{sentence}");
            return external_id_is_hidden(&properties, &sentence);
        }
    };
    let asked = Asked::of(&properties);
    trusts(&spec, &asked);
    let all = spec.permissions(&spec.resources);
    permits(&all.to_json(), &asked);

    // And what IAM is told to make of it, from nothing.
    let Ok((steps, policies)) = converge(&spec, &owner(), &RoleState::default(), None) else { return };
    let mut named = BTreeSet::new();
    for step in &steps {
        match step {
            Step::CreatePolicy { policy, document, .. } => {
                assert!(policies.contains(policy));
                assert!(document.chars().filter(|c| !c.is_whitespace()).count() <= quota::MANAGED, "U24");
                named.extend(permits(document, &asked));
            }
            Step::PutPolicy { .. } => panic!("there was nothing to change"),
            _ => {}
        }
    }
    assert_eq!(named, spec.resources, "all that was asked for, and nothing else");
}

/// What the properties ask for, read a second time.
struct Asked {
    any_endpoint: bool,
    any_region: bool,
    several_regions: bool,
    operations: BTreeSet<String>,
}

impl Asked {
    fn of(properties: &Map<String, Value>) -> Self {
        let regions: BTreeSet<String> = listed(properties, "Regions").into_iter().collect();
        let names = [listed(properties, "EndpointNames"), listed(properties, "InferenceComponentNames")].concat();
        let allowed = matches!(properties.get("AllowAnyEndpoint"), Some(Value::Bool(true)))
            || properties.get("AllowAnyEndpoint").is_some_and(|flag| flag == "true");
        Self {
            any_endpoint: allowed && names.iter().any(|name| name == "*"),
            any_region: regions.contains("*"),
            several_regions: regions.len() > 1,
            operations: listed(properties, "Operations").into_iter().collect(),
        }
    }
}

fn listed(properties: &Map<String, Value>, key: &str) -> Vec<String> {
    let items = match properties.get(key) {
        Some(Value::Array(items)) => items.clone(),
        Some(other) => vec![other.clone()],
        None => Vec::new(),
    };
    let items = items.iter().filter_map(Value::as_str).map(|item| item.trim().to_owned());
    items.filter(|item| !item.is_empty()).collect()
}

/// S04: one statement with the ExternalId, roots, roles and users by name, and at most
/// one more, which says nothing alone.
fn trusts(spec: &RoleSpec, asked: &Asked) {
    let document = spec.trust.document();
    let json = document.to_json();
    assert!(document.size() <= quota::TRUST, "U25: {json}");
    let read: Document<TrustStatement> = serde_json::from_str(&json).expect("a trust reads back");
    assert_eq!(read, document);
    let [first, rest @ ..] = read.statements() else { panic!("no statement: {json}") };
    assert_eq!((first.effect, &first.action[..]), (Effect::Allow, &["sts:AssumeRole".to_owned()][..]));
    let Some(TrustCondition::ExternalId(condition)) = &first.condition else { panic!("S04: a condition: {json}") };
    assert_eq!(condition.string_equals.len(), 1);
    let id = condition.string_equals.get("sts:ExternalId").expect("S04: the ExternalId");
    assert!(id.len() >= 2 && !id.contains(['*', '?', '$']), "{json}");
    for statement in read.statements() {
        assert!(!statement.principal.aws.is_empty());
        for principal in &statement.principal.aws {
            let good = principal.ends_with(":root") || principal.contains(":role/") || principal.contains(":user/");
            assert!(good && is_literal(principal) && principal.starts_with("arn:aws:iam::"), "S04: {principal}");
        }
    }
    let more: Vec<_> = rest.iter().flat_map(|statement| &statement.action).collect();
    assert!(more.is_empty() || more == ["sts:SetSourceIdentity", "sts:TagSession"], "{json}");
    assert!(rest.iter().all(|statement| matches!(statement.condition, Some(TrustCondition::TagKeys(_)))), "{json}");
    // S08: names stay where the provisioner may act.
    let place = spec.place.role_arn().to_string();
    assert!(place.starts_with(&format!("arn:aws:iam::{ACCOUNT}:role/sagemaker-external/")) && is_literal(&place));
    assert!(spec.resources.iter().all(|resource| resource.contains(&format!(":{ACCOUNT}:"))) || asked.any_region);
}

/// S07: the resources of a document that names no more than was asked for.
fn permits(json: &str, asked: &Asked) -> BTreeSet<String> {
    let document: Document<PermissionStatement> = serde_json::from_str(json).expect("a document reads back");
    assert_eq!(document.to_json(), json);
    let [statement] = document.statements() else { panic!("one statement: {json}") };
    assert_eq!(statement.effect, Effect::Allow);
    for action in &statement.action {
        let operation = action.strip_prefix("sagemaker:").expect("SageMaker's");
        let known = ["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"];
        assert!(known.contains(&operation), "S07: {action}");
        let usual = asked.operations.is_empty() && operation != "InvokeEndpointAsync";
        assert!(usual || asked.operations.contains(operation), "{action} was not asked for");
    }
    for resource in &statement.resource {
        let fields: Vec<&str> = resource.split(':').collect();
        let ["arn", "aws", "sagemaker", region, ACCOUNT, entity] = fields[..] else { panic!("{resource}") };
        let (kind, name) = entity.split_once('/').expect("a kind and a name");
        assert!(["endpoint", "inference-component"].contains(&kind), "{resource}");
        assert!(is_literal(name) || (name == "*" && asked.any_endpoint), "S07: {resource}");
        let split = asked.several_regions && statement.condition.is_some();
        assert!(is_literal(region) || (region == "*" && (asked.any_region || split)), "S07: {resource}");
    }
    let regions = statement.condition.iter().flat_map(|condition| &condition.string_equals.regions);
    assert!(regions.into_iter().all(|region| is_literal(region)), "{json}");
    statement.resource.iter().cloned().collect()
}

/// S03: a refusal repeats no ExternalId that stands nowhere else.
fn external_id_is_hidden(properties: &Map<String, Value>, sentence: &str) {
    let Some(id) = properties.get("ExternalId").and_then(Value::as_str) else { return };
    let mut others = properties.clone();
    others.remove("ExternalId");
    let elsewhere = Value::Object(others).to_string().contains(id);
    // A short one, or one of our own words, may stand in a sentence by accident.
    let ours = id.len() < 12 || id == ACCOUNT || id.bytes().all(|b| b.is_ascii_alphabetic());
    assert!(ours || elsewhere || !sentence.contains(id), "S03: {sentence}");
}

pub(crate) fn group(data: &[u8]) {
    let Some(properties) = object(data) else { return };
    let spec = match GroupSpec::parse(&properties, &home(), &defaults()) {
        Ok(spec) => spec,
        Err(sentence) => return assert!(is_sentence(&sentence), "{sentence}"),
    };
    let document = spec.document(&owner(), None);
    assert!(document.size() <= quota::GROUP_INLINE, "U30");
    let json = document.to_json();
    let read: Document<PermissionStatement> = serde_json::from_str(&json).expect("a document reads back");
    assert_eq!(read, document);
    let given: BTreeSet<String> =
        [listed(&properties, "RoleArns"), listed(&properties, "ApiArns")].concat().into_iter().collect();
    let mut named = BTreeSet::new();
    for statement in read.statements() {
        assert_eq!((statement.effect, &statement.condition), (Effect::Allow, &None));
        assert!(
            statement.action == ["sts:AssumeRole"] || statement.action == ["execute-api:Invoke"],
            "S07: {:?}",
            statement.action
        );
        for resource in &statement.resource {
            let is_api = statement.action == ["execute-api:Invoke"];
            assert!(is_literal(resource) || is_api, "S07: {resource}");
            assert!(
                !is_api || resource.starts_with(&format!("arn:aws:execute-api:us-east-1:{ACCOUNT}:")),
                "{resource}"
            );
            named.insert(resource.clone());
        }
    }
    assert_eq!(named, given, "exactly what was asked for");
    let place = spec.place.group_arn().to_string();
    assert!(
        place.starts_with(&format!("arn:aws:iam::{ACCOUNT}:group/sagemaker-external/")) && is_literal(&place),
        "S10"
    );
    assert!(spec.place.users.iter().all(|user| is_literal(user.as_str()) && !user.as_str().contains('/')));
}
