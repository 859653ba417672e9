//! The real program between a Runtime API and a backend (STS and SageMaker
//! Runtime), all on loopback, HTTP/1.1 by hand.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{EXTERNAL_ID, REQUEST_ID, ROLE};

/// Nothing here takes longer than this unless something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

type Headers = HashMap<String, String>;

/// A request line and headers, their names in lower case.
struct Head {
    line: String,
    headers: Headers,
}

fn read_head(reader: &mut impl BufRead) -> Option<Head> {
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

fn read_exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
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

/// What a backend saw of one call.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// STS, which gives credentials, and SageMaker Runtime as scripted.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Connections,
}

/// Every connection that the backend has taken.
type Connections = Arc<Mutex<Vec<TcpStream>>>;

impl Backend {
    pub(crate) fn start(model: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let (seen, connections) = (Arc::default(), Arc::default());
        let address = serve_backend(Arc::new(model), Arc::clone(&seen), Arc::clone(&connections));
        Self { address, seen, connections }
    }

    /// Calls of STS, and calls of SageMaker Runtime.
    pub(crate) fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        self.seen.lock().unwrap().iter().cloned().partition(|seen| seen.path == "/")
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    /// Ends every connection from the backend's side.
    pub(crate) fn disconnect(&self) {
        for connection in self.connections.lock().unwrap().iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

pub(crate) struct Program {
    child: Child,
    events: Sender<(Value, Duration)>,
    pieces: Receiver<Piece>,
    backend: Backend,
    log: Option<thread::JoinHandle<String>>,
}

/// A script of SageMaker's side: gets the number of the call and the connection,
/// and says whether the connection is kept.
pub(crate) type Model = dyn Fn(usize, &mut TcpStream) -> bool + Send + Sync;

impl Program {
    pub(crate) fn start(model: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let grants = json!([{ "RoleArn": ROLE, "ExternalId": EXTERNAL_ID, "EndpointNames": ["iris"] }]);
        Self::start_with(&grants.to_string(), model)
    }

    pub(crate) fn start_with(
        grants: &str,
        model: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
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
            .env("GRANTS", grants)
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
    }
}

/// The metadata and the body, apart.
pub(crate) fn parted(whole: &[u8]) -> (Value, &[u8]) {
    let nul = whole.windows(8).position(|window| window == [0; 8]).expect("eight NUL bytes");
    (serde_json::from_slice(&whole[..nul]).expect("metadata"), &whole[nul + 8..])
}

fn listen(mut connection: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| connection(stream.unwrap())));
    address
}

fn serve_runtime(queue: Receiver<(Value, Duration)>, pieces: Sender<Piece>) -> SocketAddr {
    let queue = Arc::new(Mutex::new(queue));
    listen(move |mut stream| {
        let (queue, pieces) = (Arc::clone(&queue), pieces.clone());
        thread::spawn(move || {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some(head) = read_head(&mut reader) {
                if head.line.starts_with("GET /2018-06-01/runtime/invocation/next ") {
                    let Ok((event, left)) = queue.lock().unwrap().recv() else { return };
                    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + left;
                    let body = event.to_string();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {REQUEST_ID}\r\n\
                         Lambda-Runtime-Deadline-Ms: {}\r\nLambda-Runtime-Invocation-Id: invocation-1\r\n\
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
                    if read_chunks(&mut reader, &pieces).is_none() {
                        let _ = pieces.send(Piece::Broken);
                        return;
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

/// Custom attributes that make the backend reset the connection once it has the
/// headers of a call, before it reads the body.
pub(crate) const RESET_BEFORE_BODY: &str = "reset before the body";

fn serve_backend(model: Arc<Model>, seen: Arc<Mutex<Vec<Seen>>>, connections: Connections) -> SocketAddr {
    listen(move |mut stream| {
        connections.lock().unwrap().push(stream.try_clone().unwrap());
        let (model, seen) = (Arc::clone(&model), Arc::clone(&seen));
        thread::spawn(move || {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some(Head { line, headers }) = read_head(&mut reader) {
                let path = line.split(' ').nth(1).unwrap().to_owned();
                if headers.get("x-amzn-sagemaker-custom-attributes").is_some_and(|text| text == RESET_BEFORE_BODY) {
                    seen.lock().unwrap().push(Seen { path, headers, body: Vec::new() });
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
                let Some(body) = read_exactly(&mut reader, length) else { return };
                let is_sts = path == "/";
                let number = {
                    let mut seen = seen.lock().unwrap();
                    let number = seen.iter().filter(|seen| seen.path != "/").count();
                    seen.push(Seen { path, headers, body });
                    number
                };
                let kept = if is_sts {
                    respond(&mut stream, 200, "text/xml", CREDENTIALS)
                } else {
                    model(number, &mut stream)
                };
                if !kept {
                    return;
                }
            }
        });
    })
}

const CREDENTIALS: &[u8] =
    b"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>secret-canary</SecretAccessKey>\
    <SessionToken>token-canary</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
    </AssumeRoleResult></AssumeRoleResponse>";

/// A whole response on a connection that is kept.
pub(crate) fn respond(stream: &mut TcpStream, status: u16, content_type: &str, body: &[u8]) -> bool {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok()
}
