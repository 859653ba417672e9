//! The one answer that CloudFormation waits for: a PUT to the ResponseURL.

use std::convert::Infallible;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde::Serialize;
use tokio::time::Instant;

use crate::code::Code;
use crate::half::Data;
use crate::request::Envelope;

/// CloudFormation's limit of an answer in bytes; 4,096 itself is still taken (C05).
const MAX_BYTES: usize = 4_096;
/// As the CDK's framework does it: five more tries, one second doubling (C28).
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// For one try; S3 answers in well under a second.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Attributes that can be left out when an answer is too long: long lists that
/// can be told from the properties.
const DISPENSABLE: [&str; 1] = ["EndpointArns"];

/// What to tell CloudFormation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub physical_id: String,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `note` says what was left alone, if anything was.
    Success { data: Data, note: Option<String> },
    /// Never empty (C06).
    Failed { code: Code, reason: String },
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    no_echo: bool,
    data: &'a Data,
}

/// The answer's JSON in at most 4,096 bytes: dispensable data dropped, a reason cut
/// on a character's boundary, and a Success that still does not fit turned into a
/// Failed that says so.
pub fn body(envelope: &Envelope, answer: &Answer) -> String {
    match &answer.outcome {
        Outcome::Success { data, note } => {
            let mut data = data.clone();
            let mut json = render(envelope, &answer.physical_id, "SUCCESS", note.clone(), &data);
            for key in DISPENSABLE {
                if json.len() > MAX_BYTES && data.remove(key).is_some() {
                    tracing::warn!(attribute = key, "left out: the answer would pass 4096 bytes");
                    json = render(envelope, &answer.physical_id, "SUCCESS", note.clone(), &data);
                }
            }
            if json.len() > MAX_BYTES && note.is_some() {
                json = render(envelope, &answer.physical_id, "SUCCESS", None, &data);
            }
            if json.len() <= MAX_BYTES {
                return json;
            }
            let reason =
                "the attributes of the resource would pass CloudFormation's 4096 bytes; use shorter names or path";
            failed(envelope, &answer.physical_id, Code::AttributesTooLong, reason)
        }
        Outcome::Failed { code, reason } => failed(envelope, &answer.physical_id, *code, reason),
    }
}

/// The reason and behind it its code, which is never cut.
fn failed(envelope: &Envelope, id: &str, code: Code, reason: &str) -> String {
    let render = |reason| render(envelope, id, "FAILED", Some(reason), &Data::new());
    let code = format!(" [{}]", code.name());
    let room = MAX_BYTES.saturating_sub(render(code.clone()).len());
    render(fitting(reason, room) + &code)
}

/// As many characters as fit into `room` bytes of a JSON string. Control characters
/// become blanks: CloudFormation would pass a terminal's on as they are (C07).
fn fitting(text: &str, mut room: usize) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let fits = |c: &char| {
        let cost = if matches!(c, '"' | '\\') { 2 } else { c.len_utf8() };
        let left = room.checked_sub(cost);
        room = left.unwrap_or(0);
        left.is_some()
    };
    visible.take_while(fits).collect()
}

/// Whether a success with this id and data is short enough, dispensable data aside.
pub fn fits(envelope: &Envelope, id: &str, data: &Data) -> bool {
    let kept = data.iter().filter(|(key, _)| !DISPENSABLE.contains(key)).map(|(key, value)| (*key, value.clone()));
    render(envelope, id, "SUCCESS", None, &kept.collect()).len() <= MAX_BYTES
}

fn render(envelope: &Envelope, id: &str, status: &'static str, reason: Option<String>, data: &Data) -> String {
    let body = Body {
        status,
        reason,
        physical_resource_id: id,
        stack_id: &envelope.stack_id,
        request_id: &envelope.request_id,
        logical_resource_id: &envelope.logical_id,
        // An ExternalId is not a secret, yet need not stand in the console (C32).
        no_echo: data.contains_key("ExternalId"),
        data,
    };
    // Strings and a map of strings: serialising these cannot fail.
    serde_json::to_string(&body).unwrap_or_default()
}

/// Puts the answer, with bounded tries until `deadline`. Failing to is logged
/// without the URL, and is final: running the whole event again would not help.
pub async fn put(connector: &SharedHttpConnector, envelope: &Envelope, answer: &Answer, deadline: Instant) -> bool {
    let body = body(envelope, answer);
    let mut wait = FIRST_WAIT;
    for attempt in 1..=TRIES {
        let end = deadline.min(Instant::now() + TRY_TIMEOUT);
        let failure = match tokio::time::timeout_at(end, send(connector, envelope, &body)).await {
            Ok(Ok(())) => return true,
            Ok(Err(failure)) => failure,
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(attempt, failure, "CloudFormation's bucket did not take the answer");
        // Up to a quarter more, so that many stacks do not knock together.
        let pause = wait.mul_f64(1.0 + fastrand::f64() / 4.0);
        if Instant::now() + pause >= deadline {
            break;
        }
        tokio::time::sleep(pause).await;
        wait *= 2;
    }
    tracing::error!("gave up answering; the stack will time out by itself");
    false
}

async fn send(connector: &SharedHttpConnector, envelope: &Envelope, body: &str) -> Result<(), String> {
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("PUT").map_err(|_| "the request could not be built".to_owned())?;
    // The URL is signed for an empty content type (C02); its bytes are kept (C04).
    request
        .set_uri(envelope.response_url.expose().clone())
        .map_err(|never: Infallible| -> String { match never {} })?;
    request.headers_mut().insert("content-type", "");
    request.headers_mut().insert("content-length", body.len().to_string());
    // An error's text could hold the URL: only its kind is told.
    let response = connector.call(request).await.map_err(|error| {
        let kind = if error.is_timeout() { "timeout" } else { "connection failure" };
        kind.to_owned()
    })?;
    match response.status().as_u16() {
        200..=299 => Ok(()),
        // Redirects are not followed (C30): whoever is there is not who was signed for.
        status => Err(format!("status {status}")),
    }
}
