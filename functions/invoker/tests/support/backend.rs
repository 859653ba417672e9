//! STS and SageMaker Runtime on a loopback port, HTTP/1.1 by hand.

use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::sockets::{Head, Headers, listen, read_exactly, read_head};

/// A script of SageMaker's side: gets the number of the call and the connection,
/// and says whether the connection is kept.
pub(crate) type Model = dyn Fn(usize, &mut TcpStream) -> bool + Send + Sync;

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
                let length = headers.get("content-length").expect("a POST says how long it is").parse().unwrap();
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

pub(crate) const CREDENTIALS: &[u8] =
    b"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>secret-canary</SecretAccessKey>\
    <SessionToken>token-canary</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
    </AssumeRoleResult></AssumeRoleResponse>";

/// A whole response on a connection that is kept.
pub(crate) fn respond(stream: &mut TcpStream, status: u16, content_type: &str, body: &[u8]) -> bool {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok()
}
