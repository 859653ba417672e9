//! `CREDENTIAL_REUSE_SECONDS` through the handler: when STS is asked, and what is done
//! when kept credentials are refused.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use invoker::assume::SHORTEST;
use invoker::handler::Invoker;
use invoker::operation::Operation;
use invoker::reuse::Reuse;
use invoker::settings::Settings;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, Reply, SESSION_KEY, credentials, message, prediction, sagemaker_error, sts_error};
use crate::support::{REQUEST_ID, ask, ask_within, event, event_for, event_of, event_with, grants, invoker_set};

fn reusing(cloud: &Cloud, seconds: &str) -> Invoker {
    invoker_set(cloud, Some(&grants()), &[("CREDENTIAL_REUSE_SECONDS", seconds), ("CALLER_ATTRIBUTION", "true")])
}

fn event_by(user: &str) -> Value {
    let mut event = event();
    event["requestContext"]["identity"]["userArn"] = json!(format!("arn:aws:iam::444455556666:user/{user}"));
    event
}

#[tokio::test]
async fn by_default_every_request_assumes() {
    for seconds in ["", "0"] {
        let cloud = Cloud::willing();
        let invoker = reusing(&cloud, seconds);
        captured::start();
        for _ in 0..3 {
            let _ = ask(&invoker, &event()).await;
        }
        assert_eq!(cloud.counts(), (3, 3));
        assert_eq!(cloud.to_sts()[0].parameter("DurationSeconds").as_deref(), Some("900"));
        assert_eq!(captured::json().pop().unwrap().get("reused"), None);
    }
}

/// R06: until the time is over, and then anew.
#[tokio::test(start_paused = true)]
async fn r06_credentials_are_kept_for_the_time_and_no_longer() {
    let cloud = Cloud::willing();
    let invoker = reusing(&cloud, "120");
    for (wait, assumed) in [(0, 1), (60, 1), (59, 1), (1, 2), (119, 2), (1000, 3)] {
        tokio::time::advance(Duration::from_secs(wait)).await;
        assert_eq!(ask(&invoker, &event()).await.status, 200);
        assert_eq!(cloud.counts().0, assumed, "after {wait} s more");
    }
}

#[tokio::test]
async fn r07_the_session_outlasts_its_reuse_by_a_margin() {
    for (seconds, duration) in [("1", "900"), ("300", "900"), ("301", "901"), ("3000", "3600")] {
        let cloud = Cloud::willing();
        let _ = ask(&reusing(&cloud, seconds), &event()).await;
        assert_eq!(cloud.to_sts()[0].parameter("DurationSeconds").as_deref(), Some(duration));
    }
}

/// STS gives 900 s at least, and 3600 s at most to a role that assumes a role: whatever
/// the setting, neither 899 nor 3601 is asked for.
#[test]
fn r07_no_setting_asks_for_899_or_3601_seconds() {
    let duration = |seconds: u64| {
        let variable = |name: &str| match name {
            "GRANTS" => Some(grants()),
            "AWS_REGION" => Some("us-east-1".to_owned()),
            "CREDENTIAL_REUSE_SECONDS" => Some(seconds.to_string()),
            _ => None,
        };
        let reuse = Settings::of(variable).ok()?.reuse;
        Some(reuse.map_or(SHORTEST, |time| Reuse::new(time, SystemTime::now).duration()).as_secs())
    };
    for (reused, lasts) in [(0, Some(900)), (299, Some(900)), (300, Some(900)), (3000, Some(3600)), (3001, None)] {
        assert_eq!(duration(reused), lasts, "{reused}");
    }
    assert!((0..=3000).all(|reused| duration(reused).is_some_and(|lasts| (900..=3600).contains(&lasts))));
}

/// R06: by caller, endpoint and component, API and API key; not by what else a request is.
#[tokio::test]
async fn r06_another_caller_or_policy_is_another_session() {
    let cloud = Cloud::willing();
    let invoker = reusing(&cloud, "300");
    let mut keyed = event();
    keyed["requestContext"]["identity"]["apiKeyId"] = json!("k1");
    let mut other_key = keyed.clone();
    other_key["requestContext"]["identity"]["apiKeyId"] = json!("k2");
    let mut other_api = event();
    other_api["requestContext"]["apiId"] = json!("other");
    let different = [
        event(),
        event_by("bob"),
        event_for("Wine"),
        event_with("X-Amzn-SageMaker-Inference-Component", "c1"),
        keyed,
        other_key,
        other_api,
    ];
    for round in 1..=2 {
        for (n, event) in different.iter().enumerate() {
            assert_eq!(ask(&invoker, event).await.status, 200);
            assert_eq!(cloud.counts().0, if round == 1 { n + 1 } else { different.len() });
        }
    }
    let mut same = event_with("Accept", "text/csv");
    same["requestContext"]["requestId"] = json!("another");
    let _ = ask(&invoker, &same).await;
    assert_eq!(cloud.counts().0, different.len());
}

/// The operation is part of the session policy, so each has a session of its own.
#[tokio::test]
async fn r06_each_operation_has_a_session_of_its_own() {
    let cloud = Cloud::willing();
    let invoker = reusing(&cloud, "300");
    for round in 1..=2 {
        for (n, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(ask(&invoker, &event_of(operation)).await.status, 200, "{operation:?}");
            assert_eq!(cloud.counts().0, if round == 1 { n + 1 } else { Operation::ALL.len() });
        }
    }
    let policies: Vec<_> = cloud.to_sts().iter().map(|call| call.parameter("Policy").unwrap()).collect();
    for (policy, operation) in policies.iter().zip(Operation::ALL) {
        assert!(operation.actions().iter().all(|action| policy.contains(&format!("\"{action}\""))), "{policy}");
    }
    for call in cloud.to_sts() {
        assert_eq!(call.parameter("SourceIdentity").as_deref(), Some("alice"));
    }
}

