//! CloudFormation's side of the tests: events sent, answers received.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use provisioner::code::Code;
use provisioner::handler::{Invocation, Provisioner, Settings};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::iam::Iam;

pub const ACCOUNT: &str = "111122223333";
pub const CHILD: &str = "444455556666";
pub const FUNCTION: &str = "arn:aws:lambda:us-east-1:111122223333:function:provisioner";
pub const STACK: &str = "arn:aws:cloudformation:us-east-1:111122223333:stack/parent/0f5a";
pub const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";
pub const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal";
pub const POLICY_ARN: &str = "arn:aws:iam::111122223333:policy/sagemaker-external/SageMakerExternalInvokeEndpoint";
pub const GROUP_ARN: &str = "arn:aws:iam::111122223333:group/sagemaker-external/SagemakerTester";
pub const URL: &str =
    "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/key?X-Amz-Signature=url-canary";

/// The stack that the provisioner is of; the events of these tests come from another one.
pub const OWN_STACK: &str = "arn:aws:cloudformation:us-east-1:111122223333:stack/own/0a1b";

/// The function's environment where its operator lets other stacks do all that these tests do.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("PERMISSIONS_BOUNDARY_ARN", BOUNDARY),
    ("OWN_STACK_ID", OWN_STACK),
    ("GRANTABLE_ACCOUNT_IDS", "123456789012,444455556666,777788889999"),
    ("ALLOW_ANY_ENDPOINT", "true"),
    ("GROUPS_FOR_OTHER_STACKS", "true"),
];

/// The settings of that environment, with these variables set otherwise.
pub fn settings(changes: &[(&str, &str)]) -> Settings {
    Settings::read(|name| {
        let all = changes.iter().chain(&ENVIRONMENT);
        all.into_iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    })
}

/// What Lambda gives one event.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The bucket behind the ResponseURL: takes answers, or does what the next status says;
/// a status of 0 is none, for ever.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    pub taken: Arc<Mutex<Vec<HttpRequest>>>,
    pub statuses: Arc<Mutex<Vec<u16>>>,
    /// When each PUT came.
    pub times: Arc<Mutex<Vec<Instant>>>,
    hangs: Arc<AtomicBool>,
}

impl Bucket {
    /// From now on no PUT is answered.
    pub fn hang(&self) {
        self.hangs.store(true, Ordering::Relaxed);
    }
}

impl HttpConnector for Bucket {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.taken.lock().unwrap().push(request);
        self.times.lock().unwrap().push(Instant::now());
        if self.hangs.load(Ordering::Relaxed) {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let mut statuses = self.statuses.lock().unwrap();
        let status = if statuses.is_empty() { 200 } else { statuses.remove(0) };
        if status == 0 {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        response.headers_mut().insert("location", "https://evil.example/");
        HttpConnectorFuture::ready(Ok(response))
    }
}

pub struct Stage {
    pub iam: Iam,
    pub bucket: Bucket,
    provisioner: Provisioner,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(settings(&[]))
    }

    pub fn with(settings: Settings) -> Self {
        Self::retrying(settings, RetryConfig::disabled())
    }

    /// With the SDK's own tries below ours, as in the function.
    pub fn retrying(settings: Settings, retries: RetryConfig) -> Self {
        captured::keep();
        let (iam, bucket) = (Iam::new(ACCOUNT), Bucket::default());
        Self::at(iam, bucket, settings, retries)
    }

    /// The same account after a deployment that changed the function's environment.
    pub fn redeployed(&self, settings: Settings) -> Self {
        Self::at(self.iam.clone(), self.bucket.clone(), settings, RetryConfig::disabled())
    }

    fn at(iam: Iam, bucket: Bucket, settings: Settings, retries: RetryConfig) -> Self {
        let connector = SharedHttpConnector::new(bucket.clone());
        let client = provisioner::iam::Iam::new(iam.client_with(retries));
        Self { provisioner: Provisioner::new(client, connector, settings), iam, bucket }
    }

    /// Sends an event as it is, with two minutes to go.
    pub async fn raw(&self, event: &Value) {
        self.raw_to(FUNCTION, event).await;
    }

    /// As the function of this ARN.
    pub async fn raw_to(&self, function: &str, event: &Value) {
        let invocation = Invocation { function_arn: function.to_owned(), deadline: Instant::now() + TIMEOUT };
        self.provisioner.handle(event, &invocation).await;
    }

