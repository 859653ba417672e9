//! A stand-in for IAM behind the real SDK client: strict where the public
//! emulators are lenient (names, paths and documents; names that differ in case;
//! conflicts on deletion; quotas; pages of two; copies that lag), and it counts
//! every call, and those that are under way at once.

mod documents;
mod groups;
mod lag;
mod policies;
mod roles;
mod rules;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::sync::Notify;

pub use self::lag::Lag;
use crate::wire::{Fields, error_xml, list_xml, result_xml};

/// Small enough that every list in the tests is paged.
const PAGE: usize = 2;

#[derive(Debug, Clone, Default)]
pub struct Iam {
    world: Arc<Mutex<World>>,
    /// Told when a call kills the process.
    pub killed: Arc<Notify>,
}

#[derive(Debug, Default, Clone)]
pub struct World {
    pub partition: String,
    pub account: String,
    /// How many items of a list come at once.
    pub page: usize,
    /// By lower-cased name: IAM's names differ in more than case.
    pub roles: BTreeMap<String, Role>,
    pub policies: BTreeMap<String, Policy>,
    pub groups: BTreeMap<String, Group>,
    pub users: BTreeSet<String>,
    /// Whether the names of a group's inline policies are compared without regard to case.
    pub ignores_inline_case: bool,
    /// Every call in order: `Action name`, with ` !Code` when it was refused.
    pub calls: Vec<String>,
    pub faults: BTreeMap<String, VecDeque<Fault>>,
    /// What goes wrong for ever, by `Action`, or `Action name` as in `calls`.
    pub lasting: BTreeMap<String, Fault>,
    /// What goes wrong with the call of this number, counted from 0 by `seen`.
    pub fault_at: Option<(usize, Fault)>,
    pub seen: usize,
    /// The last request's URI and its Authorization.
    pub last_request: (String, String),
    /// Every member that a request ever had.
    pub fields_seen: BTreeSet<String>,
    pub quotas: Quotas,
    /// Whether a permissions boundary must be a policy that is there.
    pub boundary_must_exist: bool,
    /// Principals that no trust may name, and for how many tries.
    pub unknown_principals: BTreeMap<String, usize>,
    /// How far the copies are behind what is made from now on.
    pub lag: Lag,
    /// How long an answer takes. On a clock that stands still but for what is waited for, the
    /// time of an event in these is its number of sequential round trips.
    pub latency: Duration,
    pub in_flight: usize,
    pub most_in_flight: usize,
    young: BTreeMap<String, Lag>,
    made: u32,
}

/// IAM's default quotas of an account.
#[derive(Debug, Clone)]
pub struct Quotas {
    pub roles: usize,
    pub policies: usize,
    pub groups: usize,
    /// Managed policies of one role.
    pub attached: usize,
    pub groups_per_user: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { roles: 1_000, policies: 1_500, groups: 300, attached: 10, groups_per_user: 10 }
    }
}

pub type Tags = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub path: String,
    pub id: String,
    pub trust: String,
    pub max_session: String,
    pub boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub attached: BTreeSet<String>,
    pub inline: BTreeMap<String, String>,
    pub profiles: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub name: String,
    pub path: String,
    pub id: String,
    pub versions: BTreeMap<u32, String>,
    pub default: u32,
    pub newest: u32,
    pub tags: BTreeMap<String, String>,
    pub users: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub path: String,
    pub id: String,
    pub users: BTreeSet<String>,
    pub inline: BTreeMap<String, String>,
    pub attached: BTreeSet<String>,
}

/// What goes wrong with the next call of an action.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Refused before it took effect.
    Refused(u16, &'static str, &'static str),
    /// Took effect, and the answer was lost: 500.
    Lost,
    /// Another run's same call took effect just before, and IAM, which does not know the
    /// path of what is gone, refuses this one: 403.
    Overtaken,
    /// Never answered, and without effect, or with it.
    Hangs,
    HangsAfter,
    /// The process ends at this call, before or after it took effect.
    Killed {
        after: bool,
    },
    /// The SDK itself panics.
    Panics,
}

