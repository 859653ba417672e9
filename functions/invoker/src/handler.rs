//! One request: parse → find grant → assume → invoke → answer.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use bytes::Bytes;
use lambda_runtime::Context;
use sagemaker_external::name::EndpointName;

use crate::assume::{Ask, SHORTEST, Sts};
use crate::attribution::Attribution;
use crate::caller::Caller;
use crate::deadline::Deadline;
use crate::endpoint::Runtimes;
use crate::error::{Error, Invalid};
use crate::event::Event;
use crate::grants::Grant;
use crate::record::Record;
use crate::request::{Invocation, Route};
use crate::response::{self, Answer};
use crate::session;
use crate::settings::{Settings, Wrong};

const NO_EVENT: &str = "the event must be one of an API Gateway REST API's proxy integration";

/// What lasts from request to request: the settings and the SDK's clients, all on
/// one connection pool.
pub struct Invoker {
    settings: Result<Settings, Wrong>,
    sts: Sts,
    runtimes: Runtimes,
}

impl Invoker {
    /// Wrong settings are logged here and answered at every request: a function
    /// that fails to start would be started again and again, and its callers would
    /// see only API Gateway's own error.
    pub fn new(config: &SdkConfig, settings: Result<Settings, Wrong>) -> Self {
        if let Err(wrong) = &settings {
            tracing::error!(target: "invoker", reason = %wrong, "every request will be refused");
        }
        let regions = settings.iter().flat_map(|settings| settings.grants.regions());
        Self { sts: Sts::new(config), runtimes: Runtimes::new(config, regions), settings }
    }

    /// Always an answer, whatever the event holds and even if our own code panics.
    /// `event` is the JSON of an API Gateway REST API proxy event.
    pub async fn handle(&self, event: Bytes, context: &Context) -> Answer {
        let mut record = Record::new(&context.request_id);
        let outcome = unpanicked(self.serve(event, Deadline::of(context), &mut record)).await;
        let (answer, cause) = match outcome {
            Ok(answer) => (answer, None),
            Err(error) => (response::refused(&error, &record), error.into_cause()),
        };
        let status = answer.metadata_prelude.status_code;
        record.log(status, response::error_type(&answer), cause.as_deref());
        answer
    }

    async fn serve(&self, event: Bytes, deadline: Deadline, record: &mut Record) -> Result<Answer, Error> {
        let read = Event::read(&event).ok_or_else(|| Invalid(NO_EVENT.to_owned()))?;
        let context = read.request_context();
        record.set_api_request_id(context.and_then(|context| context.unverified_request_id()));
        let settings = self.settings.as_ref().map_err(|_| Error::NotSetUp)?;
        let route = Route::of(&read).ok_or(Error::UnknownOperation)?;
        record.route = Some(route.name());
        let caller = context.and_then(Caller::of).ok_or(Error::NoCaller)?;
        match route {
            Route::ListEndpoints => Ok(response::listed(&settings.grants, record)),
            Route::Invoke(operation) => {
                let invocation = Invocation::read(operation, &read)?;
                drop(read);
                // The event holds the body a second time.
                drop(event);
                let deadline = deadline.within(operation.longest());
                self.invoke(settings, &caller, invocation, deadline, record).await
            }
        }
    }

    async fn invoke(
        &self,
        settings: &Settings,
        caller: &Caller,
        invocation: Invocation,
        deadline: Deadline,
        record: &mut Record,
    ) -> Result<Answer, Error> {
        let Invocation { operation, form, .. } = invocation;
        record.endpoint = Some(invocation.endpoint.clone());
        let granted = Granted::find(settings, &invocation.endpoint);
        let granted = granted.ok_or_else(|| Error::NotGranted(invocation.endpoint.clone()))?;
        let component = invocation.inference_component.as_ref();
        let policy = session::policy(granted.grant, operation, &granted.endpoint, component);
        let credentials = self.credentials(&granted, caller, policy, deadline, record).await?;

        let began = Instant::now();
        let upstream = self.runtimes.invoke(&granted.grant.region, invocation, credentials, deadline).await;
        record.invoke = Some(began.elapsed());
        let upstream = upstream.map_err(|not| Error::NotInvoked(operation, granted.endpoint, not))?;
        Ok(response::passed(upstream, form, record, deadline))
    }

    /// Credentials for one session under the grant's role that may do what `policy`
    /// says.
    async fn credentials(
        &self,
        granted: &Granted<'_>,
        caller: &Caller,
        policy: String,
        deadline: Deadline,
        record: &mut Record,
    ) -> Result<Credentials, Error> {
        let name = caller.session_name(&record.request_id).ok_or(Error::NoCaller)?;
        record.session = Some(name.clone());
        let Granted { endpoint, grant, is_attributed } = granted;
        let attribution = is_attributed.then(|| Attribution::of(caller, &record.request_id));
        let ask = Ask {
            role: &grant.role,
            external_id: &grant.external_id,
            session: &name,
            attribution: attribution.as_ref(),
            policy: &policy,
            duration: SHORTEST,
        };

        let began = Instant::now();
        let assumed = self.sts.assume(ask, deadline).await;
        record.assume = Some(began.elapsed());
        assumed.map_err(|not| Error::NotAssumed(endpoint.clone(), not))
    }
}

/// An endpoint and the grant that serves it.
struct Granted<'a> {
    endpoint: EndpointName,
    grant: &'a Grant,
    /// Whether its sessions carry a source identity and tags.
    is_attributed: bool,
}

impl<'a> Granted<'a> {
    fn find(settings: &'a Settings, endpoint: &EndpointName) -> Option<Self> {
        let grant = settings.grants.find(endpoint)?;
        Some(Self { endpoint: endpoint.clone(), grant, is_attributed: settings.is_attributed(grant) })
    }
}

/// The future's result, or [`Error::Panicked`]. What it borrowed is used after
/// that only to be shown, so a half-changed record does no harm.
async fn unpanicked<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(_) => Poll::Ready(Err(Error::Panicked)),
    })
    .await
}
