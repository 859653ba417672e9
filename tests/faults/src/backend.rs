//! STS and SageMaker Runtime of one environment. What it saw of each request is kept,
//! to be held against what the caller got.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use bench::http::{Connection, Head};
use socket2::SockRef;

use crate::lock;
use crate::plan::{Model, Plan, Sts};
use crate::{Result, model, sts};

/// The function's own keys.
pub const OWN_KEY: &str = "ASIAOWNKEYOFTHEFUNCT";
pub const OWN_SECRET: &str = "own-secret-canary";
pub const OWN_TOKEN: &str = "own-token-canary";

/// What reached this backend of one request.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// How each AssumeRole was met.
    pub sts: Vec<Sts>,
    pub model_calls: usize,
    /// The request whose AssumeRole gave the keys of the model call.
    pub keys_of: Option<u64>,
    /// What was not as it should be.
    pub wrong: Vec<String>,
}

impl Trace {
    /// How many of the planned faults the request has met: kept credentials spare it
    /// those of STS, and refused ones those of the model.
    pub fn faults(&self, plan: &Plan) -> u64 {
        let of_sts = self.sts.iter().any(|met| *met != Sts::Well);
        let of_model = self.model_calls > 0 && plan.model != Model::Well;
        u64::from(of_sts) + u64::from(of_model) + u64::from(plan.freeze.is_some())
    }
}

pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    plans: Arc<[Plan]>,
    traces: Mutex<HashMap<u64, Trace>>,
    /// Of whoever serves it, and closed when that ends.
    connections: Mutex<Vec<Weak<TcpStream>>>,
}

impl Backend {
    /// `plans` are those of all environments.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(plans: Arc<[Plan]>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { plans, traces: Mutex::default(), connections: Mutex::default() });
        let serving = Arc::clone(&shared);
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.serve(stream));
            }
        });
        Ok(Self { address, shared })
    }

    pub fn trace(&self, number: u64) -> Trace {
        lock(&self.shared.traces).remove(&number).unwrap_or_default()
    }

    /// Whether requests that nobody has asked about have left a trace.
    pub fn strays(&self) -> Vec<u64> {
        lock(&self.shared.traces).keys().copied().collect()
    }

    /// No more answers on the kept connections; what is sent on them still arrives.
    pub fn half_close(&self) {
        self.each(|stream| drop(stream.shutdown(Shutdown::Write)));
    }

    /// Returns when all of them are reset.
    pub fn reset(&self) {
        self.each(|stream| {
            drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
            // Wakes whoever serves it, and their end closes it.
            drop(stream.shutdown(Shutdown::Read));
        });
        let is_served = || lock(&self.shared.connections).iter().any(|connection| connection.strong_count() > 0);
        while is_served() {
            thread::yield_now();
        }
    }

    fn each(&self, to_do: impl Fn(&TcpStream)) {
        let mut connections = lock(&self.shared.connections);
        connections.retain(|connection| connection.strong_count() > 0);
        connections.iter().filter_map(Weak::upgrade).for_each(|stream| to_do(&stream));
    }
}

/// One side's reading and writing, on a socket that others may reset.
struct Socket(Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(into)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is done with a connection after a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
    Reset,
    /// Nothing more is ever sent on it; it is there until the other side ends it.
    Silence,
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        lock(&self.connections).push(Arc::downgrade(&stream));
        let mut connection = Connection::new(Box::new(Socket(Arc::clone(&stream))));
        while let Ok(Some(head)) = connection.head() {
            let after = match (head.method.as_str(), head.path.as_str()) {
                ("POST", "/") => sts::answer(self, &mut connection, &stream, &head),
                ("POST", _) => model::answer(self, &mut connection, &stream, &head),
                // A function may open its connections with requests of other kinds.
                _ => {
                    stream_write(&stream, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").map(|()| After::Keep)
                }
            };
            match after {
                Ok(After::Keep) => {}
                Ok(After::Silence) => while stream.as_ref().read(&mut [0; 1024]).is_ok_and(|read| read > 0) {},
                Ok(After::Reset) => {
                    drop(SockRef::from(stream.as_ref()).set_linger(Some(Duration::ZERO)));
                    return;
                }
                Ok(After::Close) | Err(_) => return,
            }
        }
    }

    pub(crate) fn plan(&self, number: u64) -> Option<&Plan> {
        self.plans.get(usize::try_from(number).ok()?)
    }

    /// Notes something about a request.
    pub(crate) fn note(&self, number: u64, note: impl FnOnce(&mut Trace)) {
        note(lock(&self.traces).entry(number).or_default());
    }
}

pub(crate) fn stream_write(stream: &Arc<TcpStream>, bytes: &[u8]) -> io::Result<()> {
    stream.as_ref().write_all(bytes)
}

/// The request's whole body.
pub(crate) fn read_body(connection: &mut Connection, head: &Head) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    connection.body(head, &mut |piece| body.extend_from_slice(piece))?;
    Ok(body)
}

/// The access key id of a Signature Version 4.
pub(crate) fn signing_key(head: &Head) -> Option<&str> {
    let (_, credential) = head.header("authorization")?.split_once("Credential=")?;
    credential.split('/').next()
}

/// The keys that the AssumeRole of a request gives out.
pub(crate) fn key(number: u64) -> String {
    format!("ASIA{number:016}")
}

pub(crate) fn token(number: u64) -> String {
    format!("token-canary-{number:016}")
}
