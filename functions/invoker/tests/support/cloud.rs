//! STS and SageMaker Runtime in place of connections to them: what they answer is
//! scripted per call, and what they were sent is kept. An SDK's client may call them
//! too.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use invoker::transport::{Answered, Http, Lost, Sending};
use serde_json::{Value, json};

/// What a service does with one call.
pub(crate) enum Reply {
    Answer(Box<http::Response<SdkBody>>),
    /// The answer comes so much later.
    Late(Duration, Box<http::Response<SdkBody>>),
    /// The request was sent and no answer ever comes.
    Silence,
    /// The connection breaks before an answer comes.
    Broken,
    /// Our own code fails.
    Panic,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("readable"))
    }

    /// A parameter of a query-protocol call.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let body = std::str::from_utf8(&self.body).expect("a form");
        body.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| decoded(v))
    }
}

fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let hex = |b: Option<u8>| char::from(b.expect("two digits")).to_digit(16).expect("hexadecimal") as u8;
        bytes.push(match byte {
            b'%' => hex(rest.next()) * 16 + hex(rest.next()),
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

type Script = dyn Fn(usize) -> Reply + Send + Sync;

#[derive(Clone)]
pub(crate) struct Cloud {
    sts: Arc<Script>,
    sagemaker: Arc<Script>,
    calls: Arc<Mutex<Vec<Call>>>,
    prepared: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cloud")
    }
}

impl Cloud {
    /// Each script gets the number of the call to its service, from 0.
    pub(crate) fn new(
        sts: impl Fn(usize) -> Reply + Send + Sync + 'static,
        sagemaker: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self { sts: Arc::new(sts), sagemaker: Arc::new(sagemaker), calls: Arc::default(), prepared: Arc::default() }
    }

    /// STS gives credentials; SageMaker as scripted.
    pub(crate) fn granting(sagemaker: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::new(|_| credentials(), sagemaker)
    }

    /// Both services do what they should.
    pub(crate) fn willing() -> Self {
        Self::granting(|_| prediction())
    }

    /// Both services answer, and a test says that neither is called.
    pub(crate) fn untouched() -> Self {
        Self::willing()
    }

    pub(crate) fn to_sts(&self) -> Vec<Call> {
        self.to("sts.")
    }

    pub(crate) fn to_sagemaker(&self) -> Vec<Call> {
        self.to("runtime.sagemaker.")
    }

    /// The hosts that a connection was made to before there was a request.
    pub(crate) fn prepared(&self) -> Vec<String> {
        self.prepared.lock().unwrap().clone()
    }

    /// How often STS and SageMaker were called.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.to_sts().len(), self.to_sagemaker().len())
    }

    fn to(&self, host: &str) -> Vec<Call> {
        self.calls.lock().unwrap().iter().filter(|call| call.host.starts_with(host)).cloned().collect()
    }
}

impl Http for Cloud {
    fn send<'a>(
        &'a self,
        request: Request<Bytes>,
        sending: &'a Sending,
    ) -> Pin<Box<dyn Future<Output = Answered> + Send + 'a>> {
        sending.set_begun(true);
        let reply = self.reply(&request);
        Box::pin(async move {
            match reply {
                Reply::Answer(response) => Ok(*response),
                Reply::Late(delay, response) => {
                    tokio::time::sleep(delay).await;
                    Ok(*response)
                }
                Reply::Silence => std::future::pending().await,
                Reply::Broken => Err(Lost::Broken),
                Reply::Panic => panic!("a canary in a panic's message"),
            }
        })
    }

    fn prepare<'a>(&'a self, uri: &'a Uri) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.prepared.lock().unwrap().push(uri.host().unwrap().to_owned());
        // Nobody answers.
        Box::pin(std::future::pending())
    }
}

impl Cloud {
    fn reply(&self, request: &Request<Bytes>) -> Reply {
        let host = request.uri().host().unwrap().to_owned();
        let is_sts = host.starts_with("sts.");
        let call = Call {
            path: request.uri().path_and_query().unwrap().to_string(),
            headers: request.headers().clone(),
            body: request.body().to_vec(),
            host,
        };
        let number = if is_sts { self.to_sts() } else { self.to_sagemaker() }.len();
        self.calls.lock().unwrap().push(call);
        let script = if is_sts { &self.sts } else { &self.sagemaker };
        script(number)
    }
}

impl HttpConnector for Cloud {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = request.try_into_http1x().unwrap().map(|body| Bytes::copy_from_slice(body.bytes().unwrap()));
        let cloud = self.clone();
        HttpConnectorFuture::new(async move {
            let answered = cloud.send(request, &Sending::default()).await;
            Ok(HttpResponse::try_from(answered.expect("an SDK's client is given answers")).unwrap())
        })
    }
}

impl HttpClient for Cloud {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

pub(crate) fn answered(response: http::response::Builder, body: impl Into<SdkBody>) -> Reply {
    Reply::Answer(Box::new(response.body(body.into()).unwrap()))
}

/// The access key that STS gives.
pub(crate) const SESSION_KEY: &str = "ASIAIOSFODNN7EXAMPLE";

pub(crate) fn credentials() -> Reply {
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{SESSION_KEY}</AccessKeyId><SecretAccessKey>secret-canary</SecretAccessKey>\
         <SessionToken>token-canary</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"
    );
    answered(http::Response::builder().status(200), body)
}

/// An error of STS, whose message holds everything that must not get out.
pub(crate) fn sts_error(status: u16, code: &str) -> Reply {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>User: arn:aws:sts::444455556666:assumed-role/invoker/x is not authorized to \
         perform: sts:AssumeRole on resource: {} (ExternalId {})</Message></Error><RequestId>r</RequestId>\
         </ErrorResponse>",
        super::ROLE,
        super::EXTERNAL_ID
    );
    answered(http::Response::builder().status(status), body)
}

pub(crate) fn prediction() -> Reply {
    let response = http::Response::builder()
        .status(200)
        .header("Content-Type", "text/csv")
        .header("x-Amzn-Invoked-Production-Variant", "AllTraffic")
        .header("x-amzn-RequestId", "upstream-request");
    answered(response, "setosa\n")
}

/// An error of SageMaker Runtime with a type and members.
pub(crate) fn sagemaker_error(status: u16, code: &str, members: &Value) -> Reply {
    let response = http::Response::builder()
        .status(status)
        .header("Content-Type", "application/json")
        .header("x-amzn-ErrorType", code)
        .header("x-amzn-RequestId", "upstream-request");
    answered(response, members.to_string())
}

pub(crate) fn message(text: &str) -> Value {
    json!({ "Message": text })
}
