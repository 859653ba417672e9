//! What is asked, by whom, and what goes wrong: all of it follows from the seed and the
//! request's number.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

/// Plain requests have as long as no machine needs.
const AMPLE: Duration = Duration::from_secs(30);
/// Those whose backend falls silent: the invoker keeps half a second of it.
const SHORT: Duration = Duration::from_millis(3500);
/// Of ten requests, how many meet a fault.
const FAULTS_IN_TEN: u32 = 4;
/// Callers of one environment: few, so that reused credentials are somebody else's often.
const CALLERS: u64 = 3;
pub const ENDPOINTS: [&str; 3] = ["iris", "wine", "Echo-Capital"];
pub const OWN_ACCOUNT: &str = "444455556666";

#[derive(Debug, Clone)]
pub struct Plan {
    /// Of all requests of the run; its id, its body and its answer follow from it.
    pub number: u64,
    pub caller: u64,
    pub endpoint: &'static str,
    pub route: Route,
    pub sent: usize,
    pub answered: usize,
    pub sts: Sts,
    pub model: Model,
    pub freeze: Option<Freeze>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Invoke,
    Stream,
    Async,
}

impl Route {
    pub fn path(self) -> &'static str {
        match self {
            Self::Invoke => "invocations",
            Self::Stream => "invocations-response-stream",
            Self::Async => "async-invocations",
        }
    }
}

/// What STS does; `Once` ones are well at the second attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sts {
    Well,
    Slow,
    ThrottledOnce,
    Throttled,
    ResetOnce,
    Reset,
    FailingOnce,
    Failing,
    CutOnce,
    Garbage,
    Denied,
    Silent,
}

/// What SageMaker Runtime does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    Well,
    /// In small pieces, with pauses.
    Dripping,
    /// 103 before the answer.
    Interim,
    /// HTTP/1.0, ended by the connection's end.
    Old,
    /// The connection is closed after the answer, though nothing announced it.
    ClosesAfter,
    /// The same from one side: what is sent on it still arrives.
    HalfClosesAfter,
    /// More bytes than announced, which look like another caller's answer.
    Surplus,
    /// Fewer bytes than announced.
    Truncated,
    /// Chunks without the last one.
    TruncatedChunks,
    /// A chunk whose size is no number.
    WrongChunk,
    ResetMidway,
    SilentMidway,
    /// Before the request's body is read.
    ResetUnread,
    ResetRead,
    ClosesUnanswered,
    /// No HTTP at all.
    Garbage,
    /// Two lengths that differ.
    TwoLengths,
    Silent,
    /// An error of the service's: status and type.
    Refusal(u16, &'static str),
    /// A page of the front end.
    Page(u16),
    /// An error whose body breaks off.
    TruncatedError,
}

/// Between two requests, as Lambda does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// Nothing happens meanwhile.
    Quiet,
    /// The backend half-closes every kept connection.
    HalfClosed,
    /// It resets them.
    Reset,
}

const STS_FAULTS: [Sts; 11] = [
    Sts::Slow,
    Sts::ThrottledOnce,
    Sts::Throttled,
    Sts::ResetOnce,
    Sts::Reset,
    Sts::FailingOnce,
    Sts::Failing,
    Sts::CutOnce,
    Sts::Garbage,
    Sts::Denied,
    Sts::Silent,
];

const MODEL_FAULTS: [Model; 32] = [
    Model::Dripping,
    Model::Interim,
    Model::Old,
    Model::ClosesAfter,
    Model::HalfClosesAfter,
    Model::Surplus,
    Model::Truncated,
    Model::TruncatedChunks,
    Model::WrongChunk,
    Model::ResetMidway,
    Model::SilentMidway,
    Model::ResetUnread,
    Model::ResetRead,
    Model::ClosesUnanswered,
    Model::Garbage,
    Model::TwoLengths,
    Model::Silent,
    Model::TruncatedError,
    Model::Refusal(500, "InternalFailure"),
    Model::Refusal(503, "ServiceUnavailable"),
    Model::Refusal(424, "ModelError"),
    Model::Refusal(429, "ModelNotReadyException"),
    Model::Refusal(400, "ThrottlingException"),
    Model::Refusal(400, "ValidationError"),
    Model::Refusal(530, "InternalDependencyException"),
    Model::Refusal(403, "AccessDeniedException"),
    Model::Refusal(403, "ExpiredTokenException"),
    Model::Page(307),
    Model::Page(500),
    Model::Page(502),
    Model::Page(503),
    Model::Page(504),
];