/// Status, code and message.
type Refusal = (u16, &'static str, String);
type Answer = Result<String, Refusal>;

impl Iam {
    pub fn new(account: &str) -> Self {
        let iam = Self::default();
        {
            let mut world = iam.world();
            (world.partition, world.account, world.page) = ("aws".to_owned(), account.to_owned(), PAGE);
        }
        iam
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next call of `action` that has no fault yet gets this one.
    pub fn fault(&self, action: &str, fault: Fault) {
        self.world().faults.entry(action.to_owned()).or_default().push_back(fault);
    }

    /// Every call of this action from now on gets this fault; with a name, those about it.
    pub fn fault_for_ever(&self, call: &str, fault: Fault) {
        self.world().lasting.insert(call.to_owned(), fault);
    }

    /// A real SDK client whose HTTP ends here; without the SDK's own retries.
    pub fn client(&self) -> aws_sdk_iam::Client {
        self.client_with(RetryConfig::disabled())
    }

    pub fn client_with(&self, retries: RetryConfig) -> aws_sdk_iam::Client {
        let connector = SharedHttpConnector::new(self.clone());
        let config = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
            .retry_config(retries)
            .http_client(http_client_fn(move |_, _| connector.clone()));
        aws_sdk_iam::Client::from_conf(config.build())
    }

    /// The calls since the last look, and forgets them.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.world().calls)
    }
}

impl HttpConnector for Iam {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let fields = Fields::read(request.body().bytes().unwrap_or_default());
        let mut world = self.world();
        let action = fields.get("Action").to_owned();
        world.fields_seen.extend(fields.keys());
        let authorization = request.headers().get("authorization").unwrap_or_default();
        world.last_request = (request.uri().to_owned(), authorization.to_owned());
        let number = world.seen;
        world.seen += 1;
        let planned = world.fault_at.take_if(|(at, _)| *at == number).map(|(_, fault)| fault);
        let fault = planned.or_else(|| world.faults.get_mut(&action).and_then(VecDeque::pop_front));
        let lasting = || [format!("{action} {}", about(&fields)), action.clone()].into_iter();
        let fault = fault.or_else(|| lasting().find_map(|call| world.lasting.get(&call).cloned()));
        let (status, body) = match fault {
            Some(Fault::Killed { after }) => {
                if after {
                    let answer = world.act(&fields);
                    world.record(&fields, answer);
                }
                self.killed.notify_one();
                return HttpConnectorFuture::new(std::future::pending());
            }
            Some(hangs @ (Fault::Hangs | Fault::HangsAfter)) => {
                if matches!(hangs, Fault::HangsAfter) {
                    _ = world.act(&fields);
                }
                world.record(&fields, Err((0, "Hangs", String::new())));
                return HttpConnectorFuture::new(std::future::pending());
            }
            Some(Fault::Panics) => {
                drop(world);
                panic!("a panic whose message holds secret-canary");
            }
            Some(Fault::Refused(status, code, message)) => {
                world.record(&fields, Err((status, code, message.to_owned())))
            }
            Some(Fault::Lost) => {
                let answer = world.act(&fields);
                world.record(&fields, answer.and(Err((500, "ServiceFailure", "lost".to_owned()))))
            }
            Some(Fault::Overtaken) => {
                let answer = world.act(&fields);
                world.record(&fields, answer.and(Err((403, "AccessDenied", "not authorized".to_owned()))))
            }
            None => {
                let answer = world.act(&fields);
                world.record(&fields, answer)
            }
        };
        let mut response = HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body));
        response.headers_mut().insert("content-type", "text/xml");
        if world.latency.is_zero() {
            return HttpConnectorFuture::ready(Ok(response));
        }
        world.in_flight += 1;
        world.most_in_flight = world.most_in_flight.max(world.in_flight);
        let (latency, iam) = (world.latency, self.clone());
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(latency).await;
            iam.world().in_flight -= 1;
            Ok(response)
        })
    }
}

