//! HTTP to AWS: the only file that sends.
//!
//! HTTP/1.1, no proxies and no redirects (S19). The pool is small and our own, for two
//! things that an ordinary client does not tell or do: whether a request was certainly
//! never sent (R04), and connections that are made before the first request.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use lambda_runtime::Service as _;
use sagemaker_external::transport::{Connect, IDLE};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// No connection could be made: nothing of the request was sent.
    Unsent(Obstacle),
    /// The request may have been sent.
    Broken,
}

/// What was in the way of a connection, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Neither TCP nor TLS within their time.
    Slow,
    /// The certificate, or another part of TLS.
    Tls,
    /// DNS, TCP, or the connection ended at once.
    Other,
}

impl Lost {
    /// As the log has it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unsent(Obstacle::Slow) => "ConnectTimeout",
            Self::Unsent(Obstacle::Tls) => "ConnectTls",
            Self::Unsent(Obstacle::Other) | Self::Broken => "Connection",
        }
    }
}

impl Obstacle {
    fn of(error: &(dyn Error + Send + Sync + 'static)) -> Self {
        // rustls says what is wrong with a peer by this kind.
        let is_tls = |error: &io::Error| error.kind() == io::ErrorKind::InvalidData;
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            match error.downcast_ref::<io::Error>() {
                _ if error.is::<Elapsed>() => return Self::Slow,
                Some(error) if is_tls(error) => return Self::Tls,
                // What it wraps is no source of it.
                Some(wrapper) => cause = wrapper.get_ref().map(|inner| inner as &(dyn Error + 'static)),
                None => cause = error.source(),
            }
        }
        Self::Other
    }
}

pub type Answered = Result<Response<SdkBody>, Lost>;

/// Whether anything of a request may have been sent: for whoever stops waiting, and has to
/// know whether the service may have got it.
#[derive(Debug, Default)]
pub struct Sending(AtomicBool);

impl Sending {
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set_begun(&self, has_begun: bool) {
        self.0.store(has_begun, Ordering::Relaxed);
    }
}

/// How requests reach a service; tests put a stand-in here.
pub trait Http: Send + Sync {
    /// Sends the request, whose URI is absolute, once, and notes when that begins.
    fn send<'a>(
        &'a self,
        request: Request<Bytes>,
        sending: &'a Sending,
    ) -> Pin<Box<dyn Future<Output = Answered> + Send + 'a>>;

    /// Makes a connection for a first request to `uri`, if it is worth it. Whether that
    /// comes about makes no difference but time.
    fn prepare<'a>(&'a self, uri: &'a Uri) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// A pool of connections.
#[derive(Default)]
pub struct Pool {
    idle: Arc<Idle>,
    /// The roots of trust, read when the first connection needs them.
    connector: OnceLock<Connect>,
}

/// Connections that wait for a request, by where they lead; the last used comes last.
type Idle = Mutex<HashMap<Place, Vec<Connection>>>;

type Place = (Scheme, Authority);

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    since: Moment,
}

/// A moment on two clocks: the monotonic one may stand still while Lambda freezes the
/// process, and the wall clock may be set.
#[derive(Debug, Clone, Copy)]
struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// How old it is by the clock that went on further. A connection that is taken for too
    /// old costs a handshake; one that is taken for too young may be dead.
    fn age(self, now: Self) -> Duration {
        let by_wall = now.wall.duration_since(self.wall).unwrap_or_default();
        now.monotonic.saturating_duration_since(self.monotonic).max(by_wall)
    }
}

impl Http for Pool {
    fn send<'a>(
        &'a self,
        request: Request<Bytes>,
        sending: &'a Sending,
    ) -> Pin<Box<dyn Future<Output = Answered> + Send + 'a>> {
        Box::pin(self.exchange(request, sending))
    }

    /// Of plain HTTP a connection costs next to nothing.
    fn prepare<'a>(&'a self, uri: &'a Uri) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if uri.scheme() == Some(&Scheme::HTTPS)
                && let Ok(sender) = self.connect(uri).await
                && let Some(place) = place(uri)
            {
                park(&self.idle, place, sender);
            }
        })
    }
}

impl Pool {
    async fn exchange(&self, request: Request<Bytes>, sending: &Sending) -> Answered {
        let uri = request.uri().clone();
        let place = place(&uri).ok_or(Lost::Unsent(Obstacle::Other))?;
        let mut request = request.map(Full::new);
        // HTTP/1.1 wants the path alone; the host stands in a header.
        *request.uri_mut() = uri.path_and_query().map(|path| path.clone().into()).unwrap_or_default();
        loop {
            let (mut sender, is_kept) = match self.kept(&place).await {
                Some(sender) => (sender, true),
                None => (self.connect(&uri).await?, false),
            };
            sending.set_begun(true);
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.keep(place, sender);
                    return Ok(response.map(SdkBody::from_body_1_x));
                }
                Err(mut error) => match error.take_message() {
                    // The connection ended before anything was written to it.
                    Some(unsent) if is_kept => {
                        sending.set_begun(false);
                        request = unsent;
                    }
                    Some(_) => return Err(Lost::Unsent(Obstacle::Other)),
                    None => return Err(Lost::Broken),
                },
            }
        }
    }

    /// A connection that is still good. One look at the sockets tells which were closed
    /// meanwhile, as while Lambda froze the process, and which have just become free.
    async fn kept(&self, place: &Place) -> Option<SendRequest<Full<Bytes>>> {
        tokio::task::yield_now().await;
        let now = Moment::now();
        let mut idle = locked(&self.idle);
        let kept = idle.get_mut(place)?;
        kept.retain(|connection| connection.since.age(now) < IDLE && connection.sender.is_ready());
        kept.pop().map(|last| last.sender)
    }

    /// Puts the connection back once the answer has been read to its end.
    fn keep(&self, place: Place, mut sender: SendRequest<Full<Bytes>>) {
        if sender.is_ready() {
            return park(&self.idle, place, sender);
        }
        let idle = Arc::clone(&self.idle);
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                park(&idle, place, sender);
            }
        });
    }

    async fn connect(&self, uri: &Uri) -> Result<SendRequest<Full<Bytes>>, Lost> {
        let mut connector = self.connector.get_or_init(Connect::trusting_the_system).clone();
        let stream = connector.call(uri.clone()).await;
        let stream = stream.map_err(|error| Lost::Unsent(Obstacle::of(&*error)))?;
        let (sender, connection) = handshake(stream).await.map_err(|_| Lost::Unsent(Obstacle::Other))?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn place(uri: &Uri) -> Option<Place> {
    Some((uri.scheme()?.clone(), uri.authority()?.clone()))
}

fn park(idle: &Idle, place: Place, sender: SendRequest<Full<Bytes>>) {
    locked(idle).entry(place).or_default().push(Connection { sender, since: Moment::now() });
}

/// Nothing of ours panics while it holds one of these.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
