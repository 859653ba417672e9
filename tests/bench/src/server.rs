//! A listener on loopback with a thread for each connection.

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::TcpStreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Result;
use crate::http::{Connection, Stream};

pub struct Server {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves each connection with `serve`, which returns when it ends.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(
        tls: Option<&Arc<ServerConfig>>,
        serve: impl Fn(Connection) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (accepted, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (tls, serve) = (tls.cloned(), Arc::new(serve));
        let acceptor = thread::spawn({
            let (accepted, stop) = (Arc::clone(&accepted), Arc::clone(&stop));
            move || {
                for stream in listener.incoming().flatten() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    accepted.fetch_add(1, Ordering::Relaxed);
                    // A connection that fails here shows as a failed request.
                    let Ok(stream) = wrap(stream, tls.as_ref()) else { continue };
                    let serve = Arc::clone(&serve);
                    thread::spawn(move || serve(Connection::new(stream)));
                }
            }
        });
        Ok(Self { address, accepted, stop, acceptor: Some(acceptor) })
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the acceptor, which is stuck in accept.
        if TcpStream::connect(self.address).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            let _ = acceptor.join();
        }
    }
}

fn wrap(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Result<Box<dyn Stream>> {
    stream.set_nodelay(true)?;
    let socket = Socket(stream);
    Ok(match tls {
        None => Box::new(socket),
        Some(tls) => Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(tls))?, socket)),
    })
}

/// Acknowledges at once what it gets. A client that sends an answer in two small
/// writes (lambda_runtime does) would else wait for the kernel's delayed
/// acknowledgement, 40 ms, and nothing else could be seen beside that.
struct Socket(TcpStream);

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // The kernel forgets it after a while, so it is said each time.
        self.0.set_quickack(true)?;
        self.0.read(into)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
