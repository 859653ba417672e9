use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::body::SdkBody;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::*;
use crate::body::Body;
use crate::deadline::Deadline;
use crate::form::Media;
use crate::plain::{LONGEST, text};

pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut message = Message::new(payload.to_vec());
    for (name, value) in headers {
        let value = HeaderValue::String((*value).to_owned().into());
        message = message.add_header(Header::new((*name).to_owned(), value));
    }
    let mut frame = Vec::new();
    write_message_to(&message, &mut frame).expect("a frame");
    frame
}

pub(crate) fn part(payload: &[u8]) -> Vec<u8> {
    let kind = [(":message-type", "event"), (":event-type", "PayloadPart")];
    frame(&[kind[0], kind[1], (":content-type", "application/octet-stream")], payload)
}

fn exception(kind: &str, payload: &str) -> Vec<u8> {
    frame(&[(":message-type", "exception"), (":exception-type", kind)], payload.as_bytes())
}

/// A body of pieces that ends well or is cut.
struct Pieces {
    left: VecDeque<Bytes>,
    cut: Option<Cut>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        match (self.left.pop_front(), self.cut) {
            (Some(piece), _) => Poll::Ready(Some(Ok(http_body::Frame::data(piece)))),
            (None, None) => Poll::Ready(None),
            (None, Some(Cut::Deadline | Cut::Silence)) => Poll::Pending,
            (None, Some(_)) => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
        }
    }
}

/// What a stream becomes when it comes in these pieces and then ends; on a clock of
/// its own, so that a deadline is at once.
fn through(form: Form, pieces: &[&[u8]], cut: Option<Cut>) -> (Vec<u8>, Option<Cut>) {
    let left = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
    let upstream = SdkBody::from_body_1_x(Pieces { left, cut });
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a clock").block_on(async {
        let mut context = lambda_runtime::Context::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        // Only a silence is waited for longer than API Gateway would.
        let left = if cut == Some(Cut::Silence) { 900_000 } else { 60_000 };
        context.deadline = u64::try_from(now.as_millis()).expect("a time") + left;
        let mut body = Body::passing(upstream, form, Deadline::of(&context));
        let (mut out, mut untold) = (Vec::new(), None);
        while let Some(next) = poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await {
            match next {
                Ok(frame) => out.extend(frame.into_data().expect("data")),
                Err(cut) => untold = Some(cut),
            }
        }
        (out, untold)
    })
}

pub(crate) fn plain(media: Media, frames: &[Vec<u8>], cut: Option<Cut>) -> String {
    let (out, untold) = through(Form::Plain(media), &[&frames.concat()], cut);
    assert_eq!(untold, None, "a plain stream can tell every error");
    String::from_utf8(out).expect("text")
}

#[test]
fn accept_asks_for_a_form() {
    let events = Form::Plain(Media::Events);
    for (accept, form) in [
        ("text/event-stream", events),
        ("Text/Event-Stream; charset=utf-8", events),
        ("text/html, text/event-stream;q=0.9, */*", events),
        ("application/jsonlines", Form::Plain(Media::JsonLines)),
        ("application/vnd.amazon.eventstream, text/event-stream", Form::Frames),
        ("*/*", Form::Frames),
        ("application/json", Form::Frames),
        ("text/event-streams", Form::Frames),
        ("", Form::Frames),
    ] {
        assert_eq!(Form::of_stream(Some(accept)), form, "{accept}");
    }
    assert_eq!(Form::of_stream(None), Form::Frames);
}

