//! SageMaker Runtime: checks that the request is whole and its caller's own, and meets
//! it as planned.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bench::events::frame;
use bench::http::{Connection, Head};

use crate::backend::{After, Shared, read_body, signing_key, stream_write, token};
use crate::plan::{Model, Plan, Route};

/// Between two pieces.
const PAUSE: Duration = Duration::from_millis(5);
/// Of a frame's payload.
const PART: usize = 16 << 10;

pub(crate) fn answer(
    shared: &Shared,
    connection: &mut Connection,
    stream: &Arc<TcpStream>,
    head: &Head,
) -> io::Result<After> {
    let attributes = head.header("x-amzn-sagemaker-custom-attributes").unwrap_or_default();
    let number = attributes.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(u64::MAX);
    let Some(plan) = shared.plan(number) else {
        shared.note(number, |trace| trace.wrong.push("a model call that nobody asked for".to_owned()));
        return Ok(After::Close);
    };
    // Counted as soon as it has begun to arrive: a real model may run by then.
    shared.note(number, |trace| {
        trace.model_calls += 1;
        check_head(plan, head, trace);
    });
    if plan.model == Model::ResetUnread {
        return Ok(After::Reset);
    }
    let body = read_body(connection, head)?;
    if body != plan.body() {
        shared.note(number, |trace| trace.wrong.push("the model got another body than the caller sent".to_owned()));
    }
    meet(plan, stream)
}

fn check_head(plan: &Plan, head: &Head, trace: &mut crate::backend::Trace) {
    let key = signing_key(head).and_then(|key| key.strip_prefix("ASIA")?.parse().ok());
    trace.keys_of = key;
    let path = format!("/endpoints/{}/{}", plan.endpoint, plan.route.path());
    let token = key.map(token);
    for (holds, what) in [
        (key.is_some(), "is not signed with temporary keys"),
        (head.header("x-amz-security-token") == token.as_deref(), "has the token of other keys"),
        (head.path == path, "has another path"),
        (head.header("x-amzn-sagemaker-custom-attributes") == Some(&plan.attributes()), "has other attributes"),
    ] {
        if !holds {
            trace.wrong.push(format!("a model call {what}"));
        }
    }
}

/// What the model answers, as it is framed.
pub fn payload(plan: &Plan) -> Vec<u8> {
    match plan.route {
        Route::Invoke => plan.answer(),
        Route::Stream => plan.answer().chunks(PART).flat_map(|part| frame(part).unwrap_or_default()).collect(),
        Route::Async => format!("{{\"InferenceId\":\"inference-{}\"}}", plan.number).into_bytes(),
    }
}

fn meet(plan: &Plan, stream: &Arc<TcpStream>) -> io::Result<After> {
    let payload = payload(plan);
    let half = payload.len() / 2;
    let first = payload.get(..half).unwrap_or_default();
    let whole = |length: usize, body: &[u8]| [head(plan, "1.1", &length_of(length)).as_bytes(), body].concat();
    let chunked = || [head(plan, "1.1", CHUNKED).as_bytes(), &chunk(first)].concat();
    let keep = |bytes: &[u8]| stream_write(stream, bytes).map(|()| After::Keep);
    let then = |bytes: &[u8], after: After| stream_write(stream, bytes).map(|()| after);
    match plan.model {
        Model::Well => keep(&whole(payload.len(), &payload)),
        Model::Dripping => {
            let whole = whole(payload.len(), &payload);
            for piece in whole.chunks(whole.len() / 5 + 1) {
                stream_write(stream, piece)?;
                thread::sleep(PAUSE);
            }
            Ok(After::Keep)
        }
        Model::Interim => {
            stream_write(stream, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")?;
            keep(&whole(payload.len(), &payload))
        }
        Model::Old => then(&[head(plan, "1.0", "").as_bytes(), &payload].concat(), After::Close),
        Model::ClosesAfter => then(&whole(payload.len(), &payload), After::Close),
        Model::HalfClosesAfter => {
            stream_write(stream, &whole(payload.len(), &payload))?;
            stream.shutdown(Shutdown::Write).map(|()| After::Keep)
        }
        Model::Surplus => {
            let other = b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nanswer-canary of a stranger";
            keep(&[&whole(payload.len(), &payload)[..], other].concat())
        }
        Model::Truncated => then(&whole(payload.len() + 1, &payload), After::Close),
        Model::TruncatedChunks => then(&chunked(), After::Close),
        Model::WrongChunk => then(&[&chunked()[..], b"what?\r\n"].concat(), After::Close),
        Model::ResetMidway => {
            stream_write(stream, &whole(payload.len(), first))?;
            // A reset throws away what has not been read.
            thread::sleep(PAUSE);
            Ok(After::Reset)
        }
        Model::SilentMidway => then(&whole(payload.len(), first), After::Silence),
        Model::ResetUnread | Model::ResetRead => Ok(After::Reset),
        Model::ClosesUnanswered => Ok(After::Close),
        Model::Garbage => then(b"\x16\x03\x01garbage-canary\r\n\r\n", After::Close),
        Model::TwoLengths => {
            let lengths = format!("Content-Length: 5\r\n{}", length_of(payload.len()));
            then(&[head(plan, "1.1", &lengths).as_bytes(), &payload].concat(), After::Close)
        }
        Model::Silent => Ok(After::Silence),
        Model::Refusal(status, code) => keep(refusal(status, code).as_bytes()),
        Model::Page(status) => keep(page(status).as_bytes()),
        Model::TruncatedError => {
            let whole = refusal(500, "InternalFailure");
            then(whole.as_bytes().get(..whole.len() - 9).unwrap_or_default(), After::Close)
        }
    }
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

fn length_of(length: usize) -> String {
    format!("Content-Length: {length}\r\n")
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn head(plan: &Plan, version: &str, length: &str) -> String {
    let (status, kind) = match plan.route {
        Route::Invoke => ("200 OK", "Content-Type: text/plain"),
        Route::Stream => {
            ("200 OK", "X-Amzn-SageMaker-Content-Type: text/plain\r\nContent-Type: application/vnd.amazon.eventstream")
        }
        Route::Async => ("202 Accepted", "X-Amzn-SageMaker-OutputLocation: s3://bucket/out"),
    };
    format!(
        "HTTP/{version} {status}\r\n{kind}\r\n{length}x-amzn-RequestId: model-{}\r\n\
         X-Amzn-SageMaker-Custom-Attributes: {}\r\n\r\n",
        plan.number,
        plan.attributes()
    )
}

/// As the service writes it, with an owner in its text that no caller may see.
fn refusal(status: u16, code: &str) -> String {
    let body = match code {
        "ModelError" => {
            "{\"Message\":\"the model failed\",\"OriginalStatusCode\":500,\"OriginalMessage\":\"x\"}".to_owned()
        }
        _ => "{\"Message\":\"arn:aws:iam::111122223333:role/hidden-canary failed\"}".to_owned(),
    };
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nx-amzn-ErrorType: {code}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn page(status: u16) -> String {
    let body = "<html>page-canary</html>";
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nLocation: /endpoints/evil/invocations\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
