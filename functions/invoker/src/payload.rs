//! The body of a request: as API Gateway wrote it into the event, and as it is sent.

use base64_simd::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::Invalid;

/// A body in an event: checked, and not decoded before there is time for it.
pub struct Encoded {
    text: Bytes,
    is_base64: bool,
}

/// Bytes to be sent, and what a signature says of them.
pub struct Payload {
    pub bytes: Bytes,
    /// In hexadecimal.
    pub sha256: String,
}

const NOT_BASE64: &str = "the event's body must be base64";

impl Encoded {
    /// The text of an event's body, which is a part of `event` unless JSON had escapes
    /// in it; then it is copied.
    ///
    /// # Errors
    /// [`Invalid`] for a text that should be base64 and is not.
    pub fn new(text: &str, is_base64: bool, event: &Bytes) -> Result<Self, Invalid> {
        if is_base64 && STANDARD.check(text.as_bytes()).is_err() {
            return Err(Invalid(NOT_BASE64.to_owned()));
        }
        let text = part(event, text).unwrap_or_else(|| Bytes::copy_from_slice(text.as_bytes()));
        Ok(Self { text, is_base64 })
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many bytes it will be.
    pub fn len(&self) -> usize {
        if self.is_base64 { STANDARD.decoded_length(&self.text).unwrap_or_default() } else { self.text.len() }
    }

    /// In the event's own memory if nothing else holds it any more.
    ///
    /// # Errors
    /// [`Invalid`] as of [`Encoded::new`], which should have said so.
    pub fn decode(self) -> Result<Bytes, Invalid> {
        if !self.is_base64 {
            return Ok(self.text);
        }
        let not_base64 = |_| Invalid(NOT_BASE64.to_owned());
        match self.text.try_into_mut() {
            Ok(mut text) => {
                let length = STANDARD.decode_inplace(&mut text).map_err(not_base64)?.len();
                text.truncate(length);
                Ok(text.freeze())
            }
            Err(shared) => STANDARD.decode_to_vec(&shared).map(Bytes::from).map_err(not_base64),
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let sha256 = base16(&Sha256::digest(&bytes));
        Self { bytes, sha256 }
    }
}

fn base16(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The same memory, if `text` lies in `whole`.
fn part(whole: &Bytes, text: &str) -> Option<Bytes> {
    let start = text.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(text.len())?;
    (end <= whole.len()).then(|| whole.slice(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(event: &Bytes, text: &str, is_base64: bool) -> Encoded {
        Encoded::new(text, is_base64, event).expect("an admissible body")
    }

    #[test]
    fn r05_a_body_is_decoded_where_it_lies() {
        let event = Bytes::from(b"{\"body\":\"AAH/\"}".to_vec());
        let place = event.as_ptr().addr() + 9;
        let body = encoded(&event, std::str::from_utf8(&event[9..13]).expect("text"), true);
        drop(event);
        let decoded = body.decode().expect("base64");
        assert_eq!((decoded.as_ref(), decoded.as_ptr().addr()), (&[0, 1, 255][..], place));
    }

    #[test]
    fn r05_an_event_that_others_hold_is_not_changed() {
        let event = Bytes::from(b"{\"body\":\"AAH/\"}".to_vec());
        let body = encoded(&event, std::str::from_utf8(&event[9..13]).expect("text"), true);
        assert_eq!(body.decode().as_deref(), Ok(&[0, 1, 255][..]));
        assert_eq!(event.as_ref(), b"{\"body\":\"AAH/\"}");
    }

    #[test]
    fn a_payload_has_the_hash_that_signatures_want() {
        let Payload { bytes, sha256 } = Bytes::from_static(b"abc").into();
        assert_eq!(bytes.as_ref(), b"abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    proptest! {
        /// Within the event or beside it, alone or shared.
        #[test]
        fn r05_every_body_arrives(bytes: Vec<u8>, inside: bool, shared: bool) {
            let base64 = STANDARD.encode_to_string(&bytes);
            let event = Bytes::from(if inside { base64.clone() } else { "{}".to_owned() });
            let text = if inside { std::str::from_utf8(&event).expect("text") } else { &base64 };
            let (body, plain) = (encoded(&event, text, true), encoded(&event, text, false));
            prop_assert_eq!((body.is_empty(), body.len()), (bytes.is_empty(), bytes.len()));
            prop_assert_eq!(plain.decode(), Ok(base64.into()));
            let _other = shared.then(|| event.clone());
            drop(event);
            prop_assert_eq!(body.decode(), Ok(bytes.into()));
        }
    }
}