/// RFC 9110, section 12.4.2.
#[test]
fn an_accept_is_weighed() {
    const FRAMED: &str = "application/vnd.amazon.eventstream";
    let (events, lines) = (Form::Plain(Media::Events), Form::Plain(Media::JsonLines));
    for (accept, form) in [
        ("text/event-stream;q=0", Form::Frames),
        ("text/event-stream; q=0.000, application/jsonlines; q=0.001", lines),
        ("text/event-stream;q=0.5, application/jsonlines", lines),
        ("text/event-stream;q=0.5,application/jsonlines;q=0.5", events),
        ("application/jsonlines;charset=utf-8 ;Q = 0.2 , text/event-stream;q=0.9", events),
        (&format!("text/event-stream;q=0.5, {FRAMED}"), Form::Frames),
        (&format!("{FRAMED};q=0, application/jsonlines;q=0.1"), lines),
        (&format!("{FRAMED};q=0"), Form::Frames),
        // What is no weight is none.
        ("application/jsonlines;q=0.9, text/event-stream;q=NaN", events),
        ("application/jsonlines;q=0.9, text/event-stream;q=2", events),
        ("application/jsonlines;q=0.9, text/event-stream;q", events),
    ] {
        assert_eq!(Form::of_stream(Some(accept)), form, "{accept}");
    }
}

#[test]
fn a_plain_stream_is_the_parts_alone() {
    let newer = frame(&[(":message-type", "event"), (":event-type", "Newer")], b"not a part");
    let frames = [part(b"data: 1\n\n"), newer, part(b""), part(b"data: "), part(b"2\n\n")];
    assert_eq!(plain(Media::Events, &frames, None), "data: 1\n\ndata: 2\n\n");
}

#[test]
fn r03_an_exception_is_the_last_event() {
    let error = || exception("ModelStreamError", r#"{"Message":"no\nmore","ErrorCode":"ModelInvocationTimeExceeded"}"#);
    // In the order in which members came, or sorted: a feature of serde_json.
    let shown =
        json!({ "Message": "no\nmore", "ErrorCode": "ModelInvocationTimeExceeded", "Type": "ModelStreamError" });
    // (what the model wrote, what has to end it in either form)
    for (text, event, line) in [
        ("", "", ""),
        ("data: 1\n\n", "", ""),
        ("data: 1\r\n\r\n", "", ""),
        ("data: 1\r\r", "\n", "\0\n"),
        ("data: 1\n", "data: \0\nevent: incomplete\n\n", ""),
        ("data: 1\r\n", "data: \0\nevent: incomplete\n\n", ""),
        ("data: 1\r", "\ndata: \0\nevent: incomplete\n\n", "\0\n"),
        ("data: 1", "\0\nevent: incomplete\n\n", "\0\n"),
    ] {
        let frames = [part(text.as_bytes()), error(), part(b"nothing more")];
        let events = plain(Media::Events, &frames, None);
        assert_eq!(events, format!("{text}{event}event: error\ndata: {shown}\n\n"));
        let lines = plain(Media::JsonLines, &frames, None);
        assert_eq!(lines, format!("{text}{line}{{\"Error\":{shown}}}\n"));
    }
}

/// The plain forms are our own text; frames pass as they are.
#[test]
fn r03_s16_a_plain_streams_error_names_no_owner() {
    let said = r#"{"Message":"role arn:aws:iam::111122223333:role/R of 111122223333","AccountId":1122223333}"#;
    let shown = json!({ "Message": "role [hidden] of [hidden]", "AccountId": "[hidden]", "Type": "ModelStreamError" });
    let error = exception("ModelStreamError", said);
    let lines = plain(Media::JsonLines, std::slice::from_ref(&error), None);
    assert_eq!(lines, format!("{{\"Error\":{shown}}}\n"));
    let events = plain(Media::Events, std::slice::from_ref(&error), None);
    assert_eq!(events, format!("event: error\ndata: {shown}\n\n"));
    let headers = [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "of 111122223333")];
    let lines = plain(Media::JsonLines, &[frame(&headers, b"")], None);
    assert_eq!(lines, "{\"Error\":{\"Message\":\"of [hidden]\",\"Type\":\"InternalError\"}}\n");
    assert_eq!(through(Form::Frames, &[&error], None).0, error);
}

