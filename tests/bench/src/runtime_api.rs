//! Lambda's Runtime API for one environment: hands out events, times and checks what
//! comes back (AWS Lambda developer guide, "Using the Lambda runtime API").
//!
//! Events are queued ahead, so that the thread that serves the function's connection
//! need not wake another one between two requests.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64_simd::STANDARD;
use serde_json::Value;

use crate::Result;
use crate::events::Event;
use crate::http::{Connection, Ending, Head};
use crate::pattern::Pattern;
use crate::server::Server;

/// What parts a streamed answer's metadata from its body.
const SEPARATOR: [u8; 8] = [0; 8];
/// Lambda's longest, so that no deadline is near.
const DEADLINE: Duration = Duration::from_mins(15);

/// One request, from the event's first byte to the answer's last.
#[derive(Clone, Copy)]
pub struct Sample {
    pub taken: Duration,
    /// To the first byte of the body, if the answer was streamed.
    pub first_byte: Option<Duration>,
    pub ended: Instant,
}

pub struct RuntimeApi {
    pub server: Server,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Called at the first byte of each streamed body.
    delivered: Mutex<Option<Box<dyn Fn() + Send>>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Event>>,
    given: u64,
    current: Option<(Arc<Event>, Instant)>,
    /// How many samples are waited for.
    wanted: usize,
    samples: Vec<Sample>,
    failure: Option<String>,
    closed: bool,
}

impl RuntimeApi {
    /// # Errors
    /// When there is no free port.
    pub fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let server = Server::start(None, move |mut connection| {
            while let Ok(Some(head)) = connection.head() {
                if let Err(error) = serving.serve(&mut connection, &head) {
                    serving.fail(format!("{}: {error}", head.path));
                    return;
                }
            }
        })?;
        Ok(Self { server, shared })
    }

    /// Calls `tell` whenever the first byte of a streamed body has arrived.
    pub fn on_first_byte(&self, tell: impl Fn() + Send + 'static) {
        *lock(&self.shared.delivered) = Some(Box::new(tell));
    }

    /// Puts `event` into the queue, `times` times.
    pub fn queue(&self, event: &Arc<Event>, times: usize) {
        let mut state = lock(&self.shared.state);
        state.queue.extend(std::iter::repeat_n(Arc::clone(event), times));
        state.wanted = times;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// The samples of all that was queued, or nothing if they are not there within
    /// `patience`.
    ///
    /// # Errors
    /// The first answer that was not the expected one.
    pub fn collect(&self, patience: Duration) -> Result<Option<Vec<Sample>>> {
        let waiting = |state: &mut State| state.failure.is_none() && state.samples.len() < state.wanted;
        let state = lock(&self.shared.state);
        let waited = self.shared.changed.wait_timeout_while(state, patience, waiting);
        let (mut state, timeout) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        match state.failure.take() {
            Some(failure) => Err(failure.into()),
            None if timeout.timed_out() => Ok(None),
            None => Ok(Some(std::mem::take(&mut state.samples))),
        }
    }

    pub fn close(&self) {
        lock(&self.shared.state).closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn serve(&self, connection: &mut Connection, head: &Head) -> io::Result<()> {
        if head.path.ends_with("/next") {
            return self.next(connection);
        }
        if head.path.ends_with("/response") {
            return self.response(connection, head);
        }
        let mut body = Vec::new();
        connection.body(head, &mut |piece| body.extend_from_slice(piece))?;
        self.fail(format!("the function reported {}: {}", head.path, String::from_utf8_lossy(&body)));
        accept(connection)
    }

    fn next(&self, connection: &mut Connection) -> io::Result<()> {
        let idle = |state: &mut State| state.queue.is_empty() && !state.closed;
        let waited = self.changed.wait_while(lock(&self.state), idle);
        let mut state = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(event) = state.queue.pop_front() else { return Err(io::ErrorKind::ConnectionAborted.into()) };
        state.given += 1;
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + DEADLINE;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{:012x}\r\n\
             Lambda-Runtime-Deadline-Ms: {}\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:444455556666:function:bench\r\n\
             Lambda-Runtime-Trace-Id: Root=1-692400e0-0123456789abcdef01234567;Sampled=0\r\n\r\n",
            event.payload.len(),
            state.given,
            deadline.as_millis()
        );
        state.current = Some((Arc::clone(&event), Instant::now()));
        drop(state);
        connection.write(head.as_bytes(), &event.payload)
    }

    fn response(&self, connection: &mut Connection, head: &Head) -> io::Result<()> {
        let Some((event, started)) = lock(&self.state).current.take() else {
            return Err(io::Error::other("an answer that nobody waits for"));
        };
        let streamed = head.header("lambda-runtime-function-response-mode") == Some("streaming");
        let mut answer = Answer::new(&event.answer, streamed);
        let ending = connection.body(head, &mut |piece| {
            if answer.take(piece)
                && let Some(tell) = &*lock(&self.delivered)
            {
                tell();
            }
        })?;
        let ended = Instant::now();
        match answer.check(&ending) {
            Ok(()) => {
                let first_byte = answer.first_byte.map(|at| at - started);
                let mut state = lock(&self.state);
                state.samples.push(Sample { taken: ended - started, first_byte, ended });
                let done = state.samples.len() >= state.wanted;
                drop(state);
                if done {
                    self.changed.notify_all();
                }
            }
            Err(why) => self.fail(why),
        }
        accept(connection)
    }

    fn fail(&self, why: String) {
        let mut state = lock(&self.state);
        if !state.closed {
            state.failure.get_or_insert(why);
        }
        drop(state);
        self.changed.notify_all();
    }
}

