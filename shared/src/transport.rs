//! HTTP to AWS: hyper over rustls with ring, HTTP/1.1, no proxies and no redirects (S19).
//!
//! Not the SDK's own client: it brings HTTP/2 in, which no service here speaks, and with it
//! a good part of a function's size.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

/// Idle connections are dropped before AWS's front ends drop them (about 20 s for the
/// shortest-lived), so that a thawed function rarely meets a dead one.
pub const IDLE: Duration = Duration::from_secs(15);
/// For TCP and TLS together: the SDK's own limit.
const CONNECT: Duration = Duration::from_millis(3_100);

/// One pool of connections for whatever an SDK client, or one's own call, asks of AWS. A
/// failure to connect, or on the way, is an I/O error, which the SDK tries again.
pub fn connector() -> SharedHttpConnector {
    pool(Connect::trusting_the_system())
}

fn pool(connect: Connect) -> SharedHttpConnector {
    let mut client = Client::builder(TokioExecutor::new());
    // By the monotonic clock, which may stand still while Lambda freezes the function: then a dead
    // connection is used. hyper itself sends again what was not written, and the SDK tries its
    // calls again, as the callback does its PUT. All of these may be made twice; a model's may not,
    // so the invoker has a pool of its own.
    client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    SharedHttpConnector::new(Http(client.build(connect)))
}

struct Http(Client<Connect, SdkBody>);

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Connects within its time, over TLS where the URI says `https`, or not at all.
#[derive(Clone)]
pub struct Connect(HttpsConnector<Tcp>);

impl Connect {
    /// Trusts this system's roots, which are read here.
    pub fn trusting_the_system() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            tracing::error!(target: "sagemaker_external", "no root of trust was found: every TLS connection will fail");
        }
        Self::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Self {
        let mut tcp = Tcp::new();
        tcp.set_nodelay(true);
        // The TLS layer takes `https`.
        tcp.enforce_http(false);
        Self(HttpsConnector::from((tcp, tls(roots))))
    }
}

/// rustls with ring: its first handshake costs a tenth of aws-lc's, whose jitter
/// entropy takes 38 ms of processor time.
fn tls(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
    match ClientConfig::builder_with_provider(provider).with_protocol_versions(versions) {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        Err(_) => unreachable!("ring has suites of both versions"),
    }
}

type Connected = Result<MaybeHttpsStream<TokioIo<TcpStream>>, Box<dyn Error + Send + Sync>>;

impl Service<Uri> for Connect {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Connected> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async { timeout(CONNECT, connecting).await? })
    }
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