    /// Sends an event and returns its one answer.
    pub async fn send(&self, event: &Value) -> Value {
        self.bucket.taken.lock().unwrap().clear();
        self.raw(event).await;
        self.answer(event).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Sends an event to a process that may be killed on the way. `None` if it was.
    pub async fn try_send(&self, event: &Value) -> Option<Value> {
        self.attempt(event).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// As `try_send`; an error when what CloudFormation got is not one valid answer.
    pub async fn attempt(&self, event: &Value) -> Result<Option<Value>, String> {
        self.bucket.taken.lock().unwrap().clear();
        tokio::select! {
            biased;
            () = self.iam.killed.notified() => match self.answers().as_slice() {
                [] => Ok(None),
                answers => Err(format!("killed, and yet it answered {answers:?}")),
            },
            () = self.raw(event) => self.answer(event).map(Some),
        }
    }

    /// The one answer to `event`, if it is one that CloudFormation takes.
    fn answer(&self, event: &Value) -> Result<Value, String> {
        let mut answers = self.answers();
        let answer = answers.pop().filter(|_| answers.is_empty());
        let answer = answer.ok_or_else(|| format!("C45: exactly one answer, not {:?}", self.answers()))?;
        let text = |key: &str| answer[key].as_str().unwrap_or_default();
        let (id, failed, sent) = (text("PhysicalResourceId"), text("Status") == "FAILED", &event["PhysicalResourceId"]);
        let (shown, hidden) = (without_external_id(&answer), secrets(event));
        let rules = [
            (captured::leaks(&shown, hidden.iter().map(String::as_str)).is_empty(), "C31, C32, S03: no secret"),
            (["StackId", "RequestId", "LogicalResourceId"].iter().all(|key| answer[key] == event[key]), "C01: its ids"),
            (failed || text("Status") == "SUCCESS", "C01: a status"),
            (!id.is_empty(), "C10: a physical id"),
            (id.len() <= 1024, "C41: a physical id of 1 KB at most"),
            (!failed || !text("Reason").is_empty(), "C06: a reason"),
            (event["RequestType"] != "Delete" || sent.is_null() || *sent == id, "C21: the id of the Delete"),
            (event["RequestType"] != "Update" || !failed || sent.is_null() || *sent == id, "C17: the id of the Update"),
        ];
        match rules.iter().find(|(kept, _)| !kept) {
            Some((_, rule)) => Err(format!("{rule}: {answer} to {event}")),
            None => Ok(answer),
        }
    }

    pub fn answers(&self) -> Vec<Value> {
        let taken = self.bucket.taken.lock().unwrap();
        taken.iter().map(|request| serde_json::from_slice(request.body().bytes().unwrap()).unwrap()).collect()
    }

    /// Sends, and asserts that it went well.
    pub async fn succeed(&self, event: &Value) -> Value {
        let answer = self.send(event).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        answer
    }

    /// Sends, and asserts that it did not; returns the reason and the id.
    pub async fn fail(&self, event: &Value) -> (String, String) {
        let ([reason, _], id) = self.failure(event).await;
        (reason, id)
    }

    /// As `fail`, with the reason's code apart.
    pub async fn failure(&self, event: &Value) -> ([String; 2], String) {
        let answer = self.send(event).await;
        assert_eq!(answer["Status"], "FAILED", "{answer}");
        let text = |key: &str| answer[key].as_str().unwrap_or_default();
        let parted = text("Reason").strip_suffix(']').and_then(|reason| reason.rsplit_once(" ["));
        let (reason, code) = parted.unwrap_or_else(|| panic!("a code at the end: {answer}"));
        assert!(Code::ALL.iter().any(|known| known.name() == code), "{answer}");
        ([reason, code].map(str::to_owned), text("PhysicalResourceId").to_owned())
    }

    /// Creates the resource of `properties` and forgets the calls it took.
    pub async fn created(&self, event: &Value) -> String {
        let answer = self.succeed(event).await;
        self.iam.take_calls();
        answer["PhysicalResourceId"].as_str().unwrap_or_default().to_owned()
    }
}

/// An answer but for the attribute that a stack may ask for with `Fn::GetAtt`.
fn without_external_id(answer: &Value) -> String {
    let mut shown = answer.clone();
    if let Some(data) = shown["Data"].as_object_mut() {
        data.remove("ExternalId");
    }
    shown.to_string()
}

/// What an event holds that its answer may not repeat: the URL's query, and ExternalIds
/// that are neither the account's id, as in the recipe, nor too short to tell.
fn secrets(event: &Value) -> Vec<String> {
    let query = event["ResponseURL"].as_str().and_then(|url| url.split_once('?')).map(|(_, query)| query);
    let ids = ["ResourceProperties", "OldResourceProperties"].map(|key| event[key]["ExternalId"].as_str());
    let ids = ids.into_iter().flatten().filter(|id| id.len() >= 8 && !id.bytes().all(|b| b.is_ascii_digit()));
    query.into_iter().chain(ids).map(str::to_owned).collect()
}

/// Properties of the recipe's role.
pub fn role() -> Value {
    json!({"ServiceToken": FUNCTION, "ServiceTimeout": "150", "EndpointNames": ["iris"], "TrustedAccountIds": [CHILD]})
}

/// Properties of the recipe's group.
pub fn group() -> Value {
    json!({"ServiceToken": FUNCTION, "RoleArns": ["arn:aws:iam::777788889999:role/sagemaker-external/SageMakerExternal"]})
}

/// `base` with some members set, or removed where null.
pub fn with(base: Value, changes: Value) -> Value {
    let mut members: Map<String, Value> = base.as_object().unwrap().clone();
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(key),
            value => members.insert(key.clone(), value.clone()),
        };
    }
    Value::Object(members)
}

fn event(kind: &str, request: &str, properties: &Value) -> Value {
    json!({
        "RequestType": request, "ResponseURL": URL, "StackId": STACK, "RequestId": format!("{request}-1"),
        "LogicalResourceId": kind, "ResourceType": format!("Custom::SageMaker{kind}"), "ServiceToken": FUNCTION,
        "ResourceProperties": properties,
    })
}

/// The kind is told from the properties: a group names roles, a role endpoints.
fn kind(properties: &Value) -> &'static str {
    match properties {
        group if group.get("RoleArns").is_some() => "ExternalGroup",
        grants if grants.get("Grants").is_some() => "ExternalGrants",
        _ => "ExternalRole",
    }
}

pub fn create(properties: &Value) -> Value {
    event(kind(properties), "Create", properties)
}

pub fn update(id: &str, old: &Value, new: &Value) -> Value {
    let id = json!({"PhysicalResourceId": id, "OldResourceProperties": old});
    with(event(kind(new), "Update", new), id)
}

pub fn delete(id: &str, properties: &Value) -> Value {
    with(event(kind(properties), "Delete", properties), json!({"PhysicalResourceId": id}))
}

/// The calls that change something.
pub fn writes(calls: &[String]) -> Vec<&str> {
    calls.iter().map(String::as_str).filter(|call| !call.starts_with("Get") && !call.starts_with("List")).collect()
}
