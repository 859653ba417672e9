use sagemaker_external::policy::same;
use serde_json::json;

use super::*;

/// Golden: the group's inline policy is the recipe's, but for the Sid that says whose.
#[test]
fn golden_group_document_equals_the_recipes() {
    let home = Home::of("arn:aws:lambda:us-east-1:444455556666:function:provisioner").unwrap();
    let defaults =
        Defaults { path: "/sagemaker-external/".parse().unwrap(), boundary: None, adopt_arns: BTreeSet::new() };
    let properties = json!({"RoleArns": ["arn:aws:iam::111122223333:role/SageMakerExternal"]});
    let spec = GroupSpec::parse(properties.as_object().unwrap(), &home, &defaults).unwrap();
    let owner = Owner { stack_id: "stack".to_owned(), logical_id: "Group".to_owned() };
    let document = spec.document(&owner, None).to_json();
    println!("{document}");
    let wanted = r#"{
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::111122223333:role/SageMakerExternal"}
    }"#;
    let without_sid = document.replace(&format!("\"Sid\":\"{}\",", owner.sid()), "");
    assert_ne!(without_sid, document);
    assert!(same(&without_sid, wanted), "{document}");
}