#[test]
fn r03_an_error_without_a_shape_is_told_too() {
    let headers = [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "broken")];
    assert_eq!(
        plain(Media::JsonLines, &[frame(&headers, b"")], None),
        "{\"Error\":{\"Message\":\"broken\",\"Type\":\"InternalError\"}}\n"
    );
    let shapeless = exception("Newer", "no JSON");
    assert_eq!(plain(Media::JsonLines, &[shapeless], None), "{\"Error\":{\"Type\":\"Newer\"}}\n");
}

#[test]
fn r03_a_cut_is_the_last_event_of_a_plain_stream() {
    let half = part(b"{\"lost\":1}\n");
    let half = half[..half.len() - 1].to_vec();
    for (frames, cut) in [
        (vec![part(b"{\"a\":1}\n")], Some(Cut::Upstream)),
        (vec![part(b"{\"a\":1}\n"), half.clone()], Some(Cut::Upstream)),
        // An end that came well, but too early.
        (vec![part(b"{\"a\":1}\n"), half], None),
    ] {
        assert_eq!(
            plain(Media::JsonLines, &frames, cut),
            "{\"a\":1}\n{\"Error\":{\"Message\":\"the endpoint's answer broke off\",\"Type\":\"InternalStreamFailure\"}}\n"
        );
    }
    let late = plain(Media::Events, &[part(b"data: 1\n\n")], Some(Cut::Deadline));
    assert!(late.starts_with("data: 1\n\nevent: error\ndata: {\"Message\":\"the function's time ended"), "{late}");
    let silent = plain(Media::Events, &[part(b"data: 1\n\n")], Some(Cut::Silence));
    assert!(silent.contains("event: error\ndata: {\"Message\":\"the endpoint sent nothing for 290 s"), "{silent}");
}

#[test]
fn what_is_no_event_stream_is_told_at_once() {
    let mut checksum = part(b"x");
    *checksum.last_mut().expect("bytes") ^= 1;
    let huge = [(LONGEST + 1).to_be_bytes().to_vec(), vec![0; 12]].concat();
    for garbled in [b"{\"json\":true}".to_vec(), vec![0; 16], vec![0, 0, 0, 15], checksum, huge] {
        let told = plain(Media::Events, &[part(b"data: 1\n\n"), garbled], None);
        assert!(told.starts_with("data: 1\n\nevent: error\n") && told.contains("not a readable"), "{told}");
    }
}

/// The frame that is added to a cut stream, as an SDK reads it.
#[test]
fn r03_a_cut_between_frames_is_an_exception_frame() {
    for frames in [vec![], vec![part(b"one"), part(b"two")]] {
        for cut in [Cut::Upstream, Cut::Silence, Cut::Deadline] {
            let (out, untold) = through(Form::Frames, &[&frames.concat()], Some(cut));
            assert_eq!(untold, None);
            let added = out.strip_prefix(&frames.concat()[..]).expect("the frames before it, unchanged");
            let message = read_message_from(added).expect("a frame");
            assert_eq!(text(&message, ":message-type"), Some("exception"));
            assert_eq!(text(&message, ":exception-type"), Some("InternalStreamFailure"));
            assert_eq!(text(&message, ":content-type"), Some("application/json"));
            let members: Value = serde_json::from_slice(message.payload()).expect("JSON");
            assert_eq!(members, json!({ "Message": cut.to_string() }));
        }
    }
}

#[test]
fn r03_within_a_frame_nothing_is_added() {
    let frames = [part(b"one"), part(b"two")].concat();
    let one = part(b"one").len();
    for end in 1..frames.len() {
        for cut in [None, Some(Cut::Upstream), Some(Cut::Silence), Some(Cut::Deadline)] {
            let (out, untold) = through(Form::Frames, &[&frames[..end]], cut);
            if end == one {
                assert!(untold.is_none() && out.starts_with(&frames[..end]));
            } else {
                assert_eq!((out.as_slice(), untold), (&frames[..end], cut.or(Some(Cut::Upstream))), "{end}");
            }
        }
    }
}

