//! The session policy: of all that the parent's role may do, one operation on one
//! endpoint.

use sagemaker_external::arn::{endpoint_arns, inference_component_arns};
use sagemaker_external::name::{EndpointName, InferenceComponentName};
use sagemaker_external::policy::allow;

use crate::grants::Grant;
use crate::operation::Operation;

/// The policy as JSON, made by the serialiser (R10): the operation's actions on
/// exactly this endpoint in the parent's account, and on the inference component
/// when the request names one (R11), both as given and in lower case, as SageMaker
/// spells some of its ARNs.
///
/// Far below STS's 2,048 characters whatever the names: a property test holds it.
pub fn policy(
    grant: &Grant,
    operation: Operation,
    endpoint: &EndpointName,
    component: Option<&InferenceComponentName>,
) -> String {
    let (account, region) = (&grant.role.account, grant.region.as_str());
    let components = component.into_iter().flat_map(|name| inference_component_arns(account, region, name));
    let resources = endpoint_arns(account, region, endpoint).chain(components).collect();
    let actions = operation.actions().iter().map(|action| (*action).to_owned()).collect();
    allow(None, actions, resources).to_json()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::Grants;
    use proptest::prelude::*;
    use sagemaker_external::policy::quota;

    fn policy_for(
        operation: Operation,
        endpoint: &str,
        component: Option<&str>,
        partition: &str,
        region: &str,
    ) -> String {
        let grants = format!(
            r#"[{{"RoleArn":"arn:{partition}:iam::111122223333:role/SageMakerExternal","EndpointNames":"{endpoint}"}}]"#
        );
        let grants = Grants::parse(Some(&grants), region).expect("good");
        let endpoint = endpoint.parse().expect("a name");
        let component = component.map(|name| name.parse().expect("a name"));
        policy(grants.find(&endpoint).expect("granted"), operation, &endpoint, component.as_ref())
    }

    /// The golden document; `cargo test -- --nocapture golden` prints it.
    #[test]
    fn r10_golden_session_policy() {
        let policy = policy_for(Operation::InvokeEndpoint, "iris", None, "aws", "us-east-1");
        println!("session policy: {policy}");
        assert_eq!(
            policy,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sagemaker:InvokeEndpoint"],"Resource":["arn:aws:sagemaker:us-east-1:111122223333:endpoint/iris"]}]}"#
        );
    }

    #[test]
    fn r12_each_operation_is_allowed_what_it_needs_and_no_more() {
        for (operation, actions) in [
            (Operation::InvokeEndpoint, &["sagemaker:InvokeEndpoint"][..]),
            (
                Operation::InvokeEndpointWithResponseStream,
                &["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            ),
            (Operation::InvokeEndpointAsync, &["sagemaker:InvokeEndpointAsync"]),
        ] {
            let policy = policy_for(operation, "iris", None, "aws", "us-east-1");
            let policy: serde_json::Value = serde_json::from_str(&policy).expect("JSON");
            assert_eq!(policy["Statement"].as_array().map(Vec::len), Some(1));
            assert_eq!(policy["Statement"][0]["Action"], serde_json::json!(actions));
        }
    }

    #[test]
    fn r11_an_inference_component_and_both_spellings_are_named() {
        let policy = policy_for(Operation::InvokeEndpoint, "Iris", Some("Comp-1"), "aws-us-gov", "us-gov-west-1");
        let policy: serde_json::Value = serde_json::from_str(&policy).expect("JSON");
        assert_eq!(
            policy["Statement"][0]["Resource"],
            serde_json::json!([
                "arn:aws-us-gov:sagemaker:us-gov-west-1:111122223333:endpoint/Iris",
                "arn:aws-us-gov:sagemaker:us-gov-west-1:111122223333:endpoint/iris",
                "arn:aws-us-gov:sagemaker:us-gov-west-1:111122223333:inference-component/Comp-1",
                "arn:aws-us-gov:sagemaker:us-gov-west-1:111122223333:inference-component/comp-1",
            ])
        );
    }

    proptest! {
        #[test]
        fn r10_no_names_make_it_too_long_or_wider(
            endpoint in "[a-zA-Z0-9](-{0,2}[a-zA-Z0-9]){0,20}",
            component in "[A-Z]{63}",
            partition in "aws(-[a-z]{16})?",
            region in "[a-z]{14}-[a-z]{14}-[0-9]",
        ) {
            for operation in Operation::ALL {
                let policy = policy_for(operation, &endpoint, Some(&component), &partition, &region);
                prop_assert!(policy.chars().count() <= quota::SESSION);
                prop_assert!(!policy.contains(['*', '?', '$']));
            }
        }
    }
}
