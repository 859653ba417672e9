//! A stand-in for IAM behind the real SDK client: strict where the public
//! emulators are lenient (names that differ in case, conflicts on deletion, five
//! versions, pages of two), and it counts every call.

mod groups;
mod policies;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::sync::Notify;

use crate::wire::{Fields, error_xml, list_xml, result_xml, tags_xml, text_xml};

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
    pub account: String,
    /// By lower-cased name: IAM's names differ in more than case.
    pub roles: BTreeMap<String, Role>,
    pub policies: BTreeMap<String, Policy>,
    pub groups: BTreeMap<String, Group>,
    pub users: BTreeSet<String>,
    /// Every call in order: `Action name`, with ` !Code` when it was refused.
    pub calls: Vec<String>,
    pub faults: BTreeMap<String, VecDeque<Fault>>,
    /// What goes wrong with the call of this number, counted from 0 by `seen`.
    pub fault_at: Option<(usize, Fault)>,
    pub seen: usize,
    made: u32,
}

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
    /// Never answered.
    Hangs,
    /// The process ends at this call, before or after it took effect.
    Killed { after: bool },
    /// The SDK itself panics.
    Panics,
}

type Answer = Result<String, (u16, &'static str, String)>;

impl Iam {
    pub fn new(account: &str) -> Self {
        let iam = Self::default();
        iam.world().account = account.to_owned();
        iam
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next call of `action` that has no fault yet gets this one.
    pub fn fault(&self, action: &str, fault: Fault) {
        self.world().faults.entry(action.to_owned()).or_default().push_back(fault);
    }

    /// A real SDK client whose HTTP ends here; without the SDK's own retries.
    pub fn client(&self) -> aws_sdk_iam::Client {
        let connector = SharedHttpConnector::new(self.clone());
        let config = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
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
        let number = world.seen;
        world.seen += 1;
        let planned = world.fault_at.take_if(|(at, _)| *at == number).map(|(_, fault)| fault);
        let fault = planned.or_else(|| world.faults.get_mut(&action).and_then(VecDeque::pop_front));
        let (status, body) = match fault {
            Some(Fault::Killed { after }) => {
                if after {
                    let answer = world.act(&fields);
                    world.record(&fields, answer);
                }
                self.killed.notify_one();
                return HttpConnectorFuture::new(std::future::pending());
            }
            Some(Fault::Hangs) => return HttpConnectorFuture::new(std::future::pending()),
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
            None => {
                let answer = world.act(&fields);
                world.record(&fields, answer)
            }
        };
        let mut response = HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body));
        response.headers_mut().insert("content-type", "text/xml");
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl World {
    fn record(&mut self, fields: &Fields, answer: Answer) -> (u16, String) {
        let action = fields.get("Action");
        let about = ["RoleName", "PolicyArn", "PolicyName", "GroupName"].map(|key| fields.get(key));
        let about = about.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let about = about.rsplit('/').next().unwrap_or_default();
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
        match f.get("Action") {
            "GetRole" => self.role(f).map(|role| self.role_xml(role)),
            "CreateRole" => self.create_role(f),
            "UpdateAssumeRolePolicy" => {
                self.role_mut(f).map(|role| role.trust = f.get("PolicyDocument").to_owned()).map(done)
            }
            "UpdateRole" => {
                self.role_mut(f).map(|role| role.max_session = f.get("MaxSessionDuration").to_owned()).map(done)
            }
            "PutRolePermissionsBoundary" => {
                self.role_mut(f).map(|role| role.boundary = Some(f.get("PermissionsBoundary").to_owned())).map(done)
            }
            "DeleteRolePermissionsBoundary" => self.role_mut(f).map(|role| role.boundary = None).map(done),
            "TagRole" => self.role_mut(f).map(|role| role.tags.extend(f.tags())).map(done),
            "UntagRole" => {
                self.role_mut(f).map(|role| role.tags.retain(|key, _| !f.list("TagKeys").contains(key))).map(done)
            }
            "ListAttachedRolePolicies" => {
                let items = self.role(f)?.attached.iter().map(|arn| {
                    format!(
                        "<PolicyName>{}</PolicyName><PolicyArn>{arn}</PolicyArn>",
                        arn.rsplit('/').next().unwrap_or_default()
                    )
                });
                Ok(list_xml("AttachedPolicies", items.collect(), f, PAGE))
            }
            "ListRolePolicies" => Ok(list_xml("PolicyNames", self.role(f)?.inline.keys().cloned().collect(), f, PAGE)),
            "ListInstanceProfilesForRole" => {
                let items = self.role(f)?.profiles.iter().map(|name| {
                    let arn = format!("arn:aws:iam::{}:instance-profile/{name}", self.account);
                    format!(
                        "<InstanceProfileName>{name}</InstanceProfileName><Path>/</Path><InstanceProfileId>AIPAX</InstanceProfileId><Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><Roles/>"
                    )
                });
                Ok(list_xml("InstanceProfiles", items.collect(), f, PAGE))
            }
            "DeleteRolePolicy" => {
                let gone = self.role_mut(f)?.inline.remove(f.get("PolicyName"));
                gone.map(|_| String::new()).ok_or_else(|| missing("policy"))
            }
            "AttachRolePolicy" => self.attach(f),
            "DetachRolePolicy" => {
                let gone = self.role_mut(f)?.attached.remove(f.get("PolicyArn"));
                gone.then(String::new).ok_or_else(|| missing("policy"))
            }
            "DeleteRole" => self.delete_role(f),
            "CreatePolicy" => self.create_policy(f),
            "GetPolicy" => self.policy(f).map(|policy| self.policy_xml(policy)),
            "GetPolicyVersion" => self.get_policy_version(f),
            "ListPolicyVersions" => self.list_policy_versions(f),
            "CreatePolicyVersion" => self.create_policy_version(f),
            "SetDefaultPolicyVersion" => self.set_default_version(f),
            "DeletePolicyVersion" => self.delete_policy_version(f),
            "TagPolicy" => self.policy_mut(f).map(|policy| policy.tags.extend(f.tags())).map(done),
            "UntagPolicy" => {
                self.policy_mut(f).map(|p| p.tags.retain(|key, _| !f.list("TagKeys").contains(key))).map(done)
            }
            "ListEntitiesForPolicy" => self.list_entities(f),
            "DeletePolicy" => self.delete_policy(f),
            "CreateGroup" => self.create_group(f),
            "GetGroup" => self.get_group(f),
            "ListGroupPolicies" => {
                Ok(list_xml("PolicyNames", self.group(f)?.inline.keys().cloned().collect(), f, PAGE))
            }
            "GetGroupPolicy" => {
                let group = self.group(f)?;
                let name = f.get("PolicyName");
                let document = group.inline.get(name).ok_or_else(|| missing("policy"))?;
                Ok(text_xml("GroupName", &group.name)
                    + &text_xml("PolicyName", name)
                    + &text_xml("PolicyDocument", &encoded(document)))
            }
            "ListAttachedGroupPolicies" => {
                let items = self
                    .group(f)?
                    .attached
                    .iter()
                    .map(|arn| format!("<PolicyName>x</PolicyName><PolicyArn>{arn}</PolicyArn>"));
                Ok(list_xml("AttachedPolicies", items.collect(), f, PAGE))
            }
            "PutGroupPolicy" => {
                let (name, document) = (f.get("PolicyName").to_owned(), f.get("PolicyDocument").to_owned());
                self.group_mut(f).map(|group| _ = group.inline.insert(name, document)).map(done)
            }
            "DeleteGroupPolicy" => {
                let gone = self.group_mut(f)?.inline.remove(f.get("PolicyName"));
                gone.map(|_| String::new()).ok_or_else(|| missing("policy"))
            }
            "AddUserToGroup" => {
                if !self.users.contains(f.get("UserName")) {
                    return Err(missing("user"));
                }
                self.group_mut(f).map(|group| _ = group.users.insert(f.get("UserName").to_owned())).map(done)
            }
            "RemoveUserFromGroup" => {
                let gone = self.group_mut(f)?.users.remove(f.get("UserName"));
                gone.then(String::new).ok_or_else(|| missing("user"))
            }
            "DeleteGroup" => self.delete_group(f),
            other => panic!("the stand-in does not know {other}"),
        }
    }

    fn new_id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{:017}", self.made)
    }

    fn arn(&self, kind: &str, path: &str, name: &str) -> String {
        format!("arn:aws:iam::{}:{kind}{path}{name}", self.account)
    }

    fn role(&self, f: &Fields) -> Result<&Role, (u16, &'static str, String)> {
        self.roles.get(&f.get("RoleName").to_lowercase()).ok_or_else(|| missing("role"))
    }

    fn role_mut(&mut self, f: &Fields) -> Result<&mut Role, (u16, &'static str, String)> {
        self.roles.get_mut(&f.get("RoleName").to_lowercase()).ok_or_else(|| missing("role"))
    }

    fn create_role(&mut self, f: &Fields) -> Answer {
        let name = f.get("RoleName");
        if self.roles.contains_key(&name.to_lowercase()) {
            return Err((409, "EntityAlreadyExists", format!("Role with name {name} already exists.")));
        }
        let role = Role {
            name: name.to_owned(),
            path: f.get("Path").to_owned(),
            id: self.new_id("AROA"),
            trust: f.get("AssumeRolePolicyDocument").to_owned(),
            max_session: f.get("MaxSessionDuration").to_owned(),
            boundary: Some(f.get("PermissionsBoundary").to_owned()).filter(|text| !text.is_empty()),
            tags: f.tags(),
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            profiles: Vec::new(),
        };
        let xml = self.role_xml(&role);
        self.roles.insert(name.to_lowercase(), role);
        Ok(xml)
    }

    fn role_xml(&self, role: &Role) -> String {
        let boundary = role.boundary.as_ref().map(|arn| {
            format!("<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>{arn}</PermissionsBoundaryArn></PermissionsBoundary>")
        });
        format!(
            "<Role>{}{}{}{}{}{}<CreateDate>2026-01-01T00:00:00Z</CreateDate>{}{}</Role>",
            text_xml("RoleName", &role.name),
            text_xml("Path", &role.path),
            text_xml("RoleId", &role.id),
            text_xml("Arn", &self.arn("role", &role.path, &role.name)),
            text_xml("AssumeRolePolicyDocument", &encoded(&role.trust)),
            text_xml("MaxSessionDuration", &role.max_session),
            boundary.unwrap_or_default(),
            tags_xml(&role.tags),
        )
    }

    fn attach(&mut self, f: &Fields) -> Answer {
        let arn = f.get("PolicyArn").to_owned();
        let known = arn.starts_with("arn:aws:iam::aws:") || self.policy(f).is_ok();
        if !known {
            return Err((404, "NoSuchEntity", format!("Policy {arn} does not exist or is not attachable.")));
        }
        self.role_mut(f).map(|role| _ = role.attached.insert(arn)).map(done)
    }

    fn delete_role(&mut self, f: &Fields) -> Answer {
        let role = self.role(f)?;
        if !role.attached.is_empty() {
            return Err((409, "DeleteConflict", "Cannot delete entity, must detach all policies first.".to_owned()));
        }
        if !role.inline.is_empty() {
            return Err((409, "DeleteConflict", "Cannot delete entity, must delete policies first.".to_owned()));
        }
        if !role.profiles.is_empty() {
            return Err((
                409,
                "DeleteConflict",
                "Cannot delete entity, must remove roles from instance profile first.".to_owned(),
            ));
        }
        self.roles.remove(&f.get("RoleName").to_lowercase());
        Ok(String::new())
    }
}

fn done((): ()) -> String {
    String::new()
}

fn missing(what: &str) -> (u16, &'static str, String) {
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
