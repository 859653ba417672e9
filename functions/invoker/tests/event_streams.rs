//! Streams on their way: as frames byte for byte, or as the parts alone.

use std::time::Duration;

use aws_sdk_sagemakerruntime::config::{Credentials, Region};
use aws_sdk_sagemakerruntime::error::SdkError;
use aws_sdk_sagemakerruntime::primitives::Blob;
use aws_sdk_sagemakerruntime::types::ResponseStream;
use aws_sdk_sagemakerruntime::types::error::ResponseStreamError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::event_stream::RawMessage;
use bytes::Bytes;
use http_body::Frame;
use invoker::body::Cut;
use invoker::operation::Operation;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, answered};
use crate::support::frames::{EVENT_STREAM, model_stream_error, part, read};
use crate::support::{Read, ask, ask_within, event_of, invoker, with};

#[derive(Clone, Copy)]
enum End {
    Well,
    Broken,
    Never,
}

/// A body that comes in pieces of so many bytes, and ends in some way.
struct Pieces {
    left: Bytes,
    size: usize,
    end: End,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let size = self.size.min(self.left.len());
        if size > 0 {
            return std::task::Poll::Ready(Some(Ok(Frame::data(self.left.split_to(size)))));
        }
        match self.end {
            End::Well => std::task::Poll::Ready(None),
            End::Broken => std::task::Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
            End::Never => std::task::Poll::Pending,
        }
    }
}

fn model(stream: &[u8], size: usize, end: End) -> Cloud {
    let stream = Bytes::copy_from_slice(stream);
    Cloud::granting(move |_| {
        let response = http::Response::builder()
            .status(200)
            .header("Content-Type", EVENT_STREAM)
            .header("X-Amzn-SageMaker-Content-Type", "text/event-stream; charset=utf-8")
            .header("x-Amzn-Invoked-Production-Variant", "AllTraffic")
            .header("X-Amzn-SageMaker-Custom-Attributes", "from=model");
        answered(response, SdkBody::from_body_1_x(Pieces { left: stream.clone(), size, end }))
    })
}

fn frames() -> Value {
    event_of(Operation::InvokeEndpointWithResponseStream)
}

fn plain(accept: &str) -> Value {
    with(frames(), "Accept", accept)
}

/// Under a paused clock a stream that never ends meets the deadline at once.
async fn ask_briefly(cloud: &Cloud, event: &Value) -> Read {
    ask_within(&invoker(cloud), event, Duration::from_secs(60)).await
}

#[tokio::test]
async fn r03_frames_pass_byte_for_byte_exceptions_among_them() {
    let stream = [part(b"one"), part(&[0, 255, b'\n']), model_stream_error()].concat();
    for size in [1, 7, 4096] {
        let answer = ask(&invoker(&model(&stream, size, End::Well)), &frames()).await;
        assert_eq!((answer.status, answer.cut), (200, None));
        assert_eq!(answer.body, stream);
        assert_eq!(answer.header("content-type"), Some(EVENT_STREAM));
        assert_eq!(answer.header("x-amzn-sagemaker-content-type"), Some("text/event-stream; charset=utf-8"));
        assert_eq!(answer.header("x-amzn-invoked-production-variant"), Some("AllTraffic"));
        assert_eq!(answer.header("x-amzn-sagemaker-custom-attributes"), Some("from=model"));
    }
}

#[tokio::test(start_paused = true)]
async fn r03_r13_a_stream_cut_between_frames_ends_with_a_typed_exception() {
    for (end, why) in [
        (End::Broken, "the endpoint's answer broke off"),
        (End::Never, "the function's time ended before the endpoint's answer did"),
    ] {
        captured::start();
        let stream = [part(b"one"), part(b"two")].concat();
        let answer = ask_briefly(&model(&stream, 5, end), &frames()).await;
        assert_eq!((answer.status, answer.cut), (200, None), "the client's decoder tells it");
        assert!(answer.body.starts_with(&stream));
        let [one, two, error] = &read(&answer.body)[..] else { panic!("three frames") };
        assert_eq!(
            (one.1.as_slice(), two.1.as_slice(), error.0.as_str()),
            (&b"one"[..], &b"two"[..], "InternalStreamFailure")
        );
        let members: Value = serde_json::from_slice(&error.1).unwrap();
        assert_eq!(members, json!({ "Message": why }));
        let line = captured::json().pop().unwrap();
        assert_eq!(
            (&line["message"], &line["ended"], &line["cause"], &line["level"]),
            (&json!("request"), &json!("cut"), &json!(why), &json!("ERROR"))
        );
    }
}

