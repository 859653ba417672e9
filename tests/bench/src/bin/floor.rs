//! (b) The floor: the two round trips that a request cannot do without, on the same
//! runtime, HTTP and TLS stack as the invoker, and nothing else: no SDK, no checks, no
//! log. With `FLOOR_SIGNS=1` each is signed, without which AWS would answer neither;
//! else it only bears the key's name, which the backend looks at.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64_simd::STANDARD;
use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyDataStream, BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lambda_runtime::{Error, LambdaEvent, MetadataPrelude, StreamResponse, service_fn};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

#[derive(Deserialize)]
struct Event {
    path: String,
    #[serde(deserialize_with = "decoded")]
    body: Bytes,
}

struct Floor {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    form: Bytes,
    own: Credentials,
    signs: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let floor = &Floor::new()?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| floor.serve(event.payload))).await
}

impl Floor {
    fn new() -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = rustls::crypto::ring::default_provider().into();
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let form = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName=bench&ExternalId={}",
            std::env::var("ROLE_ARN")?,
            std::env::var("EXTERNAL_ID")?
        );
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            url: std::env::var("AWS_ENDPOINT_URL")?,
            form: form.into(),
            own: Credentials::new(
                std::env::var("AWS_ACCESS_KEY_ID")?,
                std::env::var("AWS_SECRET_ACCESS_KEY")?,
                std::env::var("AWS_SESSION_TOKEN").ok(),
                None,
                "own",
            ),
            signs: std::env::var_os("FLOOR_SIGNS").is_some(),
        })
    }

    async fn serve(&self, event: Event) -> Result<StreamResponse<BodyDataStream<Incoming>>, Error> {
        let form = "application/x-www-form-urlencoded";
        let request = self.request("/", form, self.form.clone(), "sts", &self.own)?;
        let given = self.client.request(request).await?.into_body().collect().await?.to_bytes();
        let given = std::str::from_utf8(&given)?;
        let part = |name| element(given, name).ok_or_else(|| format!("no {name}"));
        let (key, secret, token) = (part("AccessKeyId")?, part("SecretAccessKey")?, part("SessionToken")?);
        let assumed = Credentials::new(key, secret, Some(token.to_owned()), None, "assumed");

        let request = self.request(&event.path, "application/octet-stream", event.body, "sagemaker", &assumed)?;
        let (parts, body) = self.client.request(request).await?.into_parts();
        let metadata_prelude = MetadataPrelude { status_code: parts.status, ..MetadataPrelude::default() };
        Ok(StreamResponse { metadata_prelude, stream: BodyDataStream::new(body) })
    }

    fn request(
        &self,
        path: &str,
        content_type: &'static str,
        body: Bytes,
        service: &str,
        credentials: &Credentials,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let url = format!("{}{path}", self.url);
        let request = Request::post(&url).header(CONTENT_TYPE, content_type);
        if !self.signs {
            let named = format!("AWS4-HMAC-SHA256 Credential={}/", credentials.access_key_id());
            let token = credentials.session_token().unwrap_or_default();
            return Ok(request.header(AUTHORIZATION, named).header("x-amz-security-token", token).body(body.into())?);
        }
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [("content-type", content_type)].into_iter();
        let signable = SignableRequest::new("POST", url.as_str(), headers, SignableBody::Bytes(&body))?;
        let (signature, _) = sign(signable, &params)?.into_parts();
        let mut request = request.body(body.into())?;
        signature.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// The text of an XML element that occurs once.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split('<').next()
}

fn decoded<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    struct Decoded;
    impl serde::de::Visitor<'_> for Decoded {
        type Value = Bytes;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("base64")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
            STANDARD.decode_to_vec(text).map(Bytes::from).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Decoded)
}
