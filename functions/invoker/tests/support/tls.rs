//! A service on a loopback port over TLS: STS or SageMaker Runtime, whichever is asked.

use std::fs;
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::generate_simple_self_signed;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::backend::CREDENTIALS;
use super::sockets::{PATIENCE, listen, read_exactly, read_head};

pub(crate) struct TlsService {
    pub(crate) address: SocketAddr,
    /// The certificate, for whoever is to trust it.
    pub(crate) roots: PathBuf,
    /// A message for each handshake that has succeeded.
    handshakes: Receiver<()>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    requests: Arc<AtomicUsize>,
}

impl TlsService {
    pub(crate) fn start() -> Self {
        let made = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let config = Arc::new(config);
        let (handshaken, handshakes) = channel();
        let (connections, requests) = (Arc::<Mutex<Vec<TcpStream>>>::default(), Arc::<AtomicUsize>::default());
        let address = {
            let (connections, requests) = (Arc::clone(&connections), Arc::clone(&requests));
            listen(move |stream| {
                connections.lock().unwrap().push(stream.try_clone().unwrap());
                let (config, handshaken, requests) = (Arc::clone(&config), handshaken.clone(), Arc::clone(&requests));
                thread::spawn(move || serve(stream, config, &handshaken, &requests));
            })
        };
        let roots = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("roots-{}.pem", address.port()));
        fs::write(&roots, made.cert.pem()).unwrap();
        Self { address, roots, handshakes, connections, requests }
    }

    /// Waits for the next handshake.
    pub(crate) fn handshake(&self) {
        self.handshakes.recv_timeout(PATIENCE).expect("a handshake");
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Ends every connection from the service's side.
    pub(crate) fn disconnect(&self) {
        for connection in self.connections.lock().unwrap().iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    handshaken: &Sender<()>,
    requests: &AtomicUsize,
) -> Option<()> {
    let mut connection = ServerConnection::new(config).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).ok()?;
    }
    let _ = handshaken.send(());
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    while let Some(head) = read_head(&mut reader) {
        requests.fetch_add(1, Ordering::SeqCst);
        let length = head.headers["content-length"].parse().unwrap();
        read_exactly(&mut reader, length)?;
        let body = if head.line.starts_with("POST / ") { CREDENTIALS } else { b"setosa" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        reader.get_mut().write_all(&[head.as_bytes(), body].concat()).ok()?;
    }
    Some(())
}
