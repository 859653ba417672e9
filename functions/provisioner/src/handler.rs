//! One event: answerable first, then parse, plan, apply, answer. Whatever happens
//! in between, exactly one answer goes out, before Lambda's deadline.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use futures_util::FutureExt;
use sagemaker_external::name::IamPath;
use serde_json::Value;
use tokio::time::Instant;

use crate::authority::Authority;
use crate::callback::{self, Answer, Outcome};
use crate::code::Code;
use crate::error::Error;
use crate::grants;
use crate::group_half::GroupHalf;
use crate::half::{Data, RoleHalf};
use crate::iam::Iam;
use crate::lifecycle::Lifecycle;
use crate::owner::Owner;
use crate::progress::{Progress, Trace};
use crate::report::Report;
use crate::request::{CREATE_FAILED, CREATE_INTERRUPTED, Envelope, Home, Kind, MISSING_ID, Request};
use crate::role::Defaults;

/// What is kept for the answer itself when the work runs out of time (C27): two tries.
const ANSWER_MARGIN: Duration = Duration::from_secs(10);
/// What the last try of the answer leaves of Lambda's time.
const LAST_MARGIN: Duration = Duration::from_millis(500);

const FALLBACK_PATH: &str = "/sagemaker-external/";

/// Where and until when an event runs; from Lambda's context.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub function_arn: String,
    pub deadline: Instant,
}

impl Invocation {
    /// `deadline_ms` counts milliseconds since 1970, as Lambda gives it.
    pub fn new(function_arn: &str, deadline_ms: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_millis(deadline_ms).saturating_sub(now);
        Self { function_arn: function_arn.to_owned(), deadline: Instant::now() + left }
    }
}

/// The function's settings, from its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    pub defaults: Result<Defaults, String>,
    /// What is adopted, which a Delete gives back whatever else of the environment is broken.
    pub adopt_arns: BTreeSet<String>,
    /// What the operator lets events ask for.
    pub authority: Result<Authority, String>,
    /// An origin besides CloudFormation's bucket that may be answered: for local
    /// clouds and buckets of private links; unset in the template.
    pub response_origin: Option<String>,
}

impl Settings {
    /// Reads `IAM_PATH`, `PERMISSIONS_BOUNDARY_ARN`, `ADOPT_ARNS` (joined by commas),
    /// `RESPONSE_URL_ORIGIN` and those of [`Authority::read`]. What is broken is told to whoever sends an event, rather than to nobody at start.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        let adopt_arns = variable("ADOPT_ARNS").unwrap_or_default();
        let adopt_arns: BTreeSet<String> = adopt_arns.split(',').map(str::to_owned).collect();
        let defaults = || {
            let path = variable("IAM_PATH").unwrap_or_else(|| FALLBACK_PATH.to_owned());
            let boundary = variable("PERMISSIONS_BOUNDARY_ARN").map(|arn| arn.parse()).transpose();
            Ok(Defaults {
                path: iam_path(&path)?,
                boundary: boundary.map_err(|e| format!("the function's variable PERMISSIONS_BOUNDARY_ARN: {e}"))?,
                adopt_arns: adopt_arns.clone(),
            })
        };
        Self {
            defaults: defaults(),
            authority: Authority::read(variable),
            adopt_arns,
            response_origin: variable("RESPONSE_URL_ORIGIN"),
        }
    }
}

fn iam_path(text: &str) -> Result<IamPath, String> {
    let path: IamPath = text.parse().map_err(|e| format!("the function's variable IAM_PATH: {e}"))?;
    match path.has_dots() {
        true => Err(format!("the function's variable IAM_PATH: \"{path}\" has a segment . or ..; leave it out")),
        false => Ok(path),
    }
}

pub struct Provisioner {
    iam: Iam,
    connector: SharedHttpConnector,
    settings: Settings,
}

impl Provisioner {
    pub fn new(iam: Iam, connector: SharedHttpConnector, settings: Settings) -> Self {
        Self { iam, connector, settings }
    }

