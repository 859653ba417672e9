//! What becomes of a streamed answer on its way: frames pass as they are, or only
//! their payload does, for clients without a decoder of AWS event streams.
//!
//! Pure: pieces of SageMaker's answer go in, pieces of ours come out. The format is
//! `application/vnd.amazon.eventstream` (Smithy specification, "Amazon Event
//! Stream"): a frame begins with its length, 4 bytes, big-endian.

use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use aws_smithy_types::str_bytes::StrBytes;
use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::body::Cut;

/// The form in which an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// No event stream: bytes as they are.
    AsIs,
    /// An event stream as it is.
    Frames,
    /// The payload of an event stream alone.
    Plain(Media),
}

/// Media types in which an error can follow a part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `text/event-stream`, server-sent events.
    Events,
    /// `application/jsonlines`.
    JsonLines,
}

impl Media {
    pub const ALL: [Self; 2] = [Self::Events, Self::JsonLines];

    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::JsonLines => "application/jsonlines",
        }
    }

    /// Whether a media type, with or without parameters, is this one.
    pub fn is(self, written: &str) -> bool {
        media_type(written).eq_ignore_ascii_case(self.name())
    }
}

const FRAMES: &str = "application/vnd.amazon.eventstream";

impl Form {
    /// The form of a stream that an HTTP `Accept` names with the highest weight, the
    /// first of several (RFC 9110, section 12.4.2); frames where it names none, as
    /// SageMaker's own clients do.
    pub fn of_stream(accept: Option<&str>) -> Self {
        let named = |range: &str| match Media::ALL.into_iter().find(|media| media.is(range)) {
            Some(media) => Some(Self::Plain(media)),
            None => media_type(range).eq_ignore_ascii_case(FRAMES).then_some(Self::Frames),
        };
        let weighed = |range| Some((named(range)?, weight(range))).filter(|(_, weight)| *weight > 0.0);
        // Of equal ones `max_by` takes the last.
        let ranges = accept.into_iter().flat_map(|accept| accept.split(',').rev());
        let best = ranges.filter_map(weighed).max_by(|(_, one), (_, other)| one.total_cmp(other));
        best.map_or(Self::Frames, |(form, _)| form)
    }
}

/// From 0, "not this one", to 1; what is no weight counts as none given.
fn weight(range: &str) -> f32 {
    let parameters = range.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut weights = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let weight = weights.next().and_then(|(_, weight)| weight.trim().parse().ok());
    weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0)
}

fn media_type(written: &str) -> &str {
    written.split(';').next().unwrap_or_default().trim()
}

/// Turns SageMaker's pieces into ours: push one, take what there is, and say at
/// last how it ended.
pub enum Relay {
    AsIs(Bytes),
    Frames(Bytes, Boundary),
    Plain(Plain),
}

impl Relay {
    pub fn new(form: Form) -> Self {
        match form {
            Form::AsIs => Self::AsIs(Bytes::new()),
            Form::Frames => Self::Frames(Bytes::new(), Boundary::default()),
            Form::Plain(media) => Self::Plain(Plain::new(media)),
        }
    }

    pub fn push(&mut self, piece: Bytes) {
        match self {
            Self::AsIs(next) => *next = piece,
            Self::Frames(next, boundary) => {
                boundary.pass(&piece);
                *next = piece;
            }
            Self::Plain(plain) => plain.buffer.extend_from_slice(&piece),
        }
    }

    /// The next piece, if the ones pushed so far make one.
    ///
    /// # Errors
    /// When they make no frame.
    #[expect(clippy::should_implement_trait, reason = "no iterator: there may be more after the next push")]
    pub fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        match self {
            Self::AsIs(next) | Self::Frames(next, _) => {
                Ok(Some(std::mem::take(next)).filter(|piece| !piece.is_empty()))
            }
            Self::Plain(plain) => plain.next(),
        }
    }

    /// Whether nothing may follow, whatever SageMaker still sends.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Plain(plain) if plain.is_over)
    }

    /// Whether SageMaker's answer cannot end here.
    pub fn is_inside(&self) -> bool {
        match self {
            Self::AsIs(_) => false,
            Self::Frames(_, boundary) => boundary.is_inside(),
            Self::Plain(plain) => !plain.buffer.is_empty(),
        }
    }

    /// The last piece of an answer that was cut: an error for the client.
    ///
    /// # Errors
    /// The cut, where the answer so far has no place for one.
    pub fn tell(&mut self, cut: Cut) -> Result<Bytes, Cut> {
        match self {
            Self::Frames(_, boundary) if boundary.is_between() => failure_frame(cut),
            Self::Frames(..) | Self::AsIs(_) => Err(cut),
            Self::Plain(plain) => Ok(plain.failure(cut)),
        }
    }
}

