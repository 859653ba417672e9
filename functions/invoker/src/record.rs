//! What is kept of a request while it is served: for its one log line, for
//! `Server-Timing` and for the ids in the answer.

use std::time::{Duration, Instant};

use http::StatusCode;
use sagemaker_external::name::{EndpointName, SessionName};

pub struct Record {
    /// Lambda's id of the request.
    pub request_id: String,
    /// API Gateway's id, which the client saw; only if it is a plain word.
    pub api_request_id: Option<String>,
    pub route: Option<&'static str>,
    pub endpoint: Option<EndpointName>,
    pub session: Option<SessionName>,
    /// Whether the session was kept from an earlier request.
    pub reused: Option<bool>,
    pub assume: Option<Duration>,
    /// Until SageMaker's answer began.
    pub invoke: Option<Duration>,
    started: Instant,
}

impl Record {
    pub fn new(request_id: &str) -> Self {
        Self {
            request_id: request_id.to_owned(),
            api_request_id: None,
            route: None,
            endpoint: None,
            session: None,
            reused: None,
            assume: None,
            invoke: None,
            started: Instant::now(),
        }
    }

    /// A client may choose this id, so what is not a plain word is left out.
    pub fn set_api_request_id(&mut self, unverified: Option<&str>) {
        let plain = |id: &&str| id.len() <= 128 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b));
        self.api_request_id = unverified.filter(plain).map(str::to_owned);
    }

    /// `assume;dur=1.2, invoke;dur=3.4` in milliseconds; a step that was not reached
    /// took none.
    pub fn server_timing(&self) -> String {
        let taken = |step: Option<Duration>| milliseconds(step.unwrap_or_default());
        format!("assume;dur={:.1}, invoke;dur={:.1}", taken(self.assume), taken(self.invoke))
    }

    /// The request's one line: no body, no custom attributes, no credentials, no
    /// ExternalId, no role (S15).
    pub fn log(&self, status: StatusCode, error_type: Option<&str>, cause: Option<&str>) {
        let Self { request_id, route, reused, .. } = self;
        let api_request_id = self.api_request_id.as_deref();
        let endpoint = self.endpoint.as_ref().map(EndpointName::as_str);
        let session = self.session.as_ref().map(SessionName::as_str);
        let assume_ms = self.assume.map(milliseconds);
        let invoke_ms = self.invoke.map(milliseconds);
        let total_ms = milliseconds(self.started.elapsed());
        let status = status.as_u16();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "invoker",
                    request_id, api_request_id, route, endpoint, session, reused, status, error_type, cause,
                    assume_ms, invoke_ms, total_ms,
                    "request"
                )
            };
        }
        if status >= 500 { line!(error) } else { line!(info) }
    }
}

/// To a tenth of a millisecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
