use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use aws_smithy_types::byte_stream::ByteStream;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::time::Instant;

use super::*;

/// Serves connections one after the other, each with as many answers as are asked for. The
/// bytes "CONNECTION-REQUEST" say which request of which connection it was.
fn serve<S: Read + Write>(wrap: impl Fn(TcpStream) -> S + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let mut stream = wrap(stream.unwrap());
            for request in 0.. {
                if !read_head(&mut stream) {
                    break;
                }
                let location = "location: http://127.0.0.1:1/\r\n";
                let answer = format!("HTTP/1.1 302 Found\r\n{location}content-length: 3\r\n\r\n{connection}-{request}");
                stream.write_all(answer.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
        }
    });
    address
}

/// Reads a request without a body; `false` at the end of the connection.
fn read_head(stream: &mut impl Read) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if !stream.read(&mut byte).is_ok_and(|read| read == 1) {
            return false;
        }
        head.extend(byte);
    }
    true
}

async fn get(connector: &SharedHttpConnector, uri: String) -> Result<(u16, String), ConnectorError> {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(uri).unwrap();
    let answer = connector.call(request).await?;
    let status = answer.status().as_u16();
    let body = ByteStream::new(answer.into_body()).collect().await.unwrap();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// Calls one after the other share a connection; S19: a redirect is an answer like others.
#[tokio::test]
async fn s19_a_connection_is_kept_and_a_redirect_not_followed() {
    let address = serve(|stream| stream);
    let connector = pool(Connect::trusting(RootCertStore::empty()));
    for request in 0..3 {
        let answer = get(&connector, format!("http://{address}/?n={request}")).await.unwrap();
        assert_eq!(answer, (302, format!("0-{request}")));
    }
}

/// Who shows a certificate of another root is not spoken to.
#[tokio::test]
async fn tls_is_spoken_with_whom_a_root_vouches_for_alone() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let server = Arc::new(server);
    let address = serve(move |stream| StreamOwned::new(ServerConnection::new(Arc::clone(&server)).unwrap(), stream));
    let uri = |path: &str| format!("https://localhost:{}/{path}", address.port());
    let error = get(&pool(Connect::trusting(RootCertStore::empty())), uri("")).await.unwrap_err();
    assert!(error.is_io(), "{error:?}");
    assert_eq!(get(&pool(Connect::trusting(roots)), uri("")).await.unwrap(), (302, "1-0".to_owned()));
}

/// Both are what the SDK tries again.
#[tokio::test(start_paused = true)]
async fn who_does_not_answer_a_connection_is_given_up_in_time() {
    let connector = pool(Connect::trusting(RootCertStore::empty()));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(get(&connector, format!("http://{closed}/")).await.unwrap_err().is_io());
    // It takes the connection and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let error = get(&connector, format!("https://{}/", silent.local_addr().unwrap())).await.unwrap_err();
    assert!(error.is_io(), "{error:?}");
    assert_eq!(start.elapsed().as_millis() / 100, CONNECT.as_millis() / 100);
}
