//! Streamed answers: a first byte for the form, a second for the pieces that the rest
//! comes in.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use bytes::Bytes;
use invoker::body::Cut;
use invoker::form::{Form, Media};
use invoker::stream::Relay;

pub(crate) fn relay(data: &[u8]) {
    let [form, step, stream @ ..] = data else { return };
    let step = usize::from(*step).max(1);
    let form = match form % 4 {
        0 => Form::AsIs,
        1 => Form::Frames,
        2 => Form::Plain(Media::Events),
        _ => Form::Plain(Media::JsonLines),
    };
    let whole = passed(form, stream, stream.len().max(1));
    assert_eq!(passed(form, stream, step), whole, "however it is cut");
    match form {
        Form::AsIs | Form::Frames => assert_eq!(whole.bytes, stream, "byte for byte"),
        Form::Plain(_) => plain(&whole, stream),
    }
}

/// What a stream came to.
#[derive(Debug, PartialEq)]
struct Passed {
    bytes: Vec<u8>,
    /// Not a stream of frames.
    is_garbled: bool,
    is_over: bool,
    /// It ended within a frame.
    is_inside: bool,
    /// The last piece if the connection broke there.
    told: Result<Vec<u8>, Cut>,
}

fn passed(form: Form, stream: &[u8], step: usize) -> Passed {
    let mut relay = Relay::new(form);
    let (mut bytes, mut is_garbled) = (Vec::new(), false);
    for piece in stream.chunks(step) {
        relay.push(Bytes::copy_from_slice(piece));
        loop {
            match relay.next() {
                Ok(Some(next)) => {
                    assert!(!next.is_empty(), "a piece holds something");
                    bytes.extend_from_slice(&next);
                }
                Ok(None) => break,
                Err(cut) => {
                    assert_eq!(cut, Cut::Garbled);
                    is_garbled = true;
                    break;
                }
            }
        }
        if is_garbled || relay.is_over() {
            break;
        }
    }
    let (is_over, is_inside) = (relay.is_over(), relay.is_inside() && !is_garbled && !relay.is_over());
    let told = relay.tell(Cut::Upstream).map(|bytes| bytes.to_vec());
    Passed { bytes, is_garbled, is_over, is_inside, told }
}

/// The payloads as the SDK's own decoder sees them.
fn plain(passed: &Passed, stream: &[u8]) {
    let mut decoder = MessageFrameDecoder::new();
    let mut rest = Bytes::copy_from_slice(stream);
    let mut payloads = Vec::new();
    while let Ok(DecodedFrame::Complete(message)) = decoder.decode_frame(&mut rest) {
        let header = |name: &str| {
            let found = message.headers().iter().find(|header| header.name().as_str() == name);
            found.and_then(|header| header.value().as_string().ok()).map(|text| text.as_str().to_owned())
        };
        match header(":message-type").as_deref() {
            Some("event") if header(":event-type").as_deref() == Some("PayloadPart") => {
                payloads.extend_from_slice(message.payload());
            }
            Some("exception" | "error") => {
                // One event of ours ends it.
                assert!(passed.is_over && passed.bytes.starts_with(&payloads));
                let last = String::from_utf8_lossy(&passed.bytes[payloads.len()..]).into_owned();
                assert!(last.contains("\"Type\":") && last.ends_with('\n'), "{last}");
                return;
            }
            _ => {}
        }
    }
    assert!(passed.bytes.starts_with(&payloads) || passed.is_garbled, "as the SDK's decoder has it");
    if !passed.is_over && !passed.is_garbled {
        assert_eq!(passed.bytes, payloads, "nothing but payloads");
    }
}
