//! The real program between a Runtime API and a backend, all on loopback, HTTP/1.1
//! by hand.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::backend::{Backend, Seen};
use super::{EXTERNAL_ID, REQUEST_ID, ROLE};

/// Nothing here takes longer than this unless something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Headers = HashMap<String, String>;

/// A request line and headers, their names in lower case.
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) headers: Headers,
}

pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<Head> {
    let line = read_line(reader).filter(|line| !line.is_empty())?;
    Some(Head { line, headers: read_headers(reader)? })
}

fn read_headers(reader: &mut impl BufRead) -> Option<Headers> {
    let mut headers = Headers::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Some(headers) };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
}

pub(crate) fn read_exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// A piece of an answer as it reached the Runtime API.
#[derive(Debug)]
pub(crate) enum Piece {
    Head(Headers),
    Chunk(Vec<u8>),
    /// A proper end, with the trailers.
    End(Headers),
    /// The connection broke.
    Broken,
}

/// A whole answer.
pub(crate) struct Posted {
    pub(crate) head: Headers,
    pub(crate) prelude: Value,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
}

pub(crate) struct Program {
    child: Child,
    events: Sender<(Value, Duration)>,
    pieces: Receiver<Piece>,
    backend: Backend,
    log: Option<thread::JoinHandle<String>>,
}

impl Program {
    pub(crate) fn start(model: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::start_set(&[], model)
    }

    pub(crate) fn start_with(
        grants: &str,
        model: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::start_set(&[("GRANTS", grants)], model)
    }

    /// With more of the function's environment than a grant of `iris`.
    pub(crate) fn start_set(
        more: &[(&str, &str)],
        model: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let grants = json!([{ "RoleArn": ROLE, "ExternalId": EXTERNAL_ID, "EndpointNames": ["iris"] }]);
        let backend = Backend::start(model);
        let (events, queue) = channel();
        let (found, pieces) = channel();
        let runtime = serve_runtime(queue, found);
        let mut child = Command::new(env!("CARGO_BIN_EXE_invoker"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "invoker")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDOWN")
            .env("AWS_SECRET_ACCESS_KEY", "own-secret")
            .env("AWS_SESSION_TOKEN", "own-token")
            .env("AWS_ENDPOINT_URL", format!("http://{}", backend.address))
            // Nobody listens there: a client that heeds these gets nowhere (S19).
            .envs(["HTTP_PROXY", "http_proxy", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")))
            .env("GRANTS", grants.to_string())
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let log = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, events, pieces, backend, log: Some(log) }
    }

    pub(crate) fn send(&self, event: &Value) {
        self.send_within(event, Duration::from_secs(60));
    }

    /// An event with a deadline so far away.
    pub(crate) fn send_within(&self, event: &Value, left: Duration) {
        self.events.send((event.clone(), left)).unwrap();
    }

    pub(crate) fn piece(&self) -> Piece {
        self.pieces.recv_timeout(PATIENCE).expect("a piece of an answer")
    }

    pub(crate) fn ask(&self, event: &Value) -> Posted {
        self.send(event);
        self.posted()
    }

    /// The next answer.
    pub(crate) fn posted(&self) -> Posted {
        let Piece::Head(head) = self.piece() else { panic!("no head") };
        let mut whole = Vec::new();
        let trailers = loop {
            match self.piece() {
                Piece::Chunk(chunk) => whole.extend(chunk),
                Piece::End(trailers) => break trailers,
                other => panic!("{other:?}"),
            }
        };
        let (prelude, body) = parted(&whole);
        Posted { head, prelude, body: body.to_vec(), trailers }
    }

    /// Calls of STS, and calls of SageMaker Runtime.
    pub(crate) fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        self.backend.seen()
    }

    pub(crate) fn connections(&self) -> usize {
        self.backend.connections()
    }

    pub(crate) fn disconnect(&self) {
        self.backend.disconnect();
    }

    /// Stops the process, as Lambda does between requests.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
        let stat = format!("/proc/{}/stat", self.child.id());
        let is_stopped = || std::fs::read_to_string(&stat).unwrap().rsplit_once(") ").unwrap().1.starts_with('T');
        while !is_stopped() {
            thread::yield_now();
        }
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The process's peak of resident memory in KiB.
    pub(crate) fn peak_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends the program; everything it logged.
    pub(crate) fn stop(mut self) -> String {
        self.child.kill().unwrap();
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Whatever the test was about, nothing secret is in what was printed (S15).
        if let Some(log) = self.log.take().filter(|_| !thread::panicking()) {
            captured::assert_none("the program's log", log.join().unwrap().as_bytes(), captured::PLANTED);
        }
    }
}

/// The metadata and the body, apart.
pub(crate) fn parted(whole: &[u8]) -> (Value, &[u8]) {
    let nul = whole.windows(8).position(|window| window == [0; 8]).expect("eight NUL bytes");
    (serde_json::from_slice(&whole[..nul]).expect("metadata"), &whole[nul + 8..])
}

pub(crate) fn listen(mut connection: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| connection(stream.unwrap())));
    address
}

