//! What is asked of a function: API Gateway's event, and what must come back.

use std::sync::Arc;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::Result;
use crate::pattern::Pattern;

pub const ENDPOINT: &str = "iris";
/// A payload part of a streamed answer.
pub const PART: usize = 64 << 10;

/// A request of the API, what the model must get of it and what it answers, and how
/// that answer must arrive.
pub struct Event {
    pub payload: Vec<u8>,
    pub request: Pattern,
    pub answer: Pattern,
    pub route: Route,
    /// The model makes the second part only once the first has been delivered.
    pub paused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Invocations,
    ResponseStream,
}

impl Route {
    pub fn path(self) -> &'static str {
        match self {
            Self::Invocations => "invocations",
            Self::ResponseStream => "invocations-response-stream",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Invocations => "application/octet-stream",
            Self::ResponseStream => "application/vnd.amazon.eventstream",
        }
    }
}

impl Event {
    /// A body of `bytes` that is answered with as many.
    ///
    /// # Errors
    /// Never, unless the example event of the repository is no JSON.
    pub fn of(bytes: usize) -> Result<Arc<Self>> {
        Self::new(Route::Invocations, Pattern::request(bytes), Pattern::answer(bytes), false)
    }

    /// 1 KB that is answered with a long body.
    ///
    /// # Errors
    /// As [`Event::of`], and when a frame cannot be written.
    pub fn streamed(route: Route, answer: usize) -> Result<Arc<Self>> {
        let answer = match route {
            Route::Invocations => Pattern::answer(answer),
            Route::ResponseStream => {
                let frame = frame(&Pattern::answer(PART).to_vec())?;
                let frames = answer / PART;
                Pattern::repeat(frame.clone(), frame.len() * frames)
            }
        };
        Self::new(route, Pattern::request(1024), answer, true)
    }

    fn new(route: Route, request: Pattern, answer: Pattern, paused: bool) -> Result<Arc<Self>> {
        let mut event: Value = serde_json::from_str(include_str!("../../../events/invoker-invocations.json"))?;
        let path = route.path();
        let changes = [
            ("/resource", json!(format!("/endpoints/{{name}}/{path}"))),
            ("/path", json!(format!("/endpoints/{ENDPOINT}/{path}"))),
            ("/requestContext/resourcePath", json!(format!("/endpoints/{{name}}/{path}"))),
            ("/requestContext/path", json!(format!("/v1/endpoints/{ENDPOINT}/{path}"))),
            ("/body", json!(STANDARD.encode_to_string(request.to_vec()))),
        ];
        for (pointer, value) in changes {
            *event.pointer_mut(pointer).ok_or_else(|| format!("the example event has no {pointer}"))? = value;
        }
        for headers in ["headers", "multiValueHeaders"] {
            let headers = event.get_mut(headers).and_then(Value::as_object_mut);
            headers.ok_or("the example event has no headers")?.remove("Accept");
        }
        Ok(Arc::new(Self { payload: serde_json::to_vec(&event)?, request, answer, route, paused }))
    }
}

/// A PayloadPart as SageMaker frames it.
///
/// # Errors
/// When a frame cannot hold it.
pub fn frame(payload: &[u8]) -> Result<Vec<u8>> {
    let header = |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
    let message = Message::new(payload.to_vec())
        .add_header(header(":event-type", "PayloadPart"))
        .add_header(header(":content-type", "application/octet-stream"))
        .add_header(header(":message-type", "event"));
    let mut frame = Vec::new();
    write_message_to(&message, &mut frame)?;
    Ok(frame)
}
