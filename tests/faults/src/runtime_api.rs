//! Lambda's Runtime API for one environment: one event at a time, and what comes back.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bench::http::{Connection, Ending, Head};
use bench::server::Server;
use serde_json::Value;

use crate::plan::Plan;
use crate::{Result, lock};

/// What parts an answer's metadata from its body.
const SEPARATOR: [u8; 8] = [0; 8];
/// A function that answers this late after Lambda would have ended it hangs for good.
const GRACE: Duration = Duration::from_secs(5);

pub struct RuntimeApi {
    pub server: Server,
    events: Sender<Given>,
    answers: Receiver<Answer>,
}

/// An event with its head, ready to be sent.
struct Given {
    id: String,
    deadline: Duration,
    payload: Vec<u8>,
}

/// What the function posted for one request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub id: String,
    pub status: u16,
    pub headers: Value,
    pub body: Vec<u8>,
    /// Its metadata as it came.
    pub prelude: Vec<u8>,
    /// Ended with an error's trailers.
    pub is_cut: bool,
    pub ended: Instant,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(Value::as_str)
    }
}

/// What came of one request.
pub enum Outcome {
    Answered(Answer),
    /// Nothing, though Lambda's time is over.
    Hang,
    /// What is no answer: an error report, a broken connection, another request's id.
    Wrong(String),
}

impl RuntimeApi {
    /// # Errors
    /// When there is no free port.
    pub fn start() -> Result<Self> {
        let (events, queue) = channel::<Given>();
        let (posted, answers) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let posted = Mutex::new(posted);
        let server = Server::start(None, move |mut connection| {
            let posted = lock(&posted).clone();
            while let Ok(Some(head)) = connection.head() {
                if serve(&mut connection, &head, &queue, &posted).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { server, events, answers })
    }

    /// Hands out the request's event and waits for its answer, and for its deadline.
    pub fn ask(&self, plan: &Plan) -> (Outcome, Instant) {
        let payload = plan.event().to_string().into_bytes();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ends = Instant::now() + plan.time();
        let given = Given { id: plan.id(), deadline: now + plan.time(), payload };
        if self.events.send(given).is_err() {
            return (Outcome::Wrong("the Runtime API has ended".to_owned()), ends);
        }
        let outcome = match self.answers.recv_timeout(plan.time() + GRACE) {
            Ok(answer) if answer.id.is_empty() => Outcome::Wrong(String::from_utf8_lossy(&answer.body).into_owned()),
            Ok(answer) if answer.id != plan.id() => {
                Outcome::Wrong(format!("an answer to {} instead of {}", answer.id, plan.id()))
            }
            Ok(answer) => Outcome::Answered(answer),
            Err(RecvTimeoutError::Timeout) => Outcome::Hang,
            Err(RecvTimeoutError::Disconnected) => Outcome::Wrong("the Runtime API has ended".to_owned()),
        };
        (outcome, ends)
    }

    /// An answer that nobody has asked for.
    pub fn surplus(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

fn serve(
    connection: &mut Connection,
    head: &Head,
    queue: &Mutex<Receiver<Given>>,
    posted: &Sender<Answer>,
) -> io::Result<()> {
    if head.path.ends_with("/next") {
        let Ok(given) = lock(queue).recv() else { return Err(io::ErrorKind::ConnectionAborted.into()) };
        let line = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Lambda-Runtime-Aws-Request-Id: {}\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:444455556666:function:invoker\r\n\r\n",
            given.payload.len(),
            given.id,
            given.deadline.as_millis()
        );
        return connection.write(line.as_bytes(), &given.payload);
    }
    let mut bytes = Vec::new();
    let ending = connection.body(head, &mut |piece| bytes.extend_from_slice(piece));
    let answer = match (head.path.strip_suffix("/response"), &ending) {
        (Some(path), Ok(ending)) => parse(path.rsplit('/').next().unwrap_or_default(), bytes, ending),
        (Some(_), Err(error)) => wrong(&format!("an answer broke off: {error}")),
        (None, _) => wrong(&format!("the function reported {}: {}", head.path, String::from_utf8_lossy(&bytes))),
    };
    let _ = posted.send(answer);
    ending?;
    connection.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", b"")
}

fn parse(id: &str, mut bytes: Vec<u8>, ending: &Ending) -> Answer {
    let Some(end) = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) else {
        return wrong("an answer without metadata");
    };
    let body = bytes.split_off(end + SEPARATOR.len());
    bytes.truncate(end);
    let prelude: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let status = prelude.get("statusCode").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    Answer {
        id: id.to_owned(),
        status: status.unwrap_or_default(),
        headers: prelude.get("headers").cloned().unwrap_or_default(),
        body,
        prelude: bytes,
        is_cut: *ending == Ending::Trailers,
        ended: Instant::now(),
    }
}

/// No id says that it is none.
fn wrong(why: &str) -> Answer {
    Answer {
        id: String::new(),
        status: 0,
        headers: Value::Null,
        body: why.into(),
        prelude: Vec::new(),
        is_cut: false,
        ended: Instant::now(),
    }
}