/// Where in a stream of frames the bytes passed so far end.
pub enum Boundary {
    /// Within a frame's length, of which so many bytes are known.
    Length { bytes: [u8; 4], known: usize },
    /// So many bytes before the end of a frame.
    Inside(u32),
    /// Not in a stream of frames.
    Lost,
}

impl Default for Boundary {
    fn default() -> Self {
        Self::Length { bytes: [0; 4], known: 0 }
    }
}

impl Boundary {
    fn pass(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            match self {
                Self::Length { bytes, known } => {
                    if let (Some(to), Some(byte)) = (bytes.get_mut(*known), piece.first()) {
                        *to = *byte;
                    }
                    *known += 1;
                    piece.advance(1);
                    if *known == bytes.len() {
                        let length = u32::from_be_bytes(*bytes);
                        *self = if length < EMPTY { Self::Lost } else { Self::Inside(length - 4) };
                    }
                }
                Self::Inside(left) => {
                    let passed = piece.len().min(*left as usize);
                    piece.advance(passed);
                    *left -= passed as u32;
                    if *left == 0 {
                        *self = Self::default();
                    }
                }
                Self::Lost => return,
            }
        }
    }

    fn is_inside(&self) -> bool {
        matches!(self, Self::Length { known: 1.., .. } | Self::Inside(_))
    }

    fn is_between(&self) -> bool {
        matches!(self, Self::Length { known: 0, .. })
    }
}

/// A frame of nothing: two lengths and two checksums.
const EMPTY: u32 = 16;
/// The format's own limit: 24 MiB of payload and 128 KiB of headers.
const LONGEST: u32 = (24 << 20) + (128 << 10) + EMPTY;

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
    fn new(media: Media) -> Self {
        Self { media, buffer: BytesMut::new(), tail: Vec::new(), is_over: false }
    }

    fn next(&mut self) -> Result<Option<Bytes>, Cut> {
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

    fn failure(&mut self, cut: Cut) -> Bytes {
        self.error(INTERNAL, Map::from_iter([("Message".to_owned(), cut.to_string().into())]))
    }

    /// The last event: the error's type and members.
    fn error(&mut self, kind: &str, mut members: Map<String, Value>) -> Bytes {
        self.is_over = true;
        members.insert("Type".to_owned(), kind.into());
        match self.media {
            Media::Events => format!("{}event: error\ndata: {}\n\n", self.line_ends(true), Value::Object(members)),
            Media::JsonLines => format!("{}{}\n", self.line_ends(false), json!({ "Error": members })),
        }
        .into()
    }

    /// What ends the line, or the event, that went out last.
    fn line_ends(&self, with_a_blank_one: bool) -> &'static str {
        let ends = |end: &[u8]| self.tail.ends_with(end);
        let is_blank = ends(b"\n\n") || ends(b"\n\r\n") || ends(b"\r\r");
        match with_a_blank_one {
            _ if self.tail.is_empty() => "",
            true if is_blank => "",
            true if ends(b"\n") => "\n",
            true => "\n\n",
            false if ends(b"\n") => "",
            false => "\n",
        }
    }
}

fn text<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
    header.value().as_string().ok().map(StrBytes::as_str)
}

/// What the model of SageMaker Runtime calls a stream that fails in its midst.
const INTERNAL: &str = "InternalStreamFailure";

/// The exception that an SDK raises as InternalStreamFailure.
fn failure_frame(cut: Cut) -> Result<Bytes, Cut> {
    let header = |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
    let message = Message::new(json!({ "Message": cut.to_string() }).to_string())
        .add_header(header(":message-type", "exception"))
        .add_header(header(":exception-type", INTERNAL))
        .add_header(header(":content-type", "application/json"));
    let mut frame = Vec::new();
    write_message_to(&message, &mut frame).map_err(|_| cut)?;
    Ok(frame.into())
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
