//! Answers of the real program reach the Runtime API as SageMaker sends them: in
//! the order of events, and in constant memory.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use invoker::operation::Operation;
use serde_json::Value;

use crate::support::frames::part;
use crate::support::sockets::{PATIENCE, Piece, Program, parted};
use crate::support::{event, event_of, with};

/// A way in which an answer can come.
struct Way {
    name: &'static str,
    event: Value,
    /// How the model writes a part.
    written: fn(&[u8]) -> Vec<u8>,
    /// What the client gets of it.
    got: fn(&[u8]) -> Vec<u8>,
}

fn ways() -> [Way; 3] {
    let stream = event_of(Operation::InvokeEndpointWithResponseStream);
    let plain = with(stream.clone(), "Accept", "text/event-stream");
    [
        Way { name: "whole", event: event(), written: <[u8]>::to_vec, got: <[u8]>::to_vec },
        Way { name: "frames", event: stream, written: part, got: part },
        Way { name: "plain", event: plain, written: part, got: <[u8]>::to_vec },
    ]
}

fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
    stream.write_all(bytes)?;
    stream.write_all(b"\r\n")
}

/// The first part is delivered before the model makes the second: it makes it only
/// when it is told so.
#[test]
fn a_part_is_delivered_before_the_next_is_made() {
    for Way { name, event, written, got } in ways() {
        let (go_on, wait) = channel();
        let wait = Mutex::new(wait);
        let program = Program::start(move |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            chunk(stream, &written(b"first")).unwrap();
            wait.lock().unwrap().recv_timeout(PATIENCE).expect("the first part was not delivered");
            chunk(stream, &written(b"second")).unwrap();
            stream.write_all(b"0\r\n\r\n").is_ok()
        });
        program.send(&event);
        let mut whole = Vec::new();
        let mut told = false;
        loop {
            match program.piece() {
                Piece::Head(_) => {}
                Piece::Chunk(chunk) => whole.extend(chunk),
                Piece::End(_) => break,
                Piece::Broken => panic!("broken"),
            }
            if !told && whole.ends_with(&got(b"first")) {
                go_on.send(()).unwrap();
                told = true;
            }
        }
        assert_eq!(parted(&whole).1, [got(b"first"), got(b"second")].concat(), "{name}");
    }
}

/// Each way in a process of its own, whose high-water mark is then its peak.
#[test]
fn an_answer_of_100_mb_passes_in_constant_memory() {
    const MB: usize = 100;
    for Way { name, event, written, got } in ways() {
        let program = Program::start(move |_, stream| {
            let piece = written(&one_mib());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", MB * piece.len());
            stream.write_all(head.as_bytes()).unwrap();
            (0..MB).all(|_| stream.write_all(&piece).is_ok())
        });
        let posted = program.ask(&event);
        let piece = got(&one_mib());
        assert_eq!(posted.body.len(), MB * piece.len(), "{name}");
        assert!(posted.body.chunks(piece.len()).all(|chunk| chunk == piece), "{name}: the bytes changed");
        println!("{name}: peak {} KiB", program.peak_kib());
        assert!(program.peak_kib() < 32 << 10, "{name}: {} KiB", program.peak_kib());
    }
}

fn one_mib() -> Vec<u8> {
    (0..=255).cycle().take(1 << 20).collect()
}
