//! A reader that takes no more of an answer: the environment is free by the deadline, and
//! what can still be told is told.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use invoker::operation::Operation;
use serde_json::{Value, json};

use crate::support::backend::respond;
use crate::support::frames::part;
use crate::support::sockets::{Piece, Program};
use crate::support::{event, event_of, with};

const LEFT: Duration = Duration::from_secs(3);
/// More than all buffers on the way hold.
const MUCH: usize = 64 << 20;

/// Sends a long answer for as long as it is read.
fn write_much(stream: &mut TcpStream, part: &[u8]) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
    let mut is_read = stream.write_all(head.as_bytes()).is_ok();
    for _ in 0..MUCH / part.len() {
        is_read = is_read && stream.write_all(part).is_ok();
    }
    false
}

fn read_by(mut event: Value, reader: Value) -> Value {
    event["reader"] = reader;
    event
}

/// What the program logged, by its one line a request.
fn requests(program: Program) -> Vec<Value> {
    let lines = program.stop();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line["message"] == "request").collect()
}

#[test]
fn r13_a_reader_that_stalls_holds_the_environment_no_longer_than_the_deadline() {
    let plain = event_of(Operation::InvokeEndpointWithResponseStream);
    for event_of_stalled in [event(), plain.clone(), with(plain, "Accept", "text/event-stream")] {
        let program = Program::start(|call, stream| match call {
            0 => write_much(stream, &part(&[b'x'; 16 << 10])),
            _ => respond(stream, 200, "text/plain", b"the next"),
        });
        let began = Instant::now();
        program.send_within(&read_by(event_of_stalled, json!("stalls")), LEFT);
        assert!(matches!(program.piece(), Piece::Head(_)));
        assert_eq!(program.ask(&event()).body, b"the next");
        let took = began.elapsed();
        assert!(Duration::from_secs(2) < took, "{took:?}");
        let lines = requests(program);
        let [stalled, next] = &lines[..] else { panic!("two lines: {lines:?}") };
        assert_eq!((&stalled["ended"], &stalled["ErrorCode"]), (&json!("not taken"), &json!("AnswerNotTaken")));
        assert_eq!((&stalled["level"], &next["ended"]), (&json!("ERROR"), &json!("whole")));
        assert!(stalled["total_ms"].as_f64().is_some_and(|total| total < 3_000.0), "{stalled}");
    }
}

/// The rest of a refused answer is for nobody: it ends at once, and with it the call of the
/// endpoint, long before the deadline.
#[test]
fn r13_a_reader_that_refuses_early_holds_the_environment_no_longer() {
    let program = Program::start(|call, stream| match call {
        0 => write_much(stream, &part(&[b'x'; 16 << 10])),
        _ => respond(stream, 200, "text/plain", b"the next"),
    });
    program.send(&read_by(event(), json!("refuses early")));
    assert!(matches!(program.piece(), Piece::Head(_)));
    // Sooner than PATIENCE, while the deadline is a minute away.
    assert_eq!(program.ask(&event()).body, b"the next");
    let lines = requests(program);
    let [refused, next] = &lines[..] else { panic!("two lines: {lines:?}") };
    assert_eq!((&refused["ended"], &next["ended"]), (&json!("not taken"), &json!("whole")));
}

/// It has read everything, and only its last word is missing.
#[test]
fn r13_a_reader_that_never_answers_holds_the_environment_no_longer_than_the_deadline() {
    let program = Program::start(|_, stream| respond(stream, 200, "text/plain", b"well"));
    let began = Instant::now();
    program.send_within(&read_by(event(), json!("never answers")), LEFT);
    assert!(program.posted().trailers.is_empty());
    assert_eq!(program.ask(&event()).body, b"well");
    // The whole second request is in it.
    let took = began.elapsed();
    assert!(took < LEFT + Duration::from_secs(2), "{took:?}");
    assert!(requests(program).iter().all(|line| line["ended"] == "whole"));
}

/// Whoever reads on before the deadline learns that the answer is cut.
#[test]
fn r13_a_reader_that_pauses_gets_the_cut_in_the_trailers() {
    let program = Program::start(|_, stream| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
        let written = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b'x'; MUCH / 2]));
        // Then nothing more comes.
        written.is_ok() && std::io::Read::read(stream, &mut [0]).is_ok_and(|read| read > 0)
    });
    let began = Instant::now();
    program.send_within(&read_by(event(), json!(500)), Duration::from_secs(5));
    let posted = program.posted();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(posted.trailers["lambda-runtime-function-error-type"], "Runtime.DeadlineCut");
    assert_eq!(posted.body.len(), MUCH / 2);
    let [line] = &requests(program)[..] else { panic!("one line") };
    assert_eq!((&line["ended"], &line["ErrorCode"]), (&json!("cut"), &json!("AnswerOutOfTime")));
}
