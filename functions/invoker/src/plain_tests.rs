//! Readers of plain streams that go by their specifications alone: what they make of a
//! stream that is cut anywhere.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::form::Form;
use crate::stream::Relay;
use crate::stream::tests::{frame, part, plain};

/// An event as a browser dispatches it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dispatched {
    kind: String,
    data: String,
    last_id: String,
}

/// Server-sent events, as the HTML standard reads them (9.2.6, "Interpreting an event
/// stream"); and the reconnection time at the end.
fn dispatched(stream: &str) -> (Vec<Dispatched>, Option<String>) {
    let (mut events, mut retry) = (Vec::new(), None);
    let (mut kind, mut data, mut id, mut last_id) = (String::new(), String::new(), String::new(), String::new());
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    // What follows the last line end is an unfinished line, which the end of the stream discards.
    let mut lines: Vec<_> = stream.split('\n').collect();
    lines.pop();
    for line in lines {
        if line.is_empty() {
            last_id.clone_from(&id);
            if !data.is_empty() {
                data.pop();
                let kind = if kind.is_empty() { "message".to_owned() } else { kind.clone() };
                events.push(Dispatched { kind, data: data.clone(), last_id: last_id.clone() });
            }
            (kind, data) = (String::new(), String::new());
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value.to_owned(),
            "data" => data.extend([value, "\n"]),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => retry = Some(value.to_owned()),
            _ => {}
        }
    }
    (events, retry)
}

/// JSON lines: whatever stands before a line feed has to be JSON.
fn values(stream: &str) -> Vec<Option<Value>> {
    stream.split_terminator('\n').map(|line| serde_json::from_str(line).ok()).collect()
}

/// An event of a model.
fn event() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        3 => "data: ?(\\{\"b\":[0-9]{1,4}\\}|[0-9]{2,5}|\"[a-z]{0,5}\"|true|[a-z :é]{0,9})",
        1 => "event: ?[a-z]{1,6}",
        1 => "id: ?[0-9]{1,6}",
        1 => "retry: ?[0-9]{1,5}",
        1 => ":[a-z ]{0,5}",
        1 => "(data|other|id)",
    ];
    let end = proptest::sample::select(vec!["\n", "\r\n", "\r"]);
    (vec(field, 1..5), end)
        .prop_map(|(fields, end)| fields.iter().flat_map(|field| [field, end]).chain([end]).collect())
}

/// The events of a stream up to a cut, and what a strict reader got beyond them.
fn cut(events: &[String], at: usize) -> (String, String) {
    let whole = events.concat();
    // A cut within a character is one before it for a reader of text.
    let at = (0..=at.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).expect("0 is one");
    let sent = &whole[..at];
    (sent.to_owned(), plain(Media::Events, &[part(sent.as_bytes())], Some(Cut::Upstream)))
}

/// The id of the last event that went out whole; the second half of a line end may be missing.
fn last_whole_id(events: &[String], sent: &str) -> String {
    let mut whole = String::new();
    for event in events {
        let end = whole.len() + event.len();
        if sent.len() < end && !(sent.len() + 1 == end && event.ends_with("\r\n")) {
            break;
        }
        whole.push_str(event);
    }
    dispatched(&format!("{whole}data: x\n\n")).0.pop().expect("an event").last_id
}

proptest! {
    /// Wherever a stream of events is cut: whole events, and of them no more than were
    /// whole, then perhaps the cut one under a name that no model's event has, then the error.
    #[test]
    fn r03_a_cut_event_never_counts(events in vec(event(), 0..4), at in 0..200usize) {
        let (sent, out) = cut(&events, at);
        let (mut got, retry) = dispatched(&out);
        let error = got.pop().expect("the error");
        prop_assert_eq!(&error.kind, "error");
        let members: Value = serde_json::from_str(&error.data).expect("JSON");
        prop_assert_eq!(&members["Type"], "InternalStreamFailure");
        let (whole, whole_retry) = dispatched(&events.concat());
        if let Some(last) = got.last().filter(|last| last.kind == "incomplete") {
            // Who goes by the data alone gets no JSON.
            prop_assert!(serde_json::from_str::<Value>(&last.data).is_err(), "{:?}", last);
            got.pop();
        }
        prop_assert!(got.len() <= whole.len());
        prop_assert_eq!(&got[..], &whole[..got.len()], "{:?}", out);
        // What a reader keeps for its next connection is of a whole event.
        prop_assert_eq!(&error.last_id, &last_whole_id(&events, &sent), "{:?}", out);
        let whole_retries = events.concat().split(['\n', '\r']).filter_map(|line| line.strip_prefix("retry:"))
            .map(|text| text.trim_start().to_owned()).collect::<Vec<_>>();
        prop_assert!(retry.is_none_or(|retry| whole_retries.contains(&retry)), "{:?}", whole_retry);
    }

    /// Wherever JSON lines are cut: the whole lines, then perhaps one that is no JSON, then
    /// the error.
    #[test]
    fn r03_a_cut_line_never_counts(
        lines in vec("\\{\"b\":[0-9]{1,4}\\}|[0-9]{2,5}|\"[a-z]{0,5}\"|true| ?[0-9]\\.[0-9]e[0-9]{2}", 0..5), at in 0..99usize,
    ) {
        let whole: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let sent = &whole[..at.min(whole.len())];
        let out = plain(Media::JsonLines, &[part(sent.as_bytes())], Some(Cut::Upstream));
        let mut got = values(&out);
        let error = got.pop().flatten().expect("the error is JSON");
        prop_assert_eq!(&error["Error"]["Type"], "InternalStreamFailure");
        let ended = sent.matches('\n').count();
        let is_within = !sent.is_empty() && !sent.ends_with('\n');
        prop_assert_eq!(got.len(), ended + usize::from(is_within), "{:?}", out);
        if is_within {
            prop_assert_eq!(got.pop(), Some(None), "{:?}", out);
        }
        prop_assert_eq!(&got[..], &values(&whole)[..ended]);
    }
}

