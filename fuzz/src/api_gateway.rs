//! Events as API Gateway, or anybody who may call the function, may send them to the
//! invoker.

use base64_simd::STANDARD;
use bytes::Bytes;
use invoker::attribution::Attribution;
use invoker::caller::Caller;
use invoker::error::Invalid;
use invoker::event::Event;
use invoker::operation::Operation;
use invoker::request::{Invocation, Route, examined};
use serde_json::Value;

use crate::arns::is_literal;
use crate::{is_sentence, untyped};

const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
/// Headers that an operation may be given besides its members.
const NEWER: usize = 16;

pub(crate) fn event(data: &[u8]) {
    let untyped = untyped::value(data);
    let whole = Bytes::copy_from_slice(data);
    let Some(event) = Event::read(&whole) else { return };
    if let Some(caller) = event.request_context().and_then(Caller::of) {
        called(&caller);
    }
    match Route::of(&event) {
        Some(Route::Invoke(operation)) => {
            assert_eq!(event.method(), "POST");
            invoked(&event, &whole, operation, untyped.as_ref());
        }
        Some(Route::ExamineEndpoint) => match examined(&event) {
            Ok(name) => assert!(event.path().ends_with(&format!("/endpoints/{name}")), "S22"),
            Err(Invalid(sentence)) => assert!(is_sentence(&sentence), "{sentence}"),
        },
        Some(Route::ListEndpoints) | None => {}
    }
}

/// R08: whoever it is, STS takes the names that are made of them.
fn called(caller: &Caller) {
    let word = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    for request_id in [REQUEST_ID, "", "\r\n", "é"] {
        let name = caller.session_name(request_id).expect("R08: every caller has a session name");
        assert!((2..=64).contains(&name.as_str().len()) && name.as_str().bytes().all(word), "{name}");
        let Attribution { source_identity, tags } = Attribution::of(caller, request_id);
        assert!((2..=64).contains(&source_identity.len()) && source_identity.bytes().all(word), "{source_identity}");
        assert!(!source_identity.starts_with("aws:"));
        for (key, value) in &tags {
            let inside = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
            assert!(value.chars().count() <= 256 && value.chars().all(inside), "{key} {value}");
        }
    }
    assert!(caller.session_name(REQUEST_ID).is_some_and(|name| name.as_str().ends_with(&format!("@{REQUEST_ID}"))));
}

pub(crate) fn invoked(event: &Event<'_>, whole: &Bytes, operation: Operation, untyped: Option<&Value>) {
    let invocation = match Invocation::read(operation, event, whole) {
        Ok(invocation) => invocation,
        Err(Invalid(sentence)) => return assert!(is_sentence(&sentence), "{sentence}"),
    };
    let Invocation { endpoint, inference_component, headers, .. } = &invocation;
    // S06, S22: the name stands in the path as it is.
    assert!(is_literal(endpoint.as_str()) && !endpoint.as_str().contains('/'), "{endpoint}");
    assert!(event.path().ends_with(&format!("/endpoints/{endpoint}{}", operation.path())), "S22: {}", event.path());
    assert!(inference_component.as_ref().is_none_or(|name| is_literal(name.as_str())));

    // S17, S18, S23: printable values, each name once, of the operation's or SageMaker's own.
    let named: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(named.len() <= operation.members().len() + NEWER, "{named:?}");
    for (index, (name, value)) in headers.iter().enumerate() {
        assert!(!named[..index].contains(&name.as_str()), "S23: {name} twice");
        let is_member = operation.members().iter().any(|member| name.as_str().eq_ignore_ascii_case(member.header));
        assert!(is_member || name.as_str().starts_with("x-amzn-sagemaker-"), "S18: {name}");
        assert!(value.len() <= 1024 && value.bytes().all(|b| (b' '..=b'~').contains(&b)), "S17: {name}");
    }
    if inference_component.is_some() {
        assert!(named.contains(&"x-amzn-sagemaker-inference-component"), "R11");
    }
    if let Some(untyped) = untyped {
        nothing_invented(&invocation, untyped);
    }
    // R05: the body byte for byte.
    let length = invocation.body.len();
    let body = invocation.body.decode().expect("what was admitted is base64");
    assert_eq!(body.len(), length);
    match event.body() {
        (text, false) => assert_eq!(body, text.as_bytes()),
        (base64, true) => assert_eq!(STANDARD.encode_to_string(body), base64),
    }
}

/// Every value stands in the event under its name, as an untyped reader sees it.
fn nothing_invented(invocation: &Invocation, event: &Value) {
    let written = |map: &str, name: &str| -> Vec<String> {
        let members = event.get(map).and_then(Value::as_object).into_iter().flatten();
        let values = members.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let texts = values.flat_map(|value| match value {
            // Only the second map has lists; in the first one they count as absent.
            Value::Array(items) if map == "multiValueHeaders" => items.clone(),
            other => vec![other.clone()],
        });
        texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    for (name, value) in invocation.headers.iter() {
        let mut found = written("headers", name.as_str());
        found.extend(written("multiValueHeaders", name.as_str()));
        // The one header of ours: what the client accepts, for a model that can choose.
        let ours = name == "x-amzn-sagemaker-accept" && found.is_empty();
        assert!(ours || !found.is_empty(), "S23: {name} is nobody's");
        assert!(found.iter().all(|written| written == value), "S23: {name}");
    }
}
