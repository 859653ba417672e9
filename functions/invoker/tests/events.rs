//! The events in `events/` are what API Gateway sends: they parse as the published
//! type, our reader agrees with it, and they do what their names say.

use aws_lambda_events::apigw::ApiGatewayProxyRequest;
use invoker::event::Event;
use invoker::operation::Operation;
use invoker::request::Route;
use serde_json::Value;

use crate::support::cloud::Cloud;
use crate::support::{ask, invoker};

fn events() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events");
    let mut events: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder events/")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("invoker-"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    events.sort();
    assert!(events.len() >= 2, "{events:?}");
    events
}

#[test]
fn our_reader_agrees_with_the_published_type() {
    for (name, json) in events() {
        let theirs: ApiGatewayProxyRequest = serde_json::from_str(&json).expect(&name);
        let ours = Event::read(json.as_bytes()).expect(&name);
        let context = ours.request_context().expect(&name);
        assert_eq!(ours.method(), theirs.http_method.as_str(), "{name}");
        assert_eq!(Some(ours.resource()), theirs.resource.as_deref(), "{name}");
        assert_eq!(Some(ours.path()), theirs.path.as_deref(), "{name}");
        assert_eq!(ours.path_parameter("name"), theirs.path_parameters.get("name").map(String::as_str), "{name}");
        let (body, is_base64) = ours.body();
        assert_eq!((body, is_base64), (theirs.body.as_deref().unwrap_or_default(), theirs.is_base64_encoded), "{name}");
        let identity = &theirs.request_context.identity;
        assert_eq!(context.user_arn(), identity.user_arn.as_deref(), "{name}");
        assert_eq!(context.account_id(), theirs.request_context.account_id.as_deref(), "{name}");
        assert_eq!(context.unverified_request_id(), theirs.request_context.request_id.as_deref(), "{name}");
    }
}

#[tokio::test]
async fn every_event_is_answered_well() {
    for (name, json) in events() {
        let event: Value = serde_json::from_str(&json).unwrap();
        let answer = ask(&invoker(&Cloud::willing()), &event).await;
        assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&answer.body));
    }
}

#[test]
fn every_operation_has_an_event() {
    let routes: Vec<_> = events().iter().filter_map(|(_, json)| Route::of(&Event::read(json.as_bytes())?)).collect();
    for operation in Operation::ALL {
        assert!(routes.contains(&Route::Invoke(operation)), "{operation:?}");
    }
}
