//! What becomes of a streamed answer on its way: frames pass as they are, or only
//! their payload does, for clients without a decoder of AWS event streams.
//!
//! Pure: pieces of SageMaker's answer go in, pieces of ours come out. The format is
//! `application/vnd.amazon.eventstream` (Smithy specification, "Amazon Event
//! Stream"): a frame begins with its length, 4 bytes, big-endian.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::{Buf, Bytes};
use serde_json::json;

use crate::body::Cut;
use crate::form::Form;
use crate::plain::{EMPTY, INTERNAL, Plain};

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
            Self::Plain(plain) => plain.push(&piece),
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
        matches!(self, Self::Plain(plain) if plain.is_over())
    }

    /// Whether SageMaker's answer cannot end here.
    pub fn is_inside(&self) -> bool {
        match self {
            Self::AsIs(_) => false,
            Self::Frames(_, boundary) => boundary.is_inside(),
            Self::Plain(plain) => plain.is_inside(),
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
pub(crate) mod tests;
