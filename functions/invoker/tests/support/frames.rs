//! Event streams as SageMaker sends them.

use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};

pub(crate) const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

fn frame(headers: [(&'static str, &'static str); 3], payload: &[u8]) -> Vec<u8> {
    let message = Message::new(payload.to_vec());
    let add = |message: Message, (name, value): (&'static str, &'static str)| {
        message.add_header(Header::new(name, HeaderValue::String(value.into())))
    };
    let mut frame = Vec::new();
    write_message_to(&headers.into_iter().fold(message, add), &mut frame).expect("a frame");
    frame
}

pub(crate) fn part(payload: &[u8]) -> Vec<u8> {
    let kind = [(":message-type", "event"), (":event-type", "PayloadPart")];
    frame([kind[0], kind[1], (":content-type", "application/octet-stream")], payload)
}

pub(crate) fn model_stream_error() -> Vec<u8> {
    let kind = [(":message-type", "exception"), (":exception-type", "ModelStreamError")];
    let members = br#"{"Message":"the model gave up","ErrorCode":"ModelInvocationTimeExceeded"}"#;
    frame([kind[0], kind[1], (":content-type", "application/json")], members)
}

/// Type and payload of every frame.
pub(crate) fn read(mut stream: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let message = read_message_from(&mut stream).expect("a frame");
        let kind = message
            .headers()
            .iter()
            .find(|header| [":event-type", ":exception-type"].contains(&header.name().as_str()));
        let kind = kind.expect("a type").value().as_string().expect("text").as_str().to_owned();
        frames.push((kind, message.payload().to_vec()));
    }
    frames
}