/// What names an owner, or is some other text, is no code, and our own text has none (S16).
#[test]
fn s16_an_error_code_that_names_an_owner_is_not_passed_on() {
    for code in ["arn:aws:sagemaker:us-east-1:111122223333:endpoint/iris", "Foo-111122223333", ""] {
        let headers = [(":message-type", "error"), (":error-code", code), (":error-message", "broken")];
        let out = plain(Media::JsonLines, &[frame(&headers, b"")], None);
        assert_eq!(out, "{\"Error\":{\"Message\":\"broken\",\"Type\":\"InternalStreamFailure\"}}\n");
    }
}

/// An id that stands before the cut is of an event that never came: a reader that connects
/// again has to ask for what follows the last whole one.
#[test]
fn r03_the_id_of_an_unfinished_event_is_taken_back() {
    for (sent, out) in [
        ("id: 12\ndata: {\"b\"", "id: 12\ndata: {\"b\"\0\nid: \nevent: incomplete\n\n"),
        (
            "id: 7\ndata: 1\n\nid: 12\ndata: {}\n",
            "id: 7\ndata: 1\n\nid: 12\ndata: {}\nid: 7\ndata: \0\nevent: incomplete\n\n",
        ),
        ("id: 7\ndata: 1\n\nid: 1", "id: 7\ndata: 1\n\nid: 1\0\nevent: incomplete\n\n"),
        ("id: 7\ndata: 1\n\n", "id: 7\ndata: 1\n\n"),
    ] {
        let whole = plain(Media::Events, &[part(sent.as_bytes())], Some(Cut::Upstream));
        let (before, _) = whole.split_once("event: error\n").expect("the error");
        assert_eq!(before, out);
    }
}

/// The readers themselves: whole streams come whole.
#[test]
fn a_whole_stream_is_read_whole() {
    let stream = ": hello\nid: 7\nevent: token\ndata: a\ndata: b\n\ndata: c\r\n\r\nretry: 10\n\ndata: lost";
    let (events, retry) = dispatched(stream);
    let event = |kind: &str, data: &str| Dispatched { kind: kind.into(), data: data.into(), last_id: "7".into() };
    assert_eq!((events, retry), (vec![event("token", "a\nb"), event("message", "c")], Some("10".to_owned())));
    assert_eq!(values("1\n{}\nx\n"), [Some(1.into()), Some(serde_json::json!({})), None]);
}

/// Every cut of one stream, the one of the issue among them.
#[test]
fn r03_every_cut_of_a_stream_gives_whole_events_and_one_error() {
    let events = ["id: 12\nevent: token\ndata: {\"b\":123}\n\n", "data: 4567\n\n", "retry: 89\ndata: x\ndata: y\n\n"];
    let events = events.map(str::to_owned);
    let whole = dispatched(&events.concat()).0;
    for at in 0..=events.concat().len() {
        let (sent, out) = cut(&events, at);
        let got = dispatched(&out).0;
        let known = got.iter().filter(|event| event.kind != "incomplete" && event.kind != "error");
        let known: Vec<_> = known.cloned().collect();
        let complete = sent.matches("\n\n").count();
        assert_eq!(known, whole[..complete], "{out:?}");
        assert_eq!(got.iter().filter(|event| event.kind == "error").count(), 1, "{out:?}");
        assert!(got.len() <= complete + 2, "{out:?}");
    }
}

/// Memory holds one frame at most: the longest that the format allows.
#[test]
fn the_longest_frame_passes() {
    let payload = vec![b'x'; 24 << 20];
    let frame = part(&payload);
    assert!(frame.len() < LONGEST as usize);
    let mut relay = Relay::new(Form::Plain(Media::Events));
    let mut out = 0;
    for piece in frame.chunks(1 << 16) {
        relay.push(Bytes::copy_from_slice(piece));
        out += relay.next().expect("a frame").map_or(0, |piece| piece.len());
        let Relay::Plain(plain) = &relay else { panic!("not plain") };
        assert!(plain.buffer.capacity() < 2 * LONGEST as usize);
    }
    assert_eq!(out, payload.len());
}