/// What the SDK's own client makes of a stream as we pass it: its parts, and how it
/// ended.
async fn received(stream: Vec<u8>) -> (Vec<Vec<u8>>, Result<(), SdkError<ResponseStreamError, RawMessage>>) {
    let cloud = Cloud::granting(move |_| {
        answered(http::Response::builder().status(200).header("Content-Type", EVENT_STREAM), stream.clone())
    });
    let config = aws_sdk_sagemakerruntime::Config::builder()
        .behavior_version_latest()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .http_client(cloud);
    let client = aws_sdk_sagemakerruntime::Client::from_conf(config.build());
    let sent = client.invoke_endpoint_with_response_stream().endpoint_name("iris").body(Blob::new([])).send().await;
    let mut body = sent.expect("a stream").body;
    let mut parts = Vec::new();
    loop {
        match body.recv().await {
            Ok(Some(ResponseStream::PayloadPart(part))) => parts.push(part.bytes.expect("bytes").into_inner()),
            Ok(Some(_)) => panic!("an unknown event"),
            Ok(None) => return (parts, Ok(())),
            Err(error) => return (parts, Err(error)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r03_an_sdk_raises_what_ended_the_stream_after_its_parts() {
    let (one, two) = (part(b"one"), part(b"two"));
    let failing = [one.clone(), two.clone(), model_stream_error()].concat();
    let answer = ask(&invoker(&model(&failing, 7, End::Well)), &frames()).await;
    let (parts, end) = received(answer.body).await;
    assert_eq!(parts, [b"one", b"two"]);
    let ResponseStreamError::ModelStreamError(error) = end.unwrap_err().into_service_error() else { panic!("another") };
    assert_eq!(error.error_code(), Some("ModelInvocationTimeExceeded"));
    assert_eq!(error.message(), Some("the model gave up"));
    for end in [End::Broken, End::Never] {
        let answer = ask_briefly(&model(&[one.clone(), two.clone()].concat(), 7, end), &frames()).await;
        let (parts, end) = received(answer.body).await;
        assert_eq!(parts, [b"one", b"two"]);
        let error = end.unwrap_err().into_service_error();
        assert!(error.is_internal_stream_failure(), "{error:?}");
    }
    let answer = ask(&invoker(&model(&[one, two].concat(), 7, End::Well)), &frames()).await;
    let (parts, end) = received(answer.body).await;
    assert!(parts == [b"one", b"two"] && end.is_ok());
}

#[tokio::test(start_paused = true)]
async fn r03_a_stream_cut_within_a_frame_is_cut() {
    let whole = [part(b"one"), part(b"two")].concat();
    let stream = &whole[..whole.len() - 1];
    for (end, cut) in [(End::Broken, Cut::Upstream), (End::Well, Cut::Upstream), (End::Never, Cut::Deadline)] {
        let answer = ask_briefly(&model(stream, 5, end), &frames()).await;
        assert_eq!((answer.status, answer.cut), (200, Some(cut)));
        assert_eq!(answer.body, stream);
    }
}

#[tokio::test]
async fn a_plain_stream_is_the_parts_alone() {
    let stream = [part(b"data: 1\n\n"), part(b"data: \xff"), part(b"\n\n")].concat();
    for size in [1, 30, 4096] {
        let cloud = model(&stream, size, End::Well);
        let answer = ask(&invoker(&cloud), &plain("text/event-stream")).await;
        assert_eq!((answer.status, answer.cut), (200, None));
        assert_eq!(answer.body, b"data: 1\n\ndata: \xff\n\n");
        assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"), "with the model's charset");
        assert_eq!(answer.header("x-amzn-invoked-production-variant"), Some("AllTraffic"));
        let call = &cloud.to_sagemaker()[0];
        assert_eq!(call.header("x-amzn-sagemaker-accept"), Some("text/event-stream"), "the model is asked for it");
        assert_eq!(call.header("accept"), None);
    }
}

/// The form of the stream and the model's own media type are two things.
#[tokio::test]
async fn a_plain_stream_of_another_media_type_is_what_was_asked_for() {
    let cloud = model(&part(b"{}\n"), 4096, End::Well);
    let event = with(plain("application/jsonlines, */*;q=0.1"), "X-Amzn-SageMaker-Accept", "application/json");
    let answer = ask(&invoker(&cloud), &event).await;
    assert_eq!(answer.header("content-type"), Some("application/jsonlines"));
    assert_eq!(answer.header("x-amzn-sagemaker-content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(cloud.to_sagemaker()[0].header("x-amzn-sagemaker-accept"), Some("application/json"));
}

#[tokio::test(start_paused = true)]
async fn r03_a_plain_streams_error_is_its_last_event() {
    let given_up = json!({
        "Message": "the model gave up", "ErrorCode": "ModelInvocationTimeExceeded", "Type": "ModelStreamError",
    });
    let given_up = given_up.to_string();
    let broken = "{\"Message\":\"the endpoint's answer broke off\",\"Type\":\"InternalStreamFailure\"}";
    let late = "{\"Message\":\"the function's time ended before the endpoint's answer did\",\
                \"Type\":\"InternalStreamFailure\"}";
    let whole = [part(b"1\n"), model_stream_error()].concat();
    let half = [part(b"1\n"), part(b"2\n")[..9].to_vec()].concat();
    for (stream, end, error) in [
        (&whole, End::Well, given_up.as_str()),
        // What follows an error is not waited for.
        (&whole, End::Never, &given_up),
        (&part(b"1\n"), End::Broken, broken),
        (&half, End::Broken, broken),
        (&half, End::Well, broken),
        (&half, End::Never, late),
    ] {
        let cloud = model(stream, 3, end);
        let answer = ask_briefly(&cloud, &plain("application/jsonlines")).await;
        assert_eq!((answer.status, answer.cut), (200, None));
        assert_eq!(String::from_utf8(answer.body).unwrap(), format!("1\n{{\"Error\":{error}}}\n"));
        let answer = ask_briefly(&cloud, &plain("text/event-stream")).await;
        assert_eq!(
            String::from_utf8(answer.body).unwrap(),
            format!("1\nevent: incomplete\n\nevent: error\ndata: {error}\n\n")
        );
        assert_eq!(cloud.counts(), (2, 2), "the model is not asked again");
    }
}

#[tokio::test]
async fn a_plain_stream_that_is_none_is_an_error_and_a_line_in_the_log() {
    captured::start();
    let answer = ask(&invoker(&model(b"{\"not\": \"a stream\"}", 4096, End::Well)), &plain("text/event-stream")).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.starts_with("event: error\ndata: {") && text.contains("InternalStreamFailure"), "{text}");
    let [line] = &captured::json()[..] else { panic!("one line: {}", captured::text()) };
    assert_eq!((&line["ended"], &line["ErrorCode"]), (&json!("cut"), &json!("AnswerGarbled")));
}

/// The other operations' answers are bytes, whatever HTTP `Accept` says.
#[tokio::test]
async fn only_the_stream_operation_has_forms() {
    let stream = part(b"one");
    for operation in [Operation::InvokeEndpoint, Operation::InvokeEndpointAsync] {
        let cloud = model(&stream, 4096, End::Well);
        let answer = ask(&invoker(&cloud), &with(event_of(operation), "Accept", "text/event-stream")).await;
        assert_eq!((answer.body, answer.cut), (stream.clone(), None));
    }
}