impl World {
    fn record(&mut self, fields: &Fields, answer: Answer) -> (u16, String) {
        let (action, about) = (fields.get("Action"), about(fields));
        match answer {
            Ok(result) => {
                self.calls.push(format!("{action} {about}"));
                (200, result_xml(action, &result))
            }
            Err((status, code, message)) => {
                self.calls.push(format!("{action} {about} !{code}"));
                (status, error_xml(code, &message))
            }
        }
    }

    fn act(&mut self, f: &Fields) -> Answer {
        rules::check(f)?;
        self.lagging(f)?;
        match f.get("Action") {
            "GetRole" => self.get_role(f),
            "CreateRole" => self.create_role(f),
            "UpdateAssumeRolePolicy" => self.put_trust(f),
            "UpdateRole" => {
                self.role_mut(f).map(|role| role.max_session = f.get("MaxSessionDuration").to_owned()).map(done)
            }
            "PutRolePermissionsBoundary" => self.put_boundary(f),
            "DeleteRolePermissionsBoundary" => self.role_mut(f).map(|role| role.boundary = None).map(done),
            "TagRole" => self.tag_role(f),
            "UntagRole" => self.untag_role(f),
            "ListAttachedRolePolicies" => self.list_attached(f),
            "ListRolePolicies" => {
                Ok(list_xml("PolicyNames", self.role(f)?.inline.keys().cloned().collect(), f, self.page))
            }
            "ListInstanceProfilesForRole" => self.list_profiles(f),
            "DeleteRolePolicy" => self.delete_role_policy(f),
            "AttachRolePolicy" => self.attach(f),
            "DetachRolePolicy" => self.detach(f),
            "DeleteRole" => self.delete_role(f),
            "CreatePolicy" => self.create_policy(f),
            "GetPolicy" => self.policy(f).map(|policy| self.policy_xml(policy)),
            "GetPolicyVersion" => self.get_policy_version(f),
            "ListPolicyVersions" => self.list_policy_versions(f),
            "CreatePolicyVersion" => self.create_policy_version(f),
            "SetDefaultPolicyVersion" => self.set_default_version(f),
            "DeletePolicyVersion" => self.delete_policy_version(f),
            "TagPolicy" => self.tag_policy(f),
            "UntagPolicy" => self.untag_policy(f),
            "ListEntitiesForPolicy" => self.list_entities(f),
            "DeletePolicy" => self.delete_policy(f),
            "CreateGroup" => self.create_group(f),
            "GetGroup" => self.get_group(f),
            "ListGroupPolicies" => {
                Ok(list_xml("PolicyNames", self.group(f)?.inline.keys().cloned().collect(), f, self.page))
            }
            "GetGroupPolicy" => self.get_group_policy(f),
            "ListAttachedGroupPolicies" => self.list_group_attached(f),
            "PutGroupPolicy" => self.put_group_policy(f),
            "DeleteGroupPolicy" => self.delete_group_policy(f),
            "AddUserToGroup" => self.add_user(f),
            "RemoveUserFromGroup" => self.remove_user(f),
            "DeleteGroup" => self.delete_group(f),
            other => panic!("the stand-in does not know {other}"),
        }
    }

    fn new_id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{:017}", self.made)
    }

    fn arn(&self, kind: &str, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:{kind}{path}{name}", self.partition, self.account)
    }
}

/// The name of what a request is about.
fn about(fields: &Fields) -> &str {
    let about = ["RoleName", "PolicyArn", "PolicyName", "GroupName"].map(|key| fields.get(key));
    let about = about.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    about.rsplit('/').next().unwrap_or_default()
}

fn done((): ()) -> String {
    String::new()
}

fn missing(what: &str) -> Refusal {
    (404, "NoSuchEntity", format!("The {what} cannot be found."))
}

fn encoded(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}

/// A document as it stands in the stand-in, decoded for assertions.
pub fn json(document: &str) -> serde_json::Value {
    let text = percent_decode_str(document).decode_utf8_lossy();
    serde_json::from_str(&text).expect("a JSON document")
}
