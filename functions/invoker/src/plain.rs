//! An event stream's payload alone, for clients without a decoder of AWS event streams.
//!
//! The model's text passes as it comes, so that an error may have to follow an event, or a
//! line, of which only a part went out. That part must not count: `12` may be the beginning
//! of `123`. A NUL ends such a line, which no JSON holds.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use aws_smithy_types::str_bytes::StrBytes;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::body::Cut;
use crate::form::Media;
use crate::owners::{as_code_without_owners, hide_in_members};
use crate::sse_tracker::SseTracker;

/// What the model of SageMaker Runtime calls a stream that fails in its midst.
pub(crate) const INTERNAL: &str = "InternalStreamFailure";

/// A frame of nothing: two lengths and two checksums.
pub(crate) const EMPTY: u32 = 16;
/// The format's own limit: 24 MiB of payload and 128 KiB of headers.
pub(crate) const LONGEST: u32 = (24 << 20) + (128 << 10) + EMPTY;

/// Takes the payload out of frames, one at a time.
pub struct Plain {
    /// Less than one frame, after [`Plain::next`] has found none.
    buffer: BytesMut,
    /// What went out, which decides how an error can follow it.
    sent: Sent,
    is_over: bool,
}

enum Sent {
    Events(Box<SseTracker>),
    /// Whether the last line has not ended.
    JsonLines {
        is_within_line: bool,
    },
}

impl Plain {
    pub(crate) fn new(media: Media) -> Self {
        let sent = match media {
            Media::Events => Sent::Events(Box::default()),
            Media::JsonLines => Sent::JsonLines { is_within_line: false },
        };
        Self { buffer: BytesMut::new(), sent, is_over: false }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Whether nothing may follow.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether a part of a frame is there.
    pub(crate) fn is_inside(&self) -> bool {
        !self.buffer.is_empty()
    }

    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        while !self.is_over {
            let Some(message) = self.message()? else { return Ok(None) };
            let header = |name: &str| text(&message, name).unwrap_or_default();
            match header(":message-type") {
                "event" if header(":event-type") == "PayloadPart" => {
                    let part = message.payload().clone();
                    if !part.is_empty() {
                        self.remember(&part);
                        return Ok(Some(part));
                    }
                }
                "exception" => {
                    let members = serde_json::from_slice(message.payload()).unwrap_or_default();
                    return Ok(Some(self.error(header(":exception-type"), members)));
                }
                "error" => {
                    let members = Map::from_iter([("Message".to_owned(), header(":error-message").into())]);
                    return Ok(Some(self.error(header(":error-code"), members)));
                }
                // An event that this code does not know is nothing to show.
                _ => {}
            }
        }
        Ok(None)
    }

    /// The next whole frame.
    fn message(&mut self) -> Result<Option<Message>, Cut> {
        let Some(length) = self.buffer.first_chunk().map(|length| u32::from_be_bytes(*length)) else { return Ok(None) };
        if !(EMPTY..=LONGEST).contains(&length) {
            return Err(Cut::Garbled);
        }
        let length = length as usize;
        if self.buffer.len() < length {
            self.buffer.reserve(length - self.buffer.len());
            return Ok(None);
        }
        let frame = self.buffer.split_to(length).freeze();
        read_message_from(frame).map(Some).map_err(|_| Cut::Garbled)
    }

    fn remember(&mut self, part: &[u8]) {
        match &mut self.sent {
            Sent::Events(tracker) => tracker.push(part),
            Sent::JsonLines { is_within_line } => *is_within_line = !part.ends_with(b"\n"),
        }
    }

    pub(crate) fn failure(&mut self, cut: Cut) -> Bytes {
        self.error(INTERNAL, Map::from_iter([("Message".to_owned(), cut.to_string().into())]))
    }

    /// The last event: the error's type and members. It is our own text, so it names no
    /// owner (S16), as SageMaker's own frames may.
    fn error(&mut self, kind: &str, members: Map<String, Value>) -> Bytes {
        self.is_over = true;
        let mut members = hide_in_members(&members);
        let kind = as_code_without_owners(kind).unwrap_or_else(|| INTERNAL.to_owned());
        members.insert("Type".to_owned(), kind.into());
        match &self.sent {
            Sent::Events(tracker) => {
                let error = format!("event: error\ndata: {}\n\n", Value::Object(members));
                [tracker.end(), error.into_bytes()].concat().into()
            }
            Sent::JsonLines { is_within_line } => {
                let end = if *is_within_line { "\0\n" } else { "" };
                format!("{end}{}\n", json!({ "Error": members })).into()
            }
        }
    }
}

pub(crate) fn text<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
    header.value().as_string().ok().map(StrBytes::as_str)
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
