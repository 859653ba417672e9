//! `ApiArns` of the child's half: members may call the API's routes, and no others.

use serde_json::{Value, json};

use crate::iam::json as document;
use crate::stage::{Stage, create, delete, group, update, with, writes};

pub const INVOCATIONS: &str = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/v1/POST/endpoints/*/invocations";
const LIST: &str = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/v1/GET/endpoints";
const PUT: &str = "PutGroupPolicy AssumeSageMakerExternal";

fn calling(arns: &[&str]) -> Value {
    with(group(), json!({ "ApiArns": arns }))
}

/// The inline policy's statements.
fn statements(stage: &Stage) -> Value {
    document(&stage.iam.world().groups["sagemakertester"].inline["AssumeSageMakerExternal"])["Statement"].clone()
}

fn invoke_api(arns: &[&str]) -> Value {
    json!({"Sid": "InvokeApi", "Effect": "Allow", "Action": ["execute-api:Invoke"], "Resource": arns})
}

/// S07: a statement beside the recipe's, on exactly the routes that are named.
#[tokio::test(start_paused = true)]
async fn s07_members_may_call_exactly_the_named_routes() {
    let stage = Stage::new();
    stage.created(&create(&group())).await;
    let recipe = statements(&stage);
    assert_eq!(recipe.as_array().map(Vec::len), Some(1));
    let stage = Stage::new();
    stage.created(&create(&calling(&[INVOCATIONS, LIST, LIST]))).await;
    assert_eq!(statements(&stage), json!([recipe[0], invoke_api(&[LIST, INVOCATIONS])]));
}

/// C34: bad input is one sentence, before any call.
#[tokio::test(start_paused = true)]
async fn c34_bad_routes_fail_before_any_call() {
    let stage = Stage::new();
    let many: Vec<String> = (0..70).map(|n| format!("{LIST}/{n:02}")).collect();
    for (arns, wanted) in [
        (json!([LIST, "*"]), "ApiArns: \"*\" is not a valid API ARN: it must be of the form arn:aws:execute-api:"),
        (json!([LIST.replace("/v1/", "/*/")]), "where only a whole segment of PATH after the first may be *"),
        (json!([LIST.replace("/GET/endpoints", "/GET/*")]), "where only a whole segment of PATH after the first"),
        (
            json!([LIST.replace("111122223333", "444455556666")]),
            "444455556666:a1b2c3d4e5/v1/GET/endpoints is not an API of this account and region, \
             111122223333 and us-east-1",
        ),
        (json!([LIST.replace("arn:aws:", "arn:aws-cn:")]), "is not an API of this account"),
        (json!([LIST.replace("us-east-1", "eu-west-1")]), "is not an API of this account and region"),
        (json!(many), "RoleArns, ApiArns: the group's policy would have"),
        (json!({}), "ApiArns: it must be a list of strings"),
    ] {
        let (reason, id) = stage.fail(&create(&with(group(), json!({ "ApiArns": arns })))).await;
        assert!(reason.contains(wanted), "{arns}: {reason}");
        assert_eq!(id, "SageMakerExternal::CreateFailed");
        assert_eq!(stage.iam.take_calls(), [""; 0], "{arns}");
    }
}

/// C14, C19: routes come, change and go in place, by one write; an empty list is none.
#[tokio::test(start_paused = true)]
async fn c14_c19_routes_follow_the_wish_in_place() {
    let stage = Stage::new();
    let id = stage.created(&create(&group())).await;
    let recipe = statements(&stage);
    let mut old = group();
    for (new, wanted, write) in [
        (calling(&[INVOCATIONS]), json!([recipe[0], invoke_api(&[INVOCATIONS])]), true),
        (calling(&[INVOCATIONS, ""]), json!([recipe[0], invoke_api(&[INVOCATIONS])]), false),
        (calling(&[LIST]), json!([recipe[0], invoke_api(&[LIST])]), true),
        (calling(&[""]), recipe.clone(), true),
        (group(), recipe.clone(), false),
    ] {
        let answer = stage.succeed(&update(&id, &old, &new)).await;
        assert_eq!(answer["PhysicalResourceId"], id.as_str());
        let calls = stage.iam.take_calls();
        let expected: &[&str] = if write { &[PUT] } else { &[] };
        assert_eq!(writes(&calls), expected, "{new}");
        assert_eq!(statements(&stage), wanted);
        old = new;
    }
}

/// C18: a rollback that reads a policy which looks as wished already writes it all the same.
#[tokio::test(start_paused = true)]
async fn c18_a_stale_read_does_not_leave_the_wrong_routes() {
    let stage = Stage::new();
    let id = stage.created(&create(&group())).await;
    stage.succeed(&update(&id, &calling(&[LIST]), &group())).await;
    assert_eq!(writes(&stage.iam.take_calls()), [PUT]);
}

/// C38: what somebody changed by hand is set right, and the group stays ours.
#[tokio::test(start_paused = true)]
async fn c38_drifted_routes_are_set_right() {
    let stage = Stage::new();
    let wish = calling(&[LIST]);
    let id = stage.created(&create(&wish)).await;
    let good = statements(&stage);
    for wrong in [LIST.replace("/v1/GET/endpoints", "/*"), String::new()] {
        {
            let mut world = stage.iam.world();
            let stored = world.groups.get_mut("sagemakertester").unwrap();
            let text = stored.inline.get_mut("AssumeSageMakerExternal").unwrap();
            *text = text.replace(LIST, &wrong);
        }
        assert_ne!(statements(&stage), good);
        stage.succeed(&update(&id, &wish, &wish)).await;
        assert_eq!(writes(&stage.iam.take_calls()), [PUT]);
        assert_eq!(statements(&stage), good);
    }
    stage.succeed(&delete(&id, &wish)).await;
    assert!(stage.iam.world().groups.is_empty());
}

/// A dry run counts the change and makes none.
#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_the_routes() {
    let stage = Stage::new();
    let id = stage.created(&create(&group())).await;
    let before = statements(&stage);
    let dry = with(calling(&[LIST]), json!({"DryRun": "true"}));
    let answer = stage.succeed(&update(&id, &group(), &dry)).await;
    assert_eq!(answer["Data"]["Plan"], "create 0, change 1, remove 0");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert_eq!(statements(&stage), before);
}
