//! One request: parse → find grant → assume → invoke → answer; or, for the doctor,
//! only try to assume.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use bytes::Bytes;
use lambda_runtime::Context;
use sagemaker_external::name::EndpointName;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::assume::{SHORTEST, Sts};
use crate::aws::Aws;
use crate::caller::Caller;
use crate::deadline::Deadline;
use crate::doctor::{self, Report};
use crate::endpoint::{Call, NotInvoked, Runtimes, Why};
use crate::error::{Error, Invalid};
use crate::event::Event;
use crate::granted::Granted;
use crate::operation::Operation;
use crate::payload::Payload;
use crate::record::{Record, Step};
use crate::request::{self, Invocation, Route};
use crate::response::{self, Answer, Reply};
use crate::reuse::{Key, Reuse, Session};
use crate::session;
use crate::settings::{Settings, Wrong};
use crate::transport::Http;

/// Connections that are made before the first request, and the longest that it waits for
/// them. Lambda gives a start ten seconds.
const PREPARED: usize = 8;
const PREPARING: Duration = Duration::from_secs(1);
const NO_EVENT: &str = "the event must be one of an API Gateway REST API's proxy integration";

/// What lasts from request to request: the settings, the services, all on one
/// connection pool, and the credentials that are reused.
pub struct Invoker {
    settings: Result<Settings, Wrong>,
    http: Arc<dyn Http>,
    sts: Sts,
    sts_of_doctor: Sts,
    runtimes: Runtimes,
    /// Absent when every request assumes the role.
    reuse: Option<Reuse>,
}

impl Invoker {
    /// Wrong settings are logged here and answered at every request: a function
    /// that fails to start would be started again and again, and its callers would
    /// see only API Gateway's own error.
    pub fn new(aws: &Aws, settings: Result<Settings, Wrong>) -> Self {
        if let Err(wrong) = &settings {
            tracing::error!(target: "invoker", reason = %wrong, "every request will be refused");
        }
        let sts = Sts::new(aws);
        if aws.own.is_none() || sts.uri().is_none() {
            tracing::error!(target: "invoker", "every request will fail: the environment has no credentials, or no region, or contradicts itself (FIPS with an endpoint of one's own)");
        }
        let regions = settings.iter().flat_map(|settings| settings.grants.regions());
        let clock = aws.clock.clone();
        let reuse = settings.as_ref().ok().and_then(|settings| settings.reuse);
        Self {
            http: Arc::clone(&aws.http),
            sts,
            sts_of_doctor: Sts::of_doctor(aws),
            runtimes: Runtimes::new(aws, regions),
            reuse: reuse.map(|time| Reuse::new(time, move || clock.now())),
            settings,
        }
    }

    /// Makes a connection to each service while Lambda starts the function, with all of a
    /// processor, so that the first caller need not wait for handshakes. Whether they
    /// succeed makes no difference but that time.
    pub async fn prepare(&self) {
        let mut connecting = JoinSet::new();
        let mut prepared = HashSet::new();
        // STS comes first: every request needs it.
        for uri in self.sts.uri().into_iter().chain(self.runtimes.uris()) {
            if prepared.len() < PREPARED && prepared.insert(uri.authority()) {
                let (http, uri) = (Arc::clone(&self.http), uri.clone());
                connecting.spawn(async move { http.prepare(&uri).await });
            }
        }
        // What has not succeeded by then is given up.
        let _ = timeout(PREPARING, async { while connecting.join_next().await.is_some() {} }).await;
    }

    /// Always an answer, whatever the event holds and even if our own code panics.
    /// `event` is the JSON of an API Gateway REST API proxy event.
    pub async fn handle(&self, event: Bytes, context: &Context) -> Answer {
        let mut record = Record::new(context);
        let outcome = unpanicked(self.serve(event, Deadline::of(context), &mut record)).await;
        let outcome = outcome.unwrap_or(Err(Error::Panicked { was_invoking: record.was_invoking }));
        response::answered(outcome, record)
    }

