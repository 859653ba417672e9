//! What is kept of a request while it is served: for its one line, for its trace, for
//! `Server-Timing` and for the ids in the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode};
use lambda_runtime::{Config, Context};
use sagemaker_external::line::{ERROR_CODE, FUNCTION_NAME, Line, Metric, View, milliseconds};
use sagemaker_external::name::{EndpointName, SessionName};
use sagemaker_external::telemetry::Level;

use crate::body::Cut;
use crate::code::Code;
use crate::trace::Trace;

pub struct Record {
    /// Lambda's id of the request.
    pub request_id: String,
    /// API Gateway's id, which the client saw; only if it is a plain word.
    pub api_request_id: Option<String>,
    pub route: Option<&'static str>,
    pub endpoint: Option<EndpointName>,
    /// The endpoint as the grant has it, by name or by pattern. Metrics go by it: a caller
    /// can make up names that a pattern matches, and each would be a metric of its own.
    pub granted: Option<String>,
    pub session: Option<SessionName>,
    /// Whether the session was kept from an earlier request.
    pub reused: Option<bool>,
    pub assume: Option<Step>,
    /// Whether the endpoint is being called, or has been.
    pub was_invoking: bool,
    /// Until SageMaker's answer began.
    pub invoke: Option<Step>,
    /// Of the request's body, decoded.
    pub bytes_in: usize,
    function: Arc<Config>,
    trace: Option<Trace>,
    started: Instant,
}

/// One call of a service.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub began: Instant,
    pub took: Duration,
}

impl Step {
    /// A call that ends now.
    pub fn since(began: Instant) -> Self {
        Self { began, took: began.elapsed() }
    }
}

impl Record {
    pub fn new(context: &Context) -> Self {
        Self {
            request_id: context.request_id.clone(),
            api_request_id: None,
            route: None,
            endpoint: None,
            granted: None,
            session: None,
            reused: None,
            assume: None,
            was_invoking: false,
            invoke: None,
            bytes_in: 0,
            function: Arc::clone(&context.env_config),
            trace: context.xray_trace_id.as_deref().and_then(Trace::sampled),
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
        let (assume, invoke) = (milliseconds(took(self.assume)), milliseconds(took(self.invoke)));
        format!("assume;dur={assume:.1}, invoke;dur={invoke:.1}")
    }
}

fn took(step: Option<Step>) -> Duration {
    step.map(|step| step.took).unwrap_or_default()
}

/// A request whose answer has begun.
pub(crate) struct Served {
    record: Record,
    /// From the event to the answer's head.
    latency: Duration,
    status: StatusCode,
    error_type: Option<HeaderValue>,
    code: Option<Code>,
    /// What a service called its refusal.
    cause: Option<String>,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Cut(Cut),
    /// Lambda took no more of it.
    NotTaken,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Cut(_) => "cut",
            Self::NotTaken => "not taken",
        }
    }

    fn code(self) -> Option<Code> {
        match self {
            Self::Whole => None,
            Self::Cut(cut) => Some(Code::of_cut(cut)),
            Self::NotTaken => Some(Code::AnswerNotTaken),
        }
    }
}

/// The dimension of an endpoint, as it is granted.
const ENDPOINT_NAME: &str = "EndpointName";

/// What is to be seen of all requests, of each granted endpoint and of each code. Each
/// metric and endpoint, and each code that ever occurs, costs as one custom metric.
const VIEWS: [View<'static>; 3] = [
    View {
        dimensions: &[FUNCTION_NAME],
        metrics: &[
            "Requests",
            "Errors",
            "Faults",
            "Latency",
            "Duration",
            "AssumeTime",
            "InvokeTime",
            "OverheadTime",
            "BytesIn",
            "BytesOut",
            "CredentialReuseHits",
        ],
    },
    View { dimensions: &[FUNCTION_NAME, ENDPOINT_NAME], metrics: &["Requests", "Faults", "InvokeTime"] },
    View { dimensions: &[FUNCTION_NAME, ERROR_CODE], metrics: &["Errors"] },
];

impl Served {
    pub(crate) fn new(
        record: Record,
        status: StatusCode,
        error_type: Option<HeaderValue>,
        code: Option<Code>,
        cause: Option<String>,
    ) -> Self {
        Self { latency: record.started.elapsed(), record, status, error_type, code, cause }
    }

    /// The request's one line, which is its metrics as well: no body, no custom
    /// attributes, no credentials, no ExternalId, no role (S15). And its trace.
    pub(crate) fn tell(self, end: End, bytes_out: usize) {
        let Self { record, latency, status, error_type, code, cause } = self;
        let code = code.or(end.code());
        let duration = record.started.elapsed();
        let (assume, invoke) = (took(record.assume), took(record.invoke));
        let cut = match end {
            End::Cut(cut) => Some(cut.to_string()),
            End::Whole | End::NotTaken => None,
        };
        let status = status.as_u16();
        // What counts as a fault is told whole at any level: its cause must be found.
        let is_fault = status >= 500 || end != End::Whole || code.is_some_and(|code| !code.is_callers());
        let level = if is_fault { Level::Error } else { Level::Info };

        let mut line = Line::new(level, "invoker", "request");
        line.field("request_id", Some(&record.request_id));
        line.field("api_request_id", record.api_request_id.as_ref());
        line.field("route", record.route);
        line.field("endpoint", record.endpoint.as_ref().map(EndpointName::as_str));
        line.field("session", record.session.as_ref().map(SessionName::as_str));
        line.field("reused", record.reused);
        line.field("status", Some(status));
        line.field("error_type", error_type.as_ref().and_then(|kind| kind.to_str().ok()));
        line.field("cause", cut.or(cause));
        line.field("assume_ms", record.assume.map(|step| milliseconds(step.took)));
        line.field("invoke_ms", record.invoke.map(|step| milliseconds(step.took)));
        line.field("total_ms", Some(milliseconds(duration)));
        line.field("ended", Some(end.name()));

        let mut dimensions = vec![(FUNCTION_NAME, record.function.function_name.as_str())];
        dimensions.extend(record.granted.as_deref().map(|granted| (ENDPOINT_NAME, granted)));
        dimensions.extend(code.map(|code| (ERROR_CODE, code.name())));
        let mut metrics = vec![
            Metric::count("Requests", 1),
            Metric::flag("Errors", code.is_some()),
            Metric::flag("Faults", code.is_some_and(|code| !code.is_callers())),
            Metric::time("Latency", latency),
            Metric::time("Duration", duration),
            Metric::time("OverheadTime", latency.saturating_sub(assume + invoke)),
            Metric::bytes("BytesIn", record.bytes_in),
            Metric::bytes("BytesOut", bytes_out),
        ];
        // Only where STS was asked: the metric's count is that of AssumeRole calls.
        let asked = record.assume.filter(|_| record.reused != Some(true));
        metrics.extend(asked.map(|step| Metric::time("AssumeTime", step.took)));
        metrics.extend(record.invoke.map(|step| Metric::time("InvokeTime", step.took)));
        metrics.extend(record.reused.map(|reused| Metric::flag("CredentialReuseHits", reused)));
        let seen =
            VIEWS.map(|view| view.dimensions.iter().all(|name| dimensions.iter().any(|(known, _)| known == name)));
        let views: Vec<_> = VIEWS.into_iter().zip(seen).filter(|(_, seen)| *seen).map(|(view, _)| view).collect();
        line.metrics(&dimensions, &views, &metrics);
        line.write();

        if let Some(trace) = &record.trace {
            trace.send(asked, record.route.zip(record.invoke), code);
        }
    }
}
