//! What the tests share: the mocked cloud, an invoker on it, and events.

pub(crate) mod backend;
pub(crate) mod cloud;
pub(crate) mod frames;
pub(crate) mod sockets;
pub(crate) mod tls;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use bytes::Bytes;
use http::HeaderMap;
use invoker::aws::Aws;
use invoker::body::Cut;
use invoker::handler::Invoker;
use invoker::operation::Operation;
use invoker::response::Answer;
use invoker::settings::Settings;
use lambda_runtime::{Config, Context};
use serde_json::{Value, json};
use tokio::time::Instant;

use cloud::Cloud;

pub(crate) const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
/// What metrics have of the product's name, which is a role's as well.
pub(crate) const NAMESPACE: &str = "\"Namespace\":\"SageMakerExternal\"";
/// The function's name, by which its metrics go.
pub(crate) const FUNCTION: &str = "stack-invoker";
pub(crate) const PARENT: &str = "111122223333";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal";
pub(crate) const EXTERNAL_ID: &str = "tenant-canary-42";

/// One parent's grant of `iris` and `Wine`.
pub(crate) fn grants() -> String {
    json!([{ "RoleArn": ROLE, "ExternalId": EXTERNAL_ID, "EndpointNames": ["iris", "Wine"] }]).to_string()
}

pub(crate) fn invoker(cloud: &Cloud) -> Invoker {
    invoker_with(cloud, Some(&grants()))
}

pub(crate) fn invoker_with(cloud: &Cloud, grants: Option<&str>) -> Invoker {
    invoker_set(cloud, grants, &[])
}

/// As [`invoker_with`], with more of the function's environment.
pub(crate) fn invoker_set(cloud: &Cloud, grants: Option<&str>, more: &[(&str, &str)]) -> Invoker {
    captured::keep();
    let region = ("AWS_REGION", "us-east-1");
    let set: Vec<_> = more.iter().copied().chain(grants.map(|text| ("GRANTS", text))).chain([region]).collect();
    let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Invoker::new(&aws(cloud), Settings::of(variable))
}

fn aws(cloud: &Cloud) -> Aws {
    let set = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDOWN"),
        ("AWS_SECRET_ACCESS_KEY", "own-secret"),
        ("AWS_SESSION_TOKEN", "own-token"),
    ];
    let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let mut aws = Aws::of(variable, Arc::new(cloud.clone()));
    aws.clock = SharedTimeSource::new(Clock { base: SystemTime::now(), start: Instant::now() });
    aws
}

/// The wall clock as tokio's clock has it, which a test may pause or advance: what
/// signatures and the reuse of credentials go by.
#[derive(Debug)]
struct Clock {
    base: SystemTime,
    start: Instant,
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.base + self.start.elapsed()
    }
}

/// InvokeEndpoint of `iris` by the user alice, with a small CSV body.
pub(crate) fn event() -> Value {
    event_of(Operation::InvokeEndpoint)
}

/// As [`event`]; an asynchronous call has its input in a bucket.
pub(crate) fn event_of(operation: Operation) -> Value {
    let path = operation.path();
    let mut event = json!({
        "resource": format!("/endpoints/{{name}}{path}"),
        "path": format!("/endpoints/iris{path}"),
        "httpMethod": "POST",
        "headers": { "Content-Type": "text/csv", "Host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com" },
        "multiValueHeaders": {
            "Content-Type": ["text/csv"], "Host": ["a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"],
        },
        "pathParameters": { "name": "iris" },
        "requestContext": {
            "accountId": "444455556666",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": { "userArn": "arn:aws:iam::444455556666:user/alice", "cognitoIdentityId": null },
        },
        "body": "NS4xLDMuNSwxLjQsMC4yCg==",
        "isBase64Encoded": true,
    });
    if operation == Operation::InvokeEndpointAsync {
        event["body"] = Value::Null;
        return with(event, "X-Amzn-SageMaker-InputLocation", "s3://bucket/input.csv");
    }
    event
}

/// The event with one more header, or another value of it.
pub(crate) fn with(mut event: Value, header: &str, value: &str) -> Value {
    event["headers"][header] = json!(value);
    event["multiValueHeaders"][header] = json!([value]);
    event
}

/// As [`event`], with one more header.
pub(crate) fn event_with(header: &str, value: &str) -> Value {
    with(event(), header, value)
}

pub(crate) fn event_for(endpoint: &str) -> Value {
    let mut event = event();
    event["path"] = json!(format!("/endpoints/{endpoint}/invocations"));
    event["pathParameters"]["name"] = json!(endpoint);
    event
}

/// A context whose deadline is so far away.
pub(crate) fn context(left: Duration) -> Context {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let mut context = Context::default();
    context.request_id = REQUEST_ID.to_owned();
    context.env_config = Arc::new(Config { function_name: FUNCTION.to_owned(), ..Config::default() });
    context.deadline = u64::try_from((now + left).as_millis()).expect("a deadline");
    context
}

/// An answer, read to its end.
pub(crate) struct Read {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) cut: Option<Cut>,
}

impl Read {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("readable"))
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.cut, None);
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn message(&self) -> String {
        self.json()["Message"].as_str().expect("a Message").to_owned()
    }

    /// Status and error type.
    pub(crate) fn kind(&self) -> (u16, Option<&str>) {
        (self.status, self.header("x-amzn-errortype"))
    }
}

/// A body to its end, and whether it was cut.
pub(crate) async fn drained(
    mut stream: impl http_body::Body<Data = Bytes, Error = Cut> + Unpin,
) -> (Vec<u8>, Option<Cut>) {
    let (mut body, mut cut) = (Vec::new(), None);
    let mut next = async || std::future::poll_fn(|cx| std::pin::Pin::new(&mut stream).poll_frame(cx)).await;
    while let Some(frame) = next().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().expect("data")),
            Err(error) => cut = Some(error),
        }
    }
    (body, cut)
}

pub(crate) async fn ask(invoker: &Invoker, event: &Value) -> Read {
    ask_within(invoker, event, Duration::from_secs(90)).await
}

pub(crate) async fn ask_within(invoker: &Invoker, event: &Value, left: Duration) -> Read {
    let asked = async { read(invoker.handle(Bytes::from(event.to_string()), &context(left)).await).await };
    // Under a paused clock this costs nothing and turns a hang into a failure.
    tokio::time::timeout(left + Duration::from_secs(1), asked).await.expect("an answer before Lambda's deadline")
}

pub(crate) async fn read(answer: Answer) -> Read {
    let Answer { metadata_prelude: prelude, stream } = answer;
    let (body, cut) = drained(stream).await;
    // What every answer has.
    let read = Read { status: prelude.status_code.as_u16(), headers: prelude.headers, body, cut };
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    assert!(read.header("server-timing").is_some_and(|timing| timing.starts_with("assume;dur=")));
    assert!(read.header("x-amzn-requestid").is_some());
    let written = read.headers.iter().flat_map(|(_, value)| [value.as_bytes(), b"\n"]).chain([&read.body[..]]);
    captured::assert_none("an answer", &written.collect::<Vec<_>>().concat(), secrets_of_answers());
    read
}

/// S03, S16: what no answer holds, whatever it answers: the grant's ExternalId and role,
/// the function's own credentials, and the session's.
pub(crate) fn secrets_of_answers() -> impl Iterator<Item = &'static str> {
    [EXTERNAL_ID, ROLE, cloud::SESSION_KEY, "secret-canary", "token-canary", "AKIDOWN", "own-secret", "own-token"]
        .into_iter()
}