fn accept(connection: &mut Connection) -> io::Result<()> {
    connection.write(
        b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n",
        b"{\"status\":\"OK\"}\n",
    )
}

/// An answer as it comes: metadata as JSON, eight NUL bytes and a body if it is
/// streamed, else one JSON text.
struct Answer<'a> {
    expected: &'a Pattern,
    streamed: bool,
    /// The whole buffered answer, or a streamed one's metadata.
    json: Vec<u8>,
    /// Of a streamed body; nothing before it begins.
    received: Option<usize>,
    first_byte: Option<Instant>,
    same: bool,
}

impl<'a> Answer<'a> {
    fn new(expected: &'a Pattern, streamed: bool) -> Self {
        Self { expected, streamed, json: Vec::new(), received: None, first_byte: None, same: true }
    }

    /// Whether the piece holds a streamed body's first byte.
    fn take(&mut self, piece: &[u8]) -> bool {
        let Some(received) = &mut self.received else {
            self.json.extend_from_slice(piece);
            let found = self.json.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
            let Some(end) = found.filter(|_| self.streamed) else { return false };
            self.received = Some(0);
            let body = self.json.split_off(end + SEPARATOR.len());
            self.json.truncate(end);
            return self.take(&body);
        };
        self.same &= self.expected.holds(*received, piece);
        *received += piece.len();
        let is_first = self.first_byte.is_none() && !piece.is_empty();
        if is_first {
            self.first_byte = Some(Instant::now());
        }
        is_first
    }

    fn check(&self, ending: &Ending) -> std::result::Result<(), String> {
        if *ending == Ending::Trailers {
            return Err("the answer was cut".to_owned());
        }
        let json: Value = serde_json::from_slice(&self.json).map_err(|error| format!("an answer's JSON: {error}"))?;
        let text = || String::from_utf8_lossy(&self.json).chars().take(500).collect::<String>();
        if json.get("statusCode").and_then(Value::as_u64) != Some(200) {
            return Err(format!("not 200: {}", text()));
        }
        let whole = if self.streamed {
            self.same && self.received == Some(self.expected.length)
        } else {
            let body = json.get("body").and_then(Value::as_str).unwrap_or_default();
            let is_base64 = json.get("isBase64Encoded") == Some(&Value::Bool(true));
            STANDARD
                .decode_to_vec(body)
                .is_ok_and(|body| is_base64 && body.len() == self.expected.length && self.expected.holds(0, &body))
        };
        if whole { Ok(()) } else { Err(format!("the body is not what the model answered: {}", text())) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed(body: &[u8], step: usize, expected: &Pattern) -> std::result::Result<(), String> {
        let mut answer = Answer::new(expected, true);
        let whole = [br#"{"statusCode":200}"#, &SEPARATOR[..], body].concat();
        let firsts = whole.chunks(step).filter(|piece| answer.take(piece)).count();
        assert_eq!(firsts, usize::from(!body.is_empty()), "the first byte is told once");
        answer.check(&Ending::Plain)
    }

    #[test]
    fn a_streamed_answer_is_checked_however_it_is_cut() {
        let expected = Pattern::answer(1000);
        let right = expected.to_vec();
        for step in [1, 7, 26, 27, 5000] {
            assert_eq!(streamed(&right, step, &expected), Ok(()));
            assert!(streamed(&right[1..], step, &expected).is_err(), "shifted");
            assert!(streamed(&right[..999], step, &expected).is_err(), "short");
            assert!(streamed(&[&right[..], b"x"].concat(), step, &expected).is_err(), "long");
        }
    }

    #[test]
    fn a_buffered_answer_is_checked() {
        let expected = Pattern::answer(1000);
        let mut body = expected.to_vec();
        let check = |status: u16, body: &[u8]| {
            let mut answer = Answer::new(&expected, false);
            let body = STANDARD.encode_to_string(body);
            let json = serde_json::json!({ "statusCode": status, "isBase64Encoded": true, "body": body });
            answer.take(json.to_string().as_bytes());
            answer.check(&Ending::Plain).is_ok()
        };
        assert!(check(200, &body) && !check(500, &body));
        body[10] ^= 1;
        assert!(!check(200, &body));
    }
}