#[test]
fn bytes_of_no_form_are_only_cut() {
    let (out, untold) = through(Form::AsIs, &[b"some", b"thing"], Some(Cut::Deadline));
    assert_eq!((out.as_slice(), untold), (&b"something"[..], Some(Cut::Deadline)));
    let (out, untold) = through(Form::Frames, &[b"\0\0\0\x0fno frames"], Some(Cut::Upstream));
    assert_eq!((out.as_slice(), untold), (&b"\0\0\0\x0fno frames"[..], Some(Cut::Upstream)));
}

/// Streams as SageMaker sends them, and some that it does not.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = vec(any::<u8>(), 0..40);
    let one = prop_oneof![
        8 => payload.clone().prop_map(|payload| part(&payload)),
        1 => payload.prop_map(|payload| frame(&[(":message-type", "event"), (":event-type", "Newer")], &payload)),
        1 => Just(exception("ModelStreamError", r#"{"Message":"x","ErrorCode":"y"}"#)),
        1 => vec(any::<u8>(), 1..20),
    ];
    vec(one, 0..8).prop_map(|frames| frames.concat())
}

/// The whole, in pieces that end anywhere.
fn pieces<'a>(whole: &'a [u8], ends: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<_> = ends.iter().map(|end| end.index(whole.len() + 1)).collect();
    ends.extend([0, whole.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|ends| &whole[ends[0]..ends[1]]).collect()
}

fn cuts() -> impl Strategy<Value = Option<Cut>> {
    proptest::sample::select(vec![None, Some(Cut::Upstream), Some(Cut::Silence), Some(Cut::Deadline)])
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_up_changes_nothing(
        whole in frames(), ends in vec(any::<Index>(), 0..12), cut in cuts(),
        form in prop_oneof![
            Just(Form::AsIs), Just(Form::Frames), Just(Form::Plain(Media::Events)), Just(Form::Plain(Media::JsonLines)),
        ],
    ) {
        prop_assert_eq!(through(form, &pieces(&whole, &ends), cut), through(form, &[&whole], cut));
    }

    /// Whatever passes, frames or not: at most one frame of ours follows a cut.
    #[test]
    fn frames_pass_byte_for_byte(whole in frames(), ends in vec(any::<Index>(), 0..12), cut in cuts()) {
        let (out, _) = through(Form::Frames, &pieces(&whole, &ends), None);
        prop_assert_eq!(&out, &whole);
        let (out, untold) = through(Form::Frames, &pieces(&whole, &ends), cut);
        let added = out.strip_prefix(&whole[..]).expect("the stream itself");
        prop_assert_eq!(added.is_empty(), untold.is_some() || cut.is_none());
    }

    #[test]
    fn a_plain_stream_of_parts_is_their_payload(parts in vec(vec(any::<u8>(), 0..99), 0..9), ends in vec(any::<Index>(), 0..9)) {
        let whole: Vec<u8> = parts.iter().flat_map(|payload| part(payload)).collect();
        let (out, untold) = through(Form::Plain(Media::Events), &pieces(&whole, &ends), None);
        prop_assert_eq!((out, untold), (parts.concat(), None));
    }

    /// The last line of a JSON lines stream that was cut is a JSON object of its own.
    #[test]
    fn r03_an_error_stands_on_a_line_of_its_own(parts in vec("[ -~\n\r]{0,9}", 0..5)) {
        let frames: Vec<_> = parts.iter().map(|text| part(text.as_bytes())).collect();
        let out = plain(Media::JsonLines, &frames, Some(Cut::Upstream));
        let last = out.strip_suffix('\n').and_then(|out| out.rsplit('\n').next()).expect("a line");
        let error: Value = serde_json::from_str(last).expect("JSON");
        prop_assert_eq!(&error["Error"]["Type"], "InternalStreamFailure");
        prop_assert!(out.starts_with(&parts.concat()));
    }
}
