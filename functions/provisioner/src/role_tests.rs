use std::collections::BTreeSet;

use sagemaker_external::policy::{TrustCondition, TrustStatement, same};
use serde_json::{Value, json};

use super::*;
use crate::trust::Attribution;

fn home() -> Home {
    Home::of("arn:aws:lambda:us-east-1:111122223333:function:provisioner").unwrap()
}

fn spec(properties: Value) -> Result<RoleSpec, String> {
    let boundary = "arn:aws:iam::111122223333:policy/boundary".parse().unwrap();
    let defaults = Defaults {
        path: "/sagemaker-external/".parse().unwrap(),
        boundary: Some(boundary),
        adopt_arns: BTreeSet::new(),
    };
    RoleSpec::parse(properties.as_object().unwrap(), &home(), &defaults)
}

/// The recipe's own values, as the console's steps have them.
fn recipe() -> RoleSpec {
    spec(json!({
        "EndpointNames": ["my-endpoint"], "TrustedAccountIds": ["444455556666"],
        "Operations": ["InvokeEndpoint"], "Regions": ["*"],
    }))
    .unwrap()
}

/// Golden: the permission policy is the recipe's.
#[test]
fn golden_permission_document_equals_the_recipes() {
    let recipe = recipe();
    let document = recipe.permissions(&recipe.resources).to_json();
    println!("{document}");
    let wanted = r#"{
        "Version": "2012-10-17",
        "Statement": [{
            "Action": ["sagemaker:InvokeEndpoint"],
            "Effect": "Allow",
            "Resource": "arn:aws:sagemaker:*:111122223333:endpoint/my-endpoint"
        }]
    }"#;
    assert!(same(&document, wanted), "{document}");
    assert_eq!(
        document,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sagemaker:InvokeEndpoint"],"Resource":["arn:aws:sagemaker:*:111122223333:endpoint/my-endpoint"]}]}"#
    );
}

/// Golden: the trust is the console's "Another AWS account" with the external id
/// that the recipe's client sends.
#[test]
fn golden_trust_document_equals_the_recipes() {
    let document = recipe().trust.document().to_json();
    println!("{document}");
    let wanted = r#"{
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "111122223333"}}
        }]
    }"#;
    assert!(same(&document, wanted), "{document}");
}

/// S04: whoever is trusted, the ExternalId is asked for and nothing is a wildcard.
#[test]
fn s04_trust_always_asks_for_the_external_id() {
    for attribution in ["true", "false"] {
        let spec = spec(json!({
            "EndpointNames": ["e"], "TrustedAccountIds": ["444455556666"], "CallerAttribution": attribution,
            "TrustedPrincipalArns": ["arn:aws:iam::777788889999:user/u"],
        }));
        let document = spec.unwrap().trust.document();
        let assume = document.statements().iter().find(|s| s.action.iter().any(|a| a == "sts:AssumeRole")).unwrap();
        assert_eq!(assume.action, ["sts:AssumeRole"]);
        assert_eq!(external_id(assume), Some("111122223333"));
        let json = document.to_json();
        assert!(!json.contains('*') && !json.contains("IfExists"), "{json}");
        // A set operator is true where the key is absent: only what says nothing alone has one.
        assert!(!serde_json::to_string(assume).unwrap().contains("ForAllValues"), "{json}");
    }
}

fn external_id(statement: &TrustStatement) -> Option<&str> {
    match statement.condition.as_ref()? {
        TrustCondition::ExternalId(condition) => condition.string_equals.get("sts:ExternalId").map(String::as_str),
        TrustCondition::TagKeys(_) => None,
    }
}

fn attributed() -> Trust {
    let properties =
        json!({"EndpointNames": ["e"], "TrustedAccountIds": ["444455556666"], "CallerAttribution": "true"});
    spec(properties).unwrap().trust
}

/// The trust of releases that let sessions carry any tag.
const ANY_TAG: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::444455556666:root"]},"Action":["sts:AssumeRole"],"Condition":{"StringEquals":{"sts:ExternalId":"111122223333"}}},{"Sid":"CallerAttribution","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::444455556666:root"]},"Action":["sts:SetSourceIdentity","sts:TagSession"]}]}"#;

/// Golden: sessions carry the invoker's tags and no others, which a policy of the parent
/// could take for its own.
#[test]
fn golden_attribution_admits_the_invokers_tags_alone() {
    let wanted = ANY_TAG.replace(
        r#""sts:TagSession"]}"#,
        r#""sts:TagSession"],"Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["ApiId","ApiKeyId","Caller","RequestId"]}}}"#,
    );
    assert_eq!(attributed().document().to_json(), wanted);
}

