//! Posts answers to Lambda's Runtime API, each within its time.
//!
//! On connections of its own and not through a client with a pool. A reader that takes no more
//! of an answer keeps hyper from ending the connection, because it flushes first what it has
//! buffered; here the connection's task is ended, and with it the answer's body and the socket.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// The Runtime API of this environment; `B` is the body of what is posted.
pub(crate) struct RuntimeApi<B> {
    /// Host and port.
    authority: String,
    host: HeaderValue,
    /// Connections that wait for an answer to post.
    idle: Mutex<Vec<Connection<B>>>,
}

struct Connection<B> {
    sender: SendRequest<B>,
    task: JoinHandle<()>,
}

/// Why an answer was not posted to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPosted {
    /// The time was over. The body is dropped, and the connection closed without the last chunk.
    Late,
    /// No connection could be made, or it broke.
    Broken,
}

impl<B> RuntimeApi<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    /// `authority` is what `AWS_LAMBDA_RUNTIME_API` holds; nothing if that is no host.
    pub(crate) fn at(authority: &str) -> Option<Self> {
        let host = HeaderValue::from_str(authority).ok().filter(|host| !host.is_empty())?;
        Some(Self { authority: authority.to_owned(), host, idle: Mutex::default() })
    }

    /// Posts the answer within the time, and says what the Runtime API answered.
    ///
    /// # Errors
    /// [`NotPosted`]; the body is dropped by then.
    pub(crate) async fn post(&self, mut request: Request<B>, until: Instant) -> Result<StatusCode, NotPosted> {
        request.headers_mut().insert(HOST, self.host.clone());
        loop {
            let (mut connection, is_kept) = match self.kept() {
                Some(kept) => (kept, true),
                None => (timeout_at(until, self.connect()).await.map_err(|_| NotPosted::Late)??, false),
            };
            match timeout_at(until, connection.sender.try_send_request(request)).await {
                Ok(Ok(response)) => {
                    let status = response.status();
                    // Whether the connection can be used again makes no difference to this answer.
                    match timeout_at(until, is_reusable(&mut connection, response)).await {
                        Ok(true) => self.idle().push(connection),
                        _ => connection.end().await,
                    }
                    return Ok(status);
                }
                Ok(Err(mut error)) => match error.take_message() {
                    // The connection ended before anything was written to it.
                    Some(unsent) if is_kept => request = unsent,
                    _ => {
                        connection.end().await;
                        return Err(NotPosted::Broken);
                    }
                },
                Err(_) => {
                    connection.end().await;
                    return Err(NotPosted::Late);
                }
            }
        }
    }

    fn kept(&self) -> Option<Connection<B>> {
        let mut idle = self.idle();
        idle.retain(|connection| connection.sender.is_ready());
        idle.pop()
    }

    async fn connect(&self) -> Result<Connection<B>, NotPosted> {
        let stream = TcpStream::connect(&self.authority).await.map_err(|_| NotPosted::Broken)?;
        // Without this a small part of a streamed answer waits in the kernel until the
        // other side acknowledges the one before: up to 40 ms (Nagle's algorithm).
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| NotPosted::Broken)?;
        // Its errors are those of what it carries.
        let task = tokio::spawn(async move { drop(connection.await) });
        Ok(Connection { sender, task })
    }

    /// Nothing of ours panics while it holds it.
    fn idle(&self) -> MutexGuard<'_, Vec<Connection<B>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another answer can go over the connection after this response to the last one.
///
/// The Runtime API may respond before it has read the whole answer. If it refuses the answer,
/// the rest is for nobody. If it takes the answer, it may still read on, until the deadline.
async fn is_reusable<B>(connection: &mut Connection<B>, response: Response<Incoming>) -> bool {
    response.status().is_success()
        && response.into_body().collect().await.is_ok()
        && connection.sender.ready().await.is_ok()
}

impl<B> Connection<B> {
    /// Ends it at once, whatever it still has to write.
    async fn end(mut self) {
        self.task.abort();
        // An aborted task is dropped by the time it is joined.
        let _ = (&mut self.task).await;
    }
}

impl<B> Drop for Connection<B> {
    /// A task whose handle is dropped runs on by itself, with the answer's body and the socket.
    fn drop(&mut self) {
        self.task.abort();
    }
}