    async fn serve(&self, event: Bytes, deadline: Deadline, record: &mut Record) -> Result<Reply, Error> {
        let read = Event::read(&event).ok_or_else(|| Invalid(NO_EVENT.to_owned()))?;
        let context = read.request_context();
        record.set_api_request_id(context.and_then(|context| context.unverified_request_id()));
        let settings = self.settings.as_ref().map_err(|_| Error::NotSetUp)?;
        let route = Route::of(&read).ok_or(Error::UnknownOperation)?;
        record.route = Some(route.name());
        let caller = context.and_then(Caller::of).ok_or(Error::NoCaller)?;
        match route {
            Route::ListEndpoints => Ok(response::listed(&settings.grants, record)),
            Route::ExamineEndpoint => {
                let endpoint = request::examined(&read)?;
                self.examine_endpoint(settings, &caller, endpoint, deadline, record).await
            }
            Route::Invoke(operation) => {
                let invocation = Invocation::read(operation, &read, &event)?;
                drop(read);
                // So that the body is the only holder of the event's memory.
                drop(event);
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
    ) -> Result<Reply, Error> {
        let Invocation { operation, endpoint, inference_component, headers, body, form } = invocation;
        record.endpoint = Some(endpoint.clone());
        record.bytes_in = body.len();
        let granted = Granted::find(settings, &endpoint).ok_or(Error::NotGranted(endpoint))?;
        record.granted = Some(granted.name().to_owned());
        granted.check_input(&headers)?;
        let policy = session::policy(granted.grant, operation, &granted.endpoint, inference_component.as_ref());
        // By then the head of the answer has to be there, and all of a short or an asynchronous
        // one, which is read first. Any other body has all of the function's time.
        let until_begun = deadline.within(operation.longest());
        let payload = async {
            // Twice around, a call of STS on a kept connection has been sent, and there is time
            // to decode and hash.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            body.decode().map(Payload::from)
        };
        let credentials = self.credentials(&granted, caller, policy, until_begun, record);
        let (credentials, payload) = tokio::join!(credentials, payload);
        let (credentials, payload) = (credentials?, payload?);

        let began = Instant::now();
        record.was_invoking = true;
        let call = Call { operation, endpoint: &granted.endpoint, headers: &headers, payload };
        let upstream = self.runtimes.invoke(&granted.grant.region, call, &credentials, until_begun).await;
        record.invoke = Some(Step::since(began));
        let upstream = upstream.map_err(|not| match self.forgets(&not, credentials.access_key_id(), record) {
            true => Error::Stale(not),
            false => Error::NotInvoked(operation, granted.endpoint, not),
        })?;
        Ok(response::passed(upstream, form, record, deadline))
    }

    /// Credentials for one session under the grant's role that may do what `policy`
    /// says: kept ones of the same caller if the settings allow it, else new ones.
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
        let attribution = granted.attribution(caller, record);
        let ask = granted.ask(&name, attribution.as_ref(), &policy, self.session_duration());

        let began = Instant::now();
        let assumed = match &self.reuse {
            None => self.sts.assume(ask, deadline).await,
            Some(reuse) => {
                let Granted { grant, is_attributed, .. } = granted;
                let key = Key {
                    role: grant.role.clone(),
                    external_id: grant.external_id.clone(),
                    caller: caller.clone(),
                    is_attributed: *is_attributed,
                    policy: policy.clone(),
                };
                let assume = async {
                    let credentials = self.sts.assume(ask, deadline).await?;
                    Ok(Session { credentials, name: name.clone() })
                };
                reuse.session(key, deadline, assume).await.map(|(session, reused)| {
                    record.session = Some(session.name);
                    record.reused = Some(reused);
                    session.credentials
                })
            }
        };
        record.assume = Some(Step::since(began));
        assumed.map_err(|not| Error::NotAssumed(granted.endpoint.clone(), not))
    }

    /// How long the sessions of invocations last.
    fn session_duration(&self) -> Duration {
        self.reuse.as_ref().map_or(SHORTEST, Reuse::duration)
    }

    /// A session that AWS refuses is forgotten: it may be revoked, or its role made
    /// anew, and a new one may do better. True if it was a kept one that is not even
    /// known any more: then the client may try again. This API never does (R04).
    fn forgets(&self, not: &NotInvoked, access_key_id: &str, record: &Record) -> bool {
        let is_unknown = NOT_KNOWN.contains(&not.code.as_str());
        let is_refused = matches!(not.why, Why::Denied | Why::Unauthenticated);
        if let Some(reuse) = self.reuse.as_ref().filter(|_| is_refused) {
            reuse.forget(access_key_id);
        }
        is_unknown && record.reused == Some(true)
    }

    /// Tries the grant's role as invocations would, if not for as long, keeps nothing of
    /// it, and says what is right and wrong with it.
    async fn examine_endpoint(
        &self,
        settings: &Settings,
        caller: &Caller,
        endpoint: EndpointName,
        deadline: Deadline,
        record: &mut Record,
    ) -> Result<Reply, Error> {
        record.endpoint = Some(endpoint.clone());
        let granted = Granted::find(settings, &endpoint).ok_or(Error::NotGranted(endpoint))?;
        record.granted = Some(granted.name().to_owned());
        let name = caller.session_name(&record.request_id).ok_or(Error::NoCaller)?;
        record.session = Some(name.clone());
        let attribution = granted.attribution(caller, record);
        // A stream's session is the largest, but for the inference component that a request may name.
        let operation = Operation::InvokeEndpointWithResponseStream;
        let policy = session::policy(granted.grant, operation, &granted.endpoint, None);
        let ask = granted.ask(&name, attribution.as_ref(), &policy, SHORTEST);
        // One that nobody can have allowed: Lambda made it just now.
        let other = record.request_id.parse().ok();

        let began = Instant::now();
        let probes = doctor::probe(&self.sts_of_doctor, ask, other.as_ref(), deadline).await;
        record.assume = Some(Step::since(began));
        let (region, session) = (granted.grant.region.clone(), self.session_duration());
        let known = doctor::GrantFacts {
            is_attributed: attribution.is_some(),
            is_external_id_the_account: granted.grant.is_external_id_the_account(),
            is_one_of_several: settings.grants.is_several(),
        };
        let diagnosis = doctor::diagnose(probes, known);
        Ok(response::doctored(&Report { endpoint: granted.endpoint, region, session, diagnosis }, record))
    }
}

/// What AWS calls credentials that it does not know or no longer takes, in the words
/// of its several front ends.
const NOT_KNOWN: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
];

/// The future's result, or nothing if it panics. What it borrowed is used after that
/// only to be shown, so a half-changed record does no harm.
async fn unpanicked<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}
