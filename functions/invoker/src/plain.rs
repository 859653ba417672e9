//! An event stream's payload alone, for clients without a decoder of AWS event streams.
//!
//! The model's text passes as it comes, so that an error may have to follow an event, or a
//! line, of which only a part went out. That part must not count: `12` may be the beginning
//! of `123`. A NUL ends its line, which no JSON holds, no id and no number.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use aws_smithy_types::str_bytes::StrBytes;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::body::Cut;
use crate::form::Media;
use crate::owners::{as_code_without_owners, hide_in_members};

/// What the model of SageMaker Runtime calls a stream that fails in its midst.
pub(crate) const INTERNAL: &str = "InternalStreamFailure";

/// A frame of nothing: two lengths and two checksums.
pub(crate) const EMPTY: u32 = 16;
/// The format's own limit: 24 MiB of payload and 128 KiB of headers.
pub(crate) const LONGEST: u32 = (24 << 20) + (128 << 10) + EMPTY;

/// Takes the payload out of frames, one at a time.
pub struct Plain {
    media: Media,
    /// Less than one frame, after [`Plain::next`] has found none.
    buffer: BytesMut,
    /// The last bytes that went out, which decide how an error can follow them.
    tail: Vec<u8>,
    is_over: bool,
}

impl Plain {
    pub(crate) fn new(media: Media) -> Self {
        Self { media, buffer: BytesMut::new(), tail: Vec::new(), is_over: false }
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
        const KEPT: usize = 3;
        self.tail.extend_from_slice(part.get(part.len().saturating_sub(KEPT)..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(KEPT));
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
        match self.media {
            Media::Events => format!("{}event: error\ndata: {}\n\n", self.event_end(), Value::Object(members)),
            Media::JsonLines => format!("{}{}\n", self.line_end(), json!({ "Error": members })),
        }
        .into()
    }

    /// What ends an event that went out in part, so that it does not count.
    ///
    /// What a reader has of it cannot be taken back, and a blank line dispatches it (HTML
    /// standard, 9.2.6). Of several names the last one holds: as `incomplete` it reaches
    /// nobody who reads the model's events, or `error`. Where no event has begun, no data is
    /// there, and nothing is dispatched.
    fn event_end(&self) -> &'static str {
        let ends = |end: &[u8]| self.tail.ends_with(end);
        let is_blank = ends(b"\n\n") || ends(b"\n\r\n") || ends(b"\r\r");
        match self.tail.last() {
            None => "",
            Some(_) if is_blank => "",
            Some(b'\n') => "event: incomplete\n\n",
            // It may be the first half of a line end.
            Some(b'\r') => "\nevent: incomplete\n\n",
            Some(_) => "\0\nevent: incomplete\n\n",
        }
    }

    /// What ends a line that went out in part, so that it does not count.
    fn line_end(&self) -> &'static str {
        match self.tail.last() {
            None | Some(b'\n') => "",
            Some(_) => "\0\n",
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