/// What an earlier release wrote is ours, and is more than what is written now.
#[test]
fn a_stored_trust_of_any_tag_reads_back() {
    let old = Trust::from_document(ANY_TAG).unwrap();
    assert_eq!(old.document().to_json(), ANY_TAG);
    assert_ne!(old, attributed());
    assert_eq!((old.meet(&attributed()), attributed().meet(&old)), (Some(attributed()), Some(attributed())));
    assert_eq!(Trust::from_document(&attributed().document().to_json()), Some(attributed()));
    for wider in
        ["StringEquals", "ForAnyValue:StringEquals", "ForAllValues:StringLike", "ForAllValues:StringEqualsIfExists"]
    {
        let json = attributed().document().to_json().replace("ForAllValues:StringEquals", wider);
        assert_eq!(Trust::from_document(&json), None, "{json}");
    }
    let json = attributed().document().to_json().replace(r#""ApiId","#, r#""ApiId","Team","#);
    assert_eq!(Trust::from_document(&json), None, "{json}");
}

/// A stored trust of ours reads back; one that says more does not.
#[test]
fn trust_reads_back_only_what_is_ours() {
    let trust = recipe().trust;
    let json = trust.document().to_json();
    assert_eq!(Trust::from_document(&json).as_ref(), Some(&trust));
    assert_eq!(Trust::from_document(&json.replace("sts:AssumeRole", "sts:*")), None);
    assert_eq!(
        Trust::from_document(&json.replace(r#","Condition":{"StringEquals":{"sts:ExternalId":"111122223333"}}"#, "")),
        None
    );
    assert_eq!(Trust::from_document("{}"), None);
}

#[test]
fn trusts_meet_in_what_both_allow() {
    let trust = |principals: &[&str], external_id: &str| Trust {
        principals: principals.iter().map(|&p| p.to_owned()).collect(),
        external_id: external_id.parse().unwrap(),
        attribution: Attribution::None,
    };
    let meet = trust(&["a", "b"], "xx").meet(&trust(&["b", "c"], "xx"));
    assert_eq!(meet, Some(trust(&["b"], "xx")));
    assert_eq!(trust(&["a"], "xx").meet(&trust(&["b"], "xx")), None);
    assert_eq!(trust(&["a"], "xx").meet(&trust(&["a"], "yy")), None);
}

/// U38: another partition's ARNs.
#[test]
fn u38_partitions_are_the_accounts_own() {
    let home = Home::of("arn:aws-cn:lambda:cn-north-1:111122223333:function:p").unwrap();
    let boundary = "arn:aws-cn:iam::111122223333:policy/b".parse().ok();
    let defaults = Defaults { path: "/x/".parse().unwrap(), boundary, adopt_arns: BTreeSet::new() };
    let properties = json!({"EndpointNames": ["e"], "TrustedAccountIds": ["444455556666"]});
    let spec = RoleSpec::parse(properties.as_object().unwrap(), &home, &defaults).unwrap();
    assert_eq!(spec.trust.principals, BTreeSet::from(["arn:aws-cn:iam::444455556666:root".to_owned()]));
    assert_eq!(spec.endpoint_arns, ["arn:aws-cn:sagemaker:cn-north-1:111122223333:endpoint/e"]);
}

/// SageMaker lower-cases some of its own ARNs.
#[test]
fn names_with_capitals_are_granted_in_both_spellings() {
    let spec = spec(json!({"EndpointNames": ["MyEndpoint"], "TrustedAccountIds": ["444455556666"]})).unwrap();
    assert_eq!(
        spec.endpoint_arns,
        [
            "arn:aws:sagemaker:us-east-1:111122223333:endpoint/MyEndpoint",
            "arn:aws:sagemaker:us-east-1:111122223333:endpoint/myendpoint"
        ]
    );
}

/// A grant does not grow with its regions: they stand in a condition. One region, or all,
/// stand in the ARNs.
#[test]
fn several_regions_stand_in_a_condition() {
    let of = |regions: &[&str]| {
        let properties = json!({"EndpointNames": ["e"], "InferenceComponentNames": ["c"],
            "TrustedAccountIds": ["444455556666"], "Operations": ["InvokeEndpoint"], "Regions": regions});
        spec(properties).unwrap()
    };
    let document = |spec: &RoleSpec| spec.permissions(&spec.resources).to_json();
    let arn = |region: &str, rest: &str| format!("arn:aws:sagemaker:{region}:111122223333:{rest}");
    let several = of(&["us-west-2", "eu-west-1", "us-west-2"]);
    assert_eq!(
        document(&several),
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sagemaker:InvokeEndpoint"],"Resource":["arn:aws:sagemaker:*:111122223333:endpoint/e","arn:aws:sagemaker:*:111122223333:inference-component/c"],"Condition":{"StringEquals":{"aws:RequestedRegion":["eu-west-1","us-west-2"]}}}]}"#
    );
    assert_eq!(several.endpoint_arns, [arn("eu-west-1", "endpoint/e"), arn("us-west-2", "endpoint/e")]);
    for (one, region) in [(of(&[]), "us-east-1"), (of(&["eu-west-1", "eu-west-1"]), "eu-west-1"), (of(&["*"]), "*")] {
        let resources = BTreeSet::from([arn(region, "endpoint/e"), arn(region, "inference-component/c")]);
        assert_eq!(one.resources, resources);
        assert!(!document(&one).contains("Condition"));
    }
    assert!(!document(&of(&["*", "eu-west-1"])).contains("Condition"), "every region is every region");
}
