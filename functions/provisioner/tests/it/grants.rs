//! `Custom::SageMakerExternalGrants`: the invoker's setting, checked without IAM.

use serde_json::{Value, json};

use crate::stage::{FUNCTION, Stage, create, delete, update, with};

const ID: &str = "SageMakerExternal::Grants";
const FIRST: &str = "arn:aws:iam::555566667777:role/sagemaker-external/SageMakerExternal";
const SECOND: &str = "arn:aws:iam::777788889999:role/sagemaker-external/SageMakerExternal";

fn grants(text: &str) -> Value {
    json!({"ServiceToken": FUNCTION, "ServiceTimeout": "300", "Grants": text})
}

fn grant(role: &str, endpoint: &str) -> Value {
    json!({"RoleArn": role, "ExternalId": "canary-id", "EndpointNames": [endpoint]})
}

/// The good setting: one role twice, not in the order of its name.
fn good() -> Value {
    grants(&json!([grant(SECOND, "a"), grant(FIRST, "b"), grant(SECOND, "c-*")]).to_string())
}

/// C01, S03: each role once and sorted; the answer and the log have no ExternalId, and
/// IAM is never asked, in a whole life.
#[tokio::test(start_paused = true)]
async fn c01_s03_the_roles_are_told_and_iam_is_never_asked() {
    captured::start();
    let stage = Stage::new();
    let other = grants(&json!([grant(FIRST, "b")]).to_string());
    for (event, roles) in [
        (create(&good()), format!("{FIRST},{SECOND}")),
        (update(ID, &good(), &other), FIRST.to_owned()),
        (update(ID, &other, &good()), format!("{FIRST},{SECOND}")),
    ] {
        let answer = stage.succeed(&event).await;
        assert_eq!((&answer["PhysicalResourceId"], &answer["Data"]), (&json!(ID), &json!({ "RoleArns": roles })));
        assert!(!answer.to_string().contains("canary"), "{answer}");
    }
    assert_eq!(stage.succeed(&delete(ID, &good())).await["PhysicalResourceId"], ID);
    assert_eq!(stage.iam.take_calls(), [""; 0]);
    let log = captured::text();
    assert!(log.contains(ID), "the log was captured: {log}");
    assert!(!log.contains("canary"), "{log}");
}

/// C17, S03: what the invoker could not use fails the deployment in one sentence; an
/// Update keeps its id, and so nothing is taken for replaced.
#[tokio::test(start_paused = true)]
async fn c17_s03_wrong_grants_are_refused_in_a_sentence() {
    captured::start();
    let stage = Stage::new();
    let twice = json!([grant(FIRST, "a"), grant(SECOND, "a")]).to_string();
    let unknown = json!([with(grant(FIRST, "a"), json!({"ExternalID": "canary-id"}))]).to_string();
    for (wrong, says) in [
        (grants(""), "Grants: it is required, a JSON list such as [{"),
        (with(grants(""), json!({"Grants": good()["Grants"], "DryRun": "true"})), "DryRun: there is no such property"),
        (with(good(), json!({"Grant": "canary-id"})), "Grant: there is no such property; did you mean Grants?"),
        (with(good(), json!({"Grants": [grant(FIRST, "a")]})), "Grants: it must be a single string"),
        (grants("[{\"ExternalId\":\"canary-id\""), "Grants must be a JSON list of grants"),
        (grants("[]"), "Grants must hold at least one grant"),
        (grants(&json!([grant("arn:aws:iam::1:role/R", "a")]).to_string()), "Grants: grant 1 is wrong: "),
        (grants(&twice), "Grants: grants 1 and 2 both name endpoint \"a\""),
        (grants(&unknown), "Grants: grant 1 has the unknown member \"ExternalID\""),
    ] {
        let (reason, id) = stage.fail(&create(&wrong)).await;
        assert!(reason.starts_with(says) && !reason.contains("canary"), "{reason}");
        assert_eq!(id, "SageMakerExternal::CreateFailed");
        let (again, kept) = stage.fail(&update(ID, &good(), &wrong)).await;
        assert_eq!((again, kept.as_str()), (reason, ID));
        // C08, C35: the rollback's Delete of either.
        for id in [id.as_str(), ID] {
            assert_eq!(stage.succeed(&delete(id, &wrong)).await["PhysicalResourceId"], id);
        }
    }
    assert_eq!(stage.iam.take_calls(), [""; 0]);
    let log = captured::text();
    assert!(log.contains(ID), "the log was captured: {log}");
    assert!(!log.contains("canary"), "{log}");
}