    /// Carries an event out and answers it. Nothing is returned: what CloudFormation
    /// was told must not make Lambda run the event again (C25).
    pub async fn handle(&self, event: &Value, invocation: &Invocation) {
        let report = Report::begin(&invocation.function_arn);
        let home = Home::of(&invocation.function_arn);
        let origin = self.settings.response_origin.as_deref();
        let (home, envelope) = match home.and_then(|home| Envelope::read(event, &home, origin).map(|e| (home, e))) {
            Ok(read) => read,
            Err(error) => return report.unanswerable(&error),
        };
        let request = Request::read(event, &home);
        let progress = Progress::default();
        let work = AssertUnwindSafe(self.work(&request, &home, &envelope, &progress)).catch_unwind();
        let outcome = match tokio::time::timeout_at(invocation.deadline - ANSWER_MARGIN, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                let reason = "an internal error; the function's log has its place";
                failed(&request, &envelope, &progress, Code::InternalError, reason)
            }
            Err(_) => {
                let step = progress.step().unwrap_or_else(|| "reading IAM".to_owned());
                failed(&request, &envelope, &progress, Code::TimedOut, &format!("timed out during {step}"))
            }
        };
        let is_taken = callback::put(&self.connector, &envelope, &outcome, invocation.deadline - LAST_MARGIN).await;
        report.end(&request, &envelope, &outcome, &progress, is_taken);
    }

    async fn work(
        &self,
        request: &Result<Request, String>,
        home: &Home,
        envelope: &Envelope,
        progress: &Progress,
    ) -> Answer {
        let result = match request {
            // Boxed: the compiler's limit of nested types is met otherwise.
            Ok(request) => Box::pin(self.carry_out(request, home, envelope, progress)).await,
            Err(refusal) => Err(Error::Refused(Code::InvalidEvent, refusal.clone())),
        };
        result.unwrap_or_else(|error| failed(request, envelope, progress, error.code(), &said(request, &error)))
    }

    /// What the environment says; nothing in it that is broken blocks a Delete (C35).
    fn setup(&self, request: &Request) -> Result<(Defaults, Authority), String> {
        let Settings { defaults, authority, adopt_arns, .. } = &self.settings;
        match request {
            Request::Delete { .. } | Request::Nothing => Ok((
                defaults.clone().or_else(|why| fallback(adopt_arns).ok_or(why))?,
                authority.clone().unwrap_or_default(),
            )),
            Request::Create { .. } | Request::Update { .. } => Ok((defaults.clone()?, authority.clone()?)),
        }
    }

    async fn carry_out(
        &self,
        request: &Request,
        home: &Home,
        envelope: &Envelope,
        progress: &Progress,
    ) -> Result<Answer, Error> {
        let owner = Owner { stack_id: envelope.stack_id.clone(), logical_id: envelope.logical_id.clone() };
        let (defaults, authority) = self.setup(request).map_err(|why| Error::Refused(Code::NotSetUp, why))?;
        let fits = |id: &str, data: &Data| callback::fits(envelope, id, data);
        let life = Lifecycle {
            iam: &self.iam,
            home,
            defaults: &defaults,
            authority: &authority,
            owner,
            progress,
            fits: &fits,
        };
        let success = |(physical_id, data)| Answer { physical_id, outcome: Outcome::Success { data, note: None } };
        match request {
            Request::Nothing => {
                let physical_id = envelope.physical_id.clone().unwrap_or_else(|| MISSING_ID.to_owned());
                Ok(Answer { physical_id, outcome: Outcome::Success { data: Data::default(), note: None } })
            }
            Request::Create { kind: Kind::Role, properties } => life.create::<RoleHalf>(properties).await.map(success),
            Request::Create { kind: Kind::Group, properties } => {
                life.create::<GroupHalf>(properties).await.map(success)
            }
            Request::Update { kind: Kind::Role, id, properties, old } => {
                life.update::<RoleHalf>(id, properties, old).await.map(success)
            }
            Request::Update { kind: Kind::Group, id, properties, old } => {
                life.update::<GroupHalf>(id, properties, old).await.map(success)
            }
            Request::Create { kind: Kind::Grants, properties }
            | Request::Update { kind: Kind::Grants, properties, .. } => grants::check(properties, home).map(success),
            Request::Delete { kind, id, properties } => {
                let left = match kind {
                    Kind::Role => life.delete::<RoleHalf>(id.as_deref(), properties).await?,
                    Kind::Group => life.delete::<GroupHalf>(id.as_deref(), properties).await?,
                    Kind::Grants => Vec::new(),
                };
                let note = (!left.is_empty()).then(|| format!("left alone: {}", left.join("; ")));
                Ok(Answer {
                    physical_id: id.clone().unwrap_or_else(|| MISSING_ID.to_owned()),
                    outcome: Outcome::Success { data: Default::default(), note },
                })
            }
        }
    }
}

/// A failure keeps the id that CloudFormation knows (C17, C21); a Create's is a marker,
/// unless something may have been made that a Delete must find (C12).
fn failed(
    request: &Result<Request, String>,
    envelope: &Envelope,
    progress: &Progress,
    code: Code,
    reason: &str,
) -> Answer {
    let physical_id = match (request, &envelope.physical_id) {
        (Ok(Request::Create { .. }), _) => match progress.trace() {
            Trace::Nothing => CREATE_FAILED.to_owned(),
            Trace::Unknown => CREATE_INTERRUPTED.to_owned(),
            Trace::Entity(id) => id,
        },
        (_, Some(id)) => id.clone(),
        (Ok(_), None) => MISSING_ID.to_owned(),
        (Err(_), None) => CREATE_FAILED.to_owned(),
    };
    Answer { physical_id, outcome: Outcome::Failed { code, reason: reason.to_owned() } }
}

/// IAM's own text may quote a trust, and with it an ExternalId of one's own (S03).
fn said(request: &Result<Request, String>, error: &Error) -> String {
    let wishes = match request {
        Ok(Request::Create { properties, .. } | Request::Delete { properties, .. }) => vec![properties],
        Ok(Request::Update { properties, old, .. }) => vec![properties, old],
        _ => Vec::new(),
    };
    let secrets = wishes.iter().filter_map(|wish| wish.get("ExternalId").and_then(Value::as_str));
    match error {
        Error::Read(_) | Error::Step { .. } => secrets
            .filter(|secret| !secret.is_empty())
            .fold(error.to_string(), |text, secret| text.replace(secret, "[ExternalId]")),
        _ => error.to_string(),
    }
}

fn fallback(adopt_arns: &BTreeSet<String>) -> Option<Defaults> {
    let path: IamPath = FALLBACK_PATH.parse().ok()?;
    Some(Defaults { path, boundary: None, adopt_arns: adopt_arns.clone() })
}
