use sagemaker_external::policy::same;
use serde_json::json;

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/SageMakerExternal";

fn owner() -> Owner {
    Owner { stack_id: "stack".to_owned(), logical_id: "Group".to_owned() }
}

fn document(properties: &Value) -> String {
    let home = Home::of("arn:aws:lambda:us-east-1:444455556666:function:provisioner").unwrap();
    let defaults =
        Defaults { path: "/sagemaker-external/".parse().unwrap(), boundary: None, adopt_arns: BTreeSet::new() };
    let spec = GroupSpec::parse(properties.as_object().unwrap(), &home, &defaults).unwrap();
    spec.document(&owner(), None).to_json()
}

/// Golden: the group's inline policy is the recipe's, but for the Sid that says whose.
#[test]
fn golden_group_document_equals_the_recipes() {
    let document = document(&json!({ "RoleArns": [ROLE] }));
    println!("{document}");
    let wanted = r#"{
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::111122223333:role/SageMakerExternal"}
    }"#;
    let without_sid = document.replace(&format!("\"Sid\":\"{}\",", owner().sid()), "");
    assert_ne!(without_sid, document);
    assert!(same(&without_sid, wanted), "{document}");
}

/// Golden: without `ApiArns`, absent or empty, byte for byte what groups have that were
/// made before the property was.
#[test]
fn golden_group_document_without_an_api() {
    let stored = r#"{"Version":"2012-10-17","Statement":[{"Sid":"SageMakerExternal4033b16532015ae233ad8a74030274aa","Effect":"Allow","Action":["sts:AssumeRole"],"Resource":["arn:aws:iam::111122223333:role/SageMakerExternal"]}]}"#;
    for properties in [json!({ "RoleArns": [ROLE] }), json!({"RoleArns": [ROLE], "ApiArns": [""]})] {
        assert_eq!(document(&properties), stored);
    }
}
