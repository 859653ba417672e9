//! The three operations: the only file that calls SageMaker Runtime.
//!
//! Headers that are members, or will be, go out as the caller wrote them, since their
//! names and values are the same on both sides. A successful answer is passed on as it
//! comes; an error is read.

use std::collections::HashMap;

use aws_credential_types::Credentials;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use sagemaker_external::arn::Region;
use sagemaker_external::name::EndpointName;
use serde_json::{Map, Value};
use tokio::time::timeout_at;

use crate::aws::{Aws, Service};
use crate::deadline::Deadline;
use crate::headers::Headers;
use crate::operation::Operation;
use crate::payload::Payload;
use crate::refusal::read_error;
use crate::transport::{Lost, Sending};

/// SageMaker's answer as it came: any success status, all its headers, and the
/// body still to be read.
pub type Upstream = http::Response<SdkBody>;

/// Why there is no success.
pub struct NotInvoked {
    pub why: Why,
    /// What the service called it: for the log, and the type of a passed error.
    pub code: String,
    /// SageMaker's id of the call, if it answered.
    pub request_id: Option<String>,
}

pub enum Why {
    /// An error with a code, modelled or newer than the model, with all its members but
    /// the message, as they came (R02).
    Service {
        status: u16,
        message: Option<String>,
        members: Map<String, Value>,
        retry_after: Option<u32>,
    },
    /// The role or the session policy does not allow the call.
    Denied,
    /// The call was not accepted as one of the assumed session: a fault of ours.
    Unauthenticated,
    Throttled,
    /// SageMaker Runtime could not be reached: nothing of the request was sent.
    Unavailable,
    /// The request may have been sent, and no whole answer came: the model may have run.
    Broken,
    /// Our own deadline came before anything was sent.
    Late,
    /// Our own deadline came after the request was sent: the model may have run.
    Deadline,
    /// An answer that is not a SageMaker error, such as a proxy's HTML page: the model may
    /// have run.
    NotUnderstood,
    /// The call makes no HTTP request: nothing was sent.
    NotSendable,
}

/// The largest error that is read: a model's own message is cut by SageMaker long before.
pub(crate) const ERROR_MAX: usize = 1024 * 1024;
/// Up to this announced length an answer is read before it is passed on. Nearly every prediction
/// is shorter. Reading so much from SageMaker within a Region delays the first byte by
/// milliseconds only, and it fits the smallest function's memory many times.
const GATHERED_MAX: u64 = 1024 * 1024;

/// What is sent to an endpoint.
pub struct Call<'a> {
    pub operation: Operation,
    pub endpoint: &'a EndpointName,
    pub headers: &'a Headers,
    pub payload: Payload,
}

/// SageMaker Runtime in each region in which an endpoint is granted.
pub struct Runtimes {
    aws: Aws,
    services: HashMap<Region, Service>,
}

impl Runtimes {
    pub fn new<'a>(aws: &Aws, regions: impl Iterator<Item = &'a Region>) -> Self {
        let services = regions.filter_map(|region| Some((region.clone(), aws.runtime(region)?))).collect();
        Self { aws: aws.clone(), services }
    }

    /// Where their connections lead.
    pub fn uris(&self) -> impl Iterator<Item = &Uri> {
        self.services.values().map(Service::uri)
    }

    /// Calls the endpoint once: the model must never run twice for one request (R04).
    /// A model may think for a minute between two bytes; the deadline bounds it.
    ///
    /// # Errors
    /// [`NotInvoked`] for every answer that is not a success, and for none.
    pub async fn invoke(
        &self,
        region: &Region,
        call: Call<'_>,
        credentials: &Credentials,
        deadline: Deadline,
    ) -> Result<Upstream, NotInvoked> {
        if deadline.is_over() {
            return Err(NotInvoked::new(Why::Late, "Deadline"));
        }
        let service = self.services.get(region).ok_or_else(|| NotInvoked::new(Why::NotSendable, "NoEndpoint"))?;
        let Call { operation, endpoint, headers, payload } = call;
        let path = format!("/endpoints/{endpoint}{}", operation.path());
        let headers = headers.iter().map(|(name, value)| (name, value.as_str()));
        let request = service.post(&path, headers, payload, credentials, &self.aws.clock);
        let request = request.ok_or_else(|| NotInvoked::new(Why::NotSendable, "Request"))?;
        let sending = Sending::default();
        let answered = timeout_at(deadline.at(), async {
            match self.aws.http.send(request, &sending).await {
                Ok(response) if response.status().is_success() => gathered(operation, response).await,
                Ok(response) => Err(read_error(response).await),
                Err(lost) => Err(lost.into()),
            }
        });
        match answered.await {
            Ok(outcome) => outcome,
            Err(_) if sending.has_begun() => Err(NotInvoked::new(Why::Deadline, "Timeout")),
            Err(_) => Err(NotInvoked::new(Why::Late, "ConnectTimeout")),
        }
    }
}

/// The answer, of which a short one is read to its end first. An SDK that reads the body
/// within its retries would send the request again if the body broke off: of a short answer
/// it gets an error that it does not retry instead.
async fn gathered(operation: Operation, response: Upstream) -> Result<Upstream, NotInvoked> {
    let is_short = || response.body().size_hint().exact().is_some_and(|length| length <= GATHERED_MAX);
    let is_gathered = match operation {
        Operation::InvokeEndpoint => is_short(),
        // It is never more than an id, and SDKs never stream it.
        Operation::InvokeEndpointAsync => true,
        Operation::InvokeEndpointWithResponseStream => false,
    };
    if !is_gathered {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    match Limited::new(body, ERROR_MAX).collect().await {
        Ok(body) => Ok(http::Response::from_parts(parts, SdkBody::from(body.to_bytes()))),
        Err(_) => {
            let id = parts.headers.get("x-amzn-requestid").and_then(|id| id.to_str().ok());
            Err(NotInvoked { request_id: id.map(str::to_owned), ..NotInvoked::new(Why::Broken, "Response") })
        }
    }
}

impl NotInvoked {
    pub(crate) fn new(why: Why, code: &str) -> Self {
        Self { why, code: code.to_owned(), request_id: None }
    }
}

impl From<Lost> for NotInvoked {
    fn from(lost: Lost) -> Self {
        let why = match lost {
            Lost::Unsent(_) => Why::Unavailable,
            Lost::Broken => Why::Broken,
        };
        Self::new(why, lost.code())
    }
}