impl Plan {
    /// The `number`-th request of a run. The first ones of an environment are `plain`:
    /// they bring its memory to where it stays.
    pub fn of(seed: u64, number: u64, plain: bool) -> Self {
        let mut rng = Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let route = one(&mut rng, [Route::Invoke, Route::Invoke, Route::Stream, Route::Async]);
        let size = |rng: &mut Rng| match rng.u32(..20) {
            _ if plain => 512 << 10,
            0 => 512 << 10,
            1..=4 => rng.usize(1..64 << 10),
            _ => rng.usize(1..2048),
        };
        let faulty = !plain && rng.u32(..10) < FAULTS_IN_TEN;
        let of_sts = rng.u32(..4) == 0;
        let sts = if faulty && of_sts { one(&mut rng, STS_FAULTS) } else { Sts::Well };
        let model = if faulty && !of_sts { one(&mut rng, MODEL_FAULTS) } else { Model::Well };
        let freeze =
            (!plain && rng.u32(..12) == 0).then(|| one(&mut rng, [Freeze::Quiet, Freeze::HalfClosed, Freeze::Reset]));
        Self {
            number,
            caller: rng.u64(..CALLERS),
            endpoint: one(&mut rng, ENDPOINTS),
            route,
            sent: if route == Route::Async { 0 } else { size(&mut rng) },
            answered: size(&mut rng),
            sts,
            model,
            freeze,
        }
    }

    /// What Lambda gives the request.
    pub fn time(&self) -> Duration {
        let silent = self.sts == Sts::Silent || matches!(self.model, Model::Silent | Model::SilentMidway);
        if silent { SHORT } else { AMPLE }
    }

    /// Lambda's id of the request.
    pub fn id(&self) -> String {
        format!("8476a536-e9f4-11e8-9739-{:012x}", self.number)
    }

    pub fn caller(&self) -> String {
        format!("user-{}", self.caller)
    }

    /// What the caller sends.
    pub fn body(&self) -> Vec<u8> {
        filled(&format!("body-canary {} of {}\n", self.number, self.caller()), self.sent, self.number)
    }

    /// What the model makes of it, before any framing.
    pub fn answer(&self) -> Vec<u8> {
        filled(&format!("answer-canary {} for {}\n", self.number, self.caller()), self.answered, self.number + 7)
    }

    pub fn attributes(&self) -> String {
        format!("attributes-canary {}", self.number)
    }

    /// API Gateway's event.
    pub fn event(&self) -> Value {
        let path = self.route.path();
        let location = (self.route == Route::Async).then(|| format!("s3://bucket/{}", self.number));
        let headers = json!({
            "Content-Type": "text/plain",
            "Host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "X-Amzn-SageMaker-Custom-Attributes": self.attributes(),
            "X-Amzn-SageMaker-InputLocation": location,
        });
        json!({
            "resource": format!("/endpoints/{{name}}/{path}"),
            "path": format!("/endpoints/{}/{path}", self.endpoint),
            "httpMethod": "POST",
            "headers": headers,
            "multiValueHeaders": null,
            "pathParameters": { "name": self.endpoint },
            "requestContext": {
                "accountId": OWN_ACCOUNT,
                "requestId": format!("gateway-{}", self.number),
                "identity": { "userArn": format!("arn:aws:iam::{OWN_ACCOUNT}:user/{}", self.caller()) },
            },
            "body": base64_simd::STANDARD.encode_to_string(self.body()),
            "isBase64Encoded": true,
        })
    }
}

fn one<T: Copy, const N: usize>(rng: &mut Rng, of: [T; N]) -> T {
    #[expect(clippy::indexing_slicing, reason = "the index is drawn below the length")]
    of[rng.usize(..N)]
}

/// At least the text, then bytes that no other number has.
fn filled(text: &str, length: usize, number: u64) -> Vec<u8> {
    if length == 0 {
        return Vec::new();
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut rng = Rng::with_seed(number);
    let mut block = [0; 1024];
    rng.fill(&mut block);
    while bytes.len() < length {
        let room = (length - bytes.len()).min(block.len());
        bytes.extend_from_slice(block.get(..room).unwrap_or(&block));
    }
    bytes
}
