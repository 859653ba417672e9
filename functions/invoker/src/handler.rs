//! One request: parse → find grant → assume → invoke → answer.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use aws_config::SdkConfig;
use bytes::Bytes;
use lambda_runtime::Context;

use crate::assume::Sts;
use crate::caller::Caller;
use crate::deadline::Deadline;
use crate::endpoint::Runtimes;
use crate::error::{Error, Invalid};
use crate::event::Event;
use crate::grants::{Broken, Grants};
use crate::record::Record;
use crate::request::{Invocation, Route};
use crate::response::{self, Answer};
use crate::session;

const NO_EVENT: &str = "the event must be one of an API Gateway REST API's proxy integration";

/// What lasts from request to request: the grants and the SDK's clients, all on
/// one connection pool.
pub struct Invoker {
    grants: Result<Grants, Broken>,
    sts: Sts,
    runtimes: Runtimes,
}

impl Invoker {
    /// Broken grants are logged here and answered at every request: a function
    /// that fails to start would be started again and again, and its callers would
    /// see only API Gateway's own error.
    pub fn new(config: &SdkConfig, grants: Result<Grants, Broken>) -> Self {
        if let Err(broken) = &grants {
            tracing::error!(target: "invoker", reason = %broken, "every request will be refused");
        }
        let regions = grants.iter().flat_map(Grants::regions);
        Self { sts: Sts::new(config), runtimes: Runtimes::new(config, regions), grants }
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
        let grants = self.grants.as_ref().map_err(|_| Error::NoGrants)?;
        let route = Route::of(&read).ok_or(Error::UnknownOperation)?;
        record.route = Some(route.name());
        let caller = context.and_then(Caller::of).ok_or(Error::NoCaller)?;
        match route {
            Route::ListEndpoints => Ok(response::listed(grants, record)),
            Route::Invoke(operation) => {
                let invocation = Invocation::read(operation, &read)?;
                drop(read);
                // The event holds the body a second time.
                drop(event);
                let deadline = deadline.within(operation.longest());
                self.invoke(grants, &caller, invocation, deadline, record).await
            }
        }
    }

    async fn invoke(
        &self,
        grants: &Grants,
        caller: &Caller,
        invocation: Invocation,
        deadline: Deadline,
        record: &mut Record,
    ) -> Result<Answer, Error> {
        let Invocation { operation, form, .. } = invocation;
        let endpoint = invocation.endpoint.clone();
        record.endpoint = Some(endpoint.clone());
        let grant = grants.find(&endpoint).ok_or_else(|| Error::NotGranted(endpoint.clone()))?;
        let session = caller.session_name(&record.request_id).ok_or(Error::NoCaller)?;
        record.session = Some(session.clone());
        let policy = session::policy(grant, operation, &endpoint, invocation.inference_component.as_ref());

        let began = Instant::now();
        let credentials = self.sts.assume(grant, &session, policy, deadline).await;
        record.assume = Some(began.elapsed());
        let credentials = credentials.map_err(|not| Error::NotAssumed(endpoint.clone(), not))?;

        let began = Instant::now();
        let upstream = self.runtimes.invoke(&grant.region, invocation, credentials, deadline).await;
        record.invoke = Some(began.elapsed());
        let upstream = upstream.map_err(|not| Error::NotInvoked(operation, endpoint, not))?;
        Ok(response::passed(upstream, form, record, deadline))
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
