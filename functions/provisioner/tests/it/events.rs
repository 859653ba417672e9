//! Events as CloudFormation and Lambda really send them: again, late, through other
//! ways, and forged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::iam::{Fault, Group, Iam};
use crate::stage::{ACCOUNT, GROUP_ARN, ROLE_ARN, Stage, create, delete, group, role, settings, update, with, writes};

/// C23: CloudFormation re-uses the RequestId when a stack operation is tried again: the
/// event runs again, whatever was answered before.
#[tokio::test(start_paused = true)]
async fn c23_a_retry_with_the_same_request_id_runs_again() {
    let stage = Stage::new();
    let event = create(&role());
    stage.iam.fault("CreateRole", Fault::Refused(400, "ValidationError", "not yet"));
    stage.fail(&event).await;
    stage.iam.take_calls();
    stage.succeed(&event).await;
    assert_eq!(writes(&stage.iam.take_calls()).len(), 3, "nothing is answered from memory");

    let event = update(ROLE_ARN, &role(), &with(role(), json!({"EndpointNames": ["wine"]})));
    stage.iam.fault("CreatePolicyVersion", Fault::Refused(400, "ValidationError", "not yet"));
    stage.fail(&event).await;
    stage.succeed(&event).await;
    // Also after a success: someone has changed the role since.
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.clear();
    stage.iam.take_calls();
    stage.succeed(&event).await;
    // The wish differs from the one before, so its policy is written whatever a read says.
    assert_eq!(
        writes(&stage.iam.take_calls()),
        ["CreatePolicyVersion SageMakerExternalInvokeEndpoint", "AttachRolePolicy SageMakerExternal"]
    );
}

/// C24: a second Delete is a success; a Create that Lambda delivers after the Delete
/// makes the same entity under the same id, which the next Delete removes.
#[tokio::test(start_paused = true)]
async fn c24_late_duplicates_do_no_harm() {
    for (properties, arn) in [(role(), ROLE_ARN), (group(), GROUP_ARN)] {
        let stage = Stage::new();
        let id = stage.created(&create(&properties)).await;
        let made = count(&stage);
        for _ in 0..2 {
            let answer = stage.succeed(&delete(&id, &properties)).await;
            assert_eq!(answer["PhysicalResourceId"], arn);
        }
        stage.iam.take_calls();
        stage.succeed(&delete(&id, &properties)).await;
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
        assert_eq!(stage.created(&create(&properties)).await, arn, "C24: the same id, not another");
        assert_eq!(count(&stage), made);
        stage.succeed(&delete(&id, &properties)).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty() && world.groups.is_empty());
    }
}

/// C42: other types are refused in a sentence that names ours, without a call; a Delete
/// of such a type too, since nothing of ours can have been made by it.
#[tokio::test(start_paused = true)]
async fn c42_other_resource_types_are_refused() {
    let stage = Stage::new();
    for kind in
        ["Custom::SageMakerExternal", "AWS::CloudFormation::CustomResource", "custom::sagemakerexternalrole", ""]
    {
        for event in [create(&role()), update(ROLE_ARN, &role(), &role())] {
            let (reason, _) = stage.fail(&with(event, json!({ "ResourceType": kind }))).await;
            let ours = ["Role", "Group", "Grants"].map(|kind| format!("Custom::SageMakerExternal{kind}"));
            assert_eq!(reason, format!("Type: it must be {}, {} or {}", ours[0], ours[1], ours[2]));
        }
    }
    // A Delete too, unless it is the rollback of a Create that was refused for its type.
    let (reason, _) = stage.fail(&with(delete(ROLE_ARN, &role()), json!({"ResourceType": "Custom::Other"}))).await;
    assert!(reason.starts_with("Type: it must be"), "{reason}");
    assert_eq!(stage.iam.take_calls(), [""; 0]);
    // The type of a resource never changes: a group's event with a role's id is a group's.
    stage.created(&create(&role())).await;
    stage.succeed(&delete(ROLE_ARN, &group())).await;
    assert_eq!(stage.iam.world().roles.len(), 1);
}

/// C08, C09: a Create that was refused for its type, its token or its account can be rolled
/// back, though the Delete has the same fault; nothing else of such an event is believed.
#[tokio::test(start_paused = true)]
async fn c09_a_refused_event_can_be_rolled_back() {
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    for fault in [
        json!({"ResourceType": "Custom::SageMakerRole"}),
        json!({"ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:old"}),
        json!({"StackId": "arn:aws:cloudformation:us-east-1:999999999999:stack/x/1"}),
    ] {
        let (_, id) = stage.fail(&with(create(&role()), fault.clone())).await;
        assert_eq!(id, "SageMakerExternal::CreateFailed", "{fault}");
        let answer = stage.succeed(&with(delete(&id, &role()), fault.clone())).await;
        assert_eq!(answer["PhysicalResourceId"], id.as_str());
        stage.succeed(&with(delete("SageMakerExternal::DryRun", &role()), fault.clone())).await;
        for id in [ROLE_ARN, "SageMakerExternal::CreateInterrupted"] {
            stage.fail(&with(delete(id, &role()), fault.clone())).await;
        }
    }
    assert_eq!(stage.iam.take_calls(), [""; 0]);
}

/// C43: an event through SNS: no answer is possible, no call is made, nothing panics,
/// and the log says what to do.
#[tokio::test(start_paused = true)]
async fn c43_an_event_through_sns_is_refused() {
    captured::start();
    let stage = Stage::new();
    let message = create(&role()).to_string();
    stage.raw(&json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]})).await;
    assert_eq!(stage.answers(), [Value::Null; 0]);
    assert_eq!(stage.iam.take_calls(), [""; 0]);
    assert!(captured::text().contains("set ServiceToken to the function's ARN"), "{}", captured::text());
}