/// What a Runtime API does with an answer; the event's member `reader` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Takes it as it comes, and says so at its end.
    Takes,
    /// Reads no more than its head, and keeps the connection.
    Stalls,
    /// As `Stalls`, but says at once that it does not take the answer.
    RefusesEarly,
    /// Reads its head, then nothing for so many milliseconds, then all of it.
    Pauses(u64),
    /// Reads all of it, and never says so.
    NeverAnswers,
}

impl Reader {
    fn of(event: &Value) -> Self {
        match (event["reader"].as_str(), event["reader"].as_u64()) {
            (Some("stalls"), _) => Self::Stalls,
            (Some("refuses early"), _) => Self::RefusesEarly,
            (Some("never answers"), _) => Self::NeverAnswers,
            (_, Some(pause)) => Self::Pauses(pause),
            _ => Self::Takes,
        }
    }
}

/// Whose end the other side decides on.
fn wait_for_the_end(stream: &mut TcpStream) {
    while stream.peek(&mut [0]).is_ok_and(|_| stream.take_error().is_ok_and(|error| error.is_none())) {
        thread::sleep(Duration::from_millis(20));
    }
}

fn serve_runtime(queue: Receiver<(Value, Duration)>, pieces: Sender<Piece>) -> SocketAddr {
    let queue = Arc::new(Mutex::new(queue));
    let of_event = Arc::new(Mutex::new(Reader::Takes));
    listen(move |mut stream| {
        let (queue, pieces, of_event) = (Arc::clone(&queue), pieces.clone(), Arc::clone(&of_event));
        thread::spawn(move || {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some(head) = read_head(&mut reader) {
                if head.line.starts_with("GET /2018-06-01/runtime/invocation/next ") {
                    let Ok((event, left)) = queue.lock().unwrap().recv() else { return };
                    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + left;
                    *of_event.lock().unwrap() = Reader::of(&event);
                    let body = event.to_string();
                    // Beside the event, as Lambda gives it.
                    let trace =
                        event.get("traceHeader").and_then(Value::as_str).unwrap_or("Root=1-0;Parent=0;Sampled=0");
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {REQUEST_ID}\r\n\
                         Lambda-Runtime-Deadline-Ms: {}\r\nLambda-Runtime-Invocation-Id: invocation-1\r\n\
                         Lambda-Runtime-Trace-Id: {trace}\r\n\
                         Content-Length: {}\r\n\r\n",
                        deadline.as_millis(),
                        body.len()
                    );
                    stream.write_all((head + &body).as_bytes()).unwrap();
                } else {
                    assert_eq!(
                        head.line,
                        format!("POST /2018-06-01/runtime/invocation/{REQUEST_ID}/response HTTP/1.1")
                    );
                    let _ = pieces.send(Piece::Head(head.headers));
                    let of_event = *of_event.lock().unwrap();
                    match of_event {
                        Reader::Stalls => return wait_for_the_end(&mut stream),
                        Reader::RefusesEarly => {
                            stream.write_all(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
                            return wait_for_the_end(&mut stream);
                        }
                        Reader::Pauses(milliseconds) => thread::sleep(Duration::from_millis(milliseconds)),
                        Reader::Takes | Reader::NeverAnswers => {}
                    }
                    if read_chunks(&mut reader, &pieces).is_none() {
                        let _ = pieces.send(Piece::Broken);
                        return;
                    }
                    if of_event == Reader::NeverAnswers {
                        return wait_for_the_end(&mut stream);
                    }
                    stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").unwrap();
                }
            }
        });
    })
}

fn read_chunks(reader: &mut impl BufRead, pieces: &Sender<Piece>) -> Option<()> {
    loop {
        let size = usize::from_str_radix(&read_line(reader)?, 16).ok()?;
        if size == 0 {
            let _ = pieces.send(Piece::End(read_headers(reader)?));
            return Some(());
        }
        let chunk = read_exactly(reader, size)?;
        read_line(reader)?;
        let _ = pieces.send(Piece::Chunk(chunk));
    }
}