/// One flight: whoever comes while STS is asked waits for its answer.
#[tokio::test(start_paused = true)]
async fn requests_at_a_time_ask_sts_once() {
    let late = || match credentials() {
        Reply::Answer(response) => Reply::Late(Duration::from_secs(1), response),
        other => other,
    };
    let cloud = Cloud::new(move |_| late(), |_| prediction());
    let invoker = reusing(&cloud, "300");
    let (event, bob) = (event(), event_by("bob"));
    let asked = (0..10).flat_map(|_| [ask(&invoker, &event), ask(&invoker, &bob)]);
    assert!(join_all(asked).await.iter().all(|answer| answer.status == 200));
    assert_eq!(cloud.counts(), (2, 20), "one flight for each caller");
}

/// A failure is not kept, and who waits is not refused for it.
#[tokio::test(start_paused = true)]
async fn a_failure_is_not_kept() {
    let cloud =
        Cloud::new(|call| if call == 0 { sts_error(403, "AccessDenied") } else { credentials() }, |_| prediction());
    let invoker = reusing(&cloud, "300");
    let event = event();
    let answers = join_all((0..3).map(|_| ask(&invoker, &event))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!((statuses, cloud.counts()), (vec![403, 200, 200], (2, 2)));
}

#[tokio::test(start_paused = true)]
async fn r13_who_waits_has_a_deadline_of_their_own() {
    let cloud = Cloud::new(|_| Reply::Silence, |_| prediction());
    let invoker = reusing(&cloud, "300");
    let event = event();
    let (first, second) = tokio::join!(
        ask_within(&invoker, &event, Duration::from_secs(60)),
        ask_within(&invoker, &event, Duration::from_secs(2)),
    );
    assert_eq!(first.kind(), (503, Some("ServiceUnavailable")));
    assert_eq!(second.kind(), (504, Some("GatewayTimeoutException")));
}

/// R06: credentials that AWS no longer knows are forgotten; the client may try again,
/// and the model is not called twice for one request (R04).
#[tokio::test]
async fn r06_r04_refused_kept_credentials_are_forgotten_and_never_tried_again() {
    for code in ["ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId", "UnrecognizedClientException"] {
        for status in [403, 400] {
            let refused = move |call| {
                if call == 1 { sagemaker_error(status, code, &message("arn:canary")) } else { prediction() }
            };
            let cloud = Cloud::granting(refused);
            let invoker = reusing(&cloud, "300");
            assert_eq!(ask(&invoker, &event()).await.status, 200);
            let answer = ask(&invoker, &event()).await;
            assert_eq!((answer.kind(), cloud.counts()), ((503, Some("ServiceUnavailable")), (1, 2)), "{code}");
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(answer.header("x-amzn-requestid"), Some("upstream-request"));
            assert!(answer.message().contains("try again") && !answer.message().contains("canary"));
            assert_eq!(ask(&invoker, &event()).await.status, 200);
            assert_eq!(cloud.counts(), (2, 3), "the next request assumes anew");
        }
    }
}

/// A revoked session gets AccessDenied, as one without the permission does: 403 it
/// stays, but the next request has a new session.
#[tokio::test]
async fn r06_denied_credentials_are_forgotten_too() {
    let denied = |_| sagemaker_error(403, "AccessDeniedException", &message("arn:canary"));
    let cloud = Cloud::granting(denied);
    let invoker = reusing(&cloud, "300");
    for assumed in 1..=2 {
        assert_eq!(ask(&invoker, &event()).await.kind(), (403, Some("AccessDeniedException")));
        assert_eq!(cloud.counts(), (assumed, assumed));
    }
    // New credentials that are not known yet are no reason to call them kept.
    let cloud = Cloud::granting(|_| sagemaker_error(403, "InvalidClientTokenId", &message("x")));
    assert_eq!(ask(&reusing(&cloud, "300"), &event()).await.kind(), (500, Some("InternalFailure")));
}

#[tokio::test]
async fn other_failures_keep_the_session() {
    let cloud = Cloud::granting(|_| sagemaker_error(500, "InternalFailure", &message("x")));
    let invoker = reusing(&cloud, "300");
    for _ in 0..3 {
        assert_eq!(ask(&invoker, &event()).await.status, 500);
    }
    assert_eq!(cloud.counts(), (1, 3));
}

/// The session's name and the tag RequestId are those of the request that assumed.
#[tokio::test]
async fn s15_the_log_says_that_a_session_was_reused_and_which() {
    captured::start();
    let cloud = Cloud::willing();
    let invoker = reusing(&cloud, "300");
    let mut context = crate::support::context(Duration::from_secs(90));
    for id in [REQUEST_ID, "00000000-e9f4-11e8-9739-2dfe598c3fcd"] {
        context.request_id = id.to_owned();
        let answer = invoker.handle(event().to_string().into(), &context).await;
        assert_eq!(crate::support::read(answer).await.status, 200);
    }
    let [first, second] = &captured::json()[..] else { panic!("two lines: {}", captured::text()) };
    assert_eq!((&first["reused"], &second["reused"]), (&json!(false), &json!(true)));
    assert_ne!(first["request_id"], second["request_id"]);
    assert_eq!(first["session"], second["session"], "the session is the first one's");
    for secret in [SESSION_KEY, "secret-canary", "token-canary"] {
        assert!(!captured::text().contains(secret), "{}", captured::text());
    }
}