/// C44: a plain-http ResponseURL on the loopback is answered only where the function's
/// environment names its origin.
#[tokio::test(start_paused = true)]
async fn c44_loopback_needs_the_switch() {
    let event = with(
        create(&role()),
        json!({"ResponseURL": "http://127.0.0.1:4566/cloudformation_us-east-1/cfnresponse?stack=s"}),
    );
    let answered = async |origin: Option<&str>| {
        let origin = origin.map(|origin| ("RESPONSE_URL_ORIGIN", origin));
        let stage = Stage::with(settings(origin.as_slice()));
        stage.raw(&event).await;
        (stage.answers().len(), stage.iam.world().roles.len())
    };
    assert_eq!(answered(Some("http://127.0.0.1:4566")).await, (1, 1));
    for origin in
        [None, Some(""), Some("http://127.0.0.1"), Some("http://127.0.0.1:4567"), Some("http://localhost:4566")]
    {
        assert_eq!(answered(origin).await, (0, 0), "{origin:?}");
    }
}

/// U38: in another partition every ARN is of that partition.
#[tokio::test(start_paused = true)]
async fn u38_another_partition_is_named_throughout() {
    let boundary = "arn:aws-cn:iam::111122223333:policy/boundary";
    let adopted = "arn:aws-cn:iam::111122223333:group/sagemaker-external/HandMade";
    let stage = Stage::with(settings(&[("PERMISSIONS_BOUNDARY_ARN", boundary), ("ADOPT_ARNS", adopted)]));
    stage.iam.world().partition = "aws-cn".to_owned();
    let function = "arn:aws-cn:lambda:cn-north-1:111122223333:function:provisioner";
    let url =
        "https://cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn/key?X-Amz-Signature=x";
    let there = json!({"StackId": "arn:aws-cn:cloudformation:cn-north-1:111122223333:stack/parent/0f5a",
                       "ServiceToken": function, "ResponseURL": url});
    let properties = with(role(), json!({ "ServiceToken": function }));
    let group = with(group(), json!({"ServiceToken": function, "RoleArns": ["arn:aws-cn:iam::777788889999:role/R"]}));
    for (event, id) in [
        (create(&properties), "arn:aws-cn:iam::111122223333:role/sagemaker-external/SageMakerExternal"),
        (create(&group), "arn:aws-cn:iam::111122223333:group/sagemaker-external/SagemakerTester"),
    ] {
        stage.bucket.taken.lock().unwrap().clear();
        stage.raw_to(function, &with(event, there.clone())).await;
        let answers = stage.answers();
        assert_eq!(answers.len(), 1);
        assert_eq!((&answers[0]["Status"], &answers[0]["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(id)));
        assert!(!answers[0].to_string().replace("arn:aws-cn:", "").contains("arn:aws:"), "{}", answers[0]);
    }
    // What an adopted group was like is kept under a role that no account has, of the partition too.
    let by_hand = Group {
        name: "HandMade".to_owned(),
        path: "/sagemaker-external/".to_owned(),
        id: "AGPAHAND".to_owned(),
        users: BTreeSet::new(),
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
    };
    stage.iam.world().groups.insert("handmade".to_owned(), by_hand);
    let adopting = with(group, json!({"GroupName": "HandMade", "OnExisting": "Adopt"}));
    stage.bucket.taken.lock().unwrap().clear();
    stage.raw_to(function, &with(create(&adopting), there.clone())).await;
    assert_eq!(stage.answers()[0]["Status"], "SUCCESS", "{:?}", stage.answers());
    let kept = stage.iam.world().groups["handmade"].inline["AssumeSageMakerExternal"].clone();
    assert!(kept.contains("arn:aws-cn:iam::000000000000:role/nobody"), "{kept}");
    let world = stage.iam.world();
    let documents =
        [&world.roles["sagemakerexternal"].trust, &world.policies["sagemakerexternalinvokeendpoint"].versions[&1]];
    assert!(documents.iter().all(|text| text.contains("arn:aws-cn:") && !text.contains("arn:aws:")), "{documents:?}");
}

/// U38: IAM is one endpoint per partition, signed for one region, wherever the stack is.
#[tokio::test(start_paused = true)]
async fn u38_iam_is_global() {
    for (region, host, scope) in [
        ("us-east-1", "iam.amazonaws.com", "/us-east-1/iam/"),
        ("eu-west-1", "iam.amazonaws.com", "/us-east-1/iam/"),
        ("cn-northwest-1", "iam.cn-north-1.amazonaws.com.cn", "/cn-north-1/iam/"),
        ("us-gov-east-1", "iam.us-gov.amazonaws.com", "/us-gov-west-1/iam/"),
    ] {
        let iam = Iam::new(ACCOUNT);
        let config = iam.client().config().to_builder().region(aws_sdk_iam::config::Region::new(region)).build();
        let sent = aws_sdk_iam::Client::from_conf(config).get_role().role_name("r").send().await;
        assert!(sent.is_err_and(|error| error.into_service_error().is_no_such_entity_exception()));
        let (uri, authorization) = iam.world().last_request.clone();
        assert!(uri.starts_with(&format!("https://{host}/")), "{region}: {uri}");
        assert!(authorization.contains(scope), "{region}: {authorization}");
    }
}

fn count(stage: &Stage) -> (usize, usize) {
    let world = stage.iam.world();
    (world.roles.len(), world.groups.len())
}
