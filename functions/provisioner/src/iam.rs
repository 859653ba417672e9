//! The only place that calls IAM: one step at a time here, what is there in `read`.

mod read;
mod read_group;
mod read_policy;

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::error::SdkError;
use aws_sdk_iam::types::Tag;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use sagemaker_external::failure::{Failure, Kind};

pub use self::read::Numbers;
use crate::apply::is_invalid_principal;
use crate::step::{Step, Tags};

/// Waits between tries while IAM's copies catch up with each other; together
/// about 20 s, which is what the propagation of a new principal takes at worst.
const SETTLE: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(750),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(6),
    Duration::from_secs(8),
];

/// So many of these waits, 3 s, for a principal that was trusted before.
const FEW: usize = 3;

/// More tries than the SDK's three: a stack's deployment makes IAM throttle (U22).
const ATTEMPTS: u32 = 8;

/// How the SDK's client tries again, below the waits of [`Iam::apply`]. Not in its
/// adaptive mode, which paces every later call after a throttle, down to one in two
/// seconds: two throttles made a Create of the recipe take 28 s. A handful of calls
/// in a row is no load that needs pacing.
pub fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS)
}

/// What a creation gave: the ARN and id are read, never built from input (S08).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub arn: String,
    pub id: String,
}

#[derive(Debug, Clone)]
pub struct Iam {
    client: Client,
}

impl Iam {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// One step, waited for while IAM says that it is not ready for it: another
    /// change at the same moment (U19, U20), a principal (U15) or an entity of this
    /// run (`fresh`, U18) not yet known.
    /// A removal of what is gone is done (U14).
    pub async fn apply(&self, step: &Step, fresh: bool) -> Result<Option<Made>, Failure> {
        let mut waits = SETTLE.iter();
        loop {
            let waited = SETTLE.len() - waits.len();
            // Boxed: the future of some twenty SDK operations in one is too large a type.
            let failure = match Box::pin(self.call(step)).await {
                Err(failure) if failure.kind == Kind::NotFound && step.is_removal() => return Ok(None),
                // Of what is gone IAM does not know the path, by which permissions go.
                Err(failure) if failure.kind == Kind::Denied && step.is_removal() && self.is_gone(step).await => {
                    return Ok(None);
                }
                Err(failure) => failure,
                Ok(made) => return Ok(made),
            };
            let unsettled = match failure.kind {
                // Something hangs on what is to go that was not seen, or is not gone yet
                // (U13): that takes another look.
                Kind::Conflict if failure.code.starts_with("DeleteConflict") => false,
                Kind::Conflict => true,
                Kind::NotFound => fresh,
                _ if !is_invalid_principal(&failure) => false,
                // One that was trusted before is more likely gone than new.
                _ => match step.dispensable().filter(|lost| !lost.refused(&failure.message).is_empty()) {
                    Some(lost) => !lost.waited_for && waited < FEW,
                    None => true,
                },
            };
            match waits.next() {
                Some(wait) if unsettled => {
                    tracing::info!(step = %step, code = failure.code, "waiting for IAM to settle");
                    tokio::time::sleep(*wait).await;
                }
                _ => return Err(failure),
            }
        }
    }

    async fn call(&self, step: &Step) -> Result<Option<Made>, Failure> {
        let iam = &self.client;
        match step {
            Step::CreateRole { role, trust, max_session, boundary, tags, .. } => {
                let made = iam
                    .create_role()
                    .role_name(role.name.as_str())
                    .path(role.path.as_str())
                    .assume_role_policy_document(trust)
                    .max_session_duration(*max_session)
                    .permissions_boundary(boundary)
                    .set_tags(Some(sdk_tags(tags)?))
                    .send();
                return Ok(made.await.map_err(failure)?.role.map(|role| Made { arn: role.arn, id: role.role_id }));
            }
            Step::CreatePolicy { policy, document, tags } => {
                let made = iam
                    .create_policy()
                    .policy_name(policy.name.as_str())
                    .path(policy.path.as_str())
                    .policy_document(document)
                    .set_tags(Some(sdk_tags(tags)?))
                    .send();
                let made = made.await.map_err(failure)?.policy;
                // What is attached later is what was made (U04).
                return match made.and_then(|made| made.arn.zip(made.policy_id)) {
                    Some((arn, id)) if arn == policy.to_string() => Ok(Some(Made { arn, id })),
                    _ => Err(unreadable("CreatePolicy")),
                };
            }
            Step::CreateGroup { path, group } => {
                let made = iam.create_group().group_name(group.as_str()).path(path.as_str()).send();
                return Ok(made.await.map_err(failure)?.group.map(|group| Made { arn: group.arn, id: group.group_id }));
            }
            Step::PutBoundary { role, boundary } => {
                let put = iam.put_role_permissions_boundary().role_name(role.as_str()).permissions_boundary(boundary);
                put.send().await.map(drop).map_err(failure)
            }
            Step::DeleteBoundary { role } => {
                let delete = iam.delete_role_permissions_boundary().role_name(role.as_str());
                delete.send().await.map(drop).map_err(failure)
            }
            Step::PutTrust { role, document, .. } => {
                let put = iam.update_assume_role_policy().role_name(role.as_str()).policy_document(document);
                put.send().await.map(drop).map_err(failure)
            }
            Step::SetMaxSession { role, seconds } => {
                let update = iam.update_role().role_name(role.as_str()).max_session_duration(*seconds);
                update.send().await.map(drop).map_err(failure)
            }
            Step::TagRole { role, tags } | Step::AdoptRole { role, tags } => {
                let tag = iam.tag_role().role_name(role.as_str()).set_tags(Some(sdk_tags(tags)?));
                tag.send().await.map(drop).map_err(failure)
            }
            Step::UntagRole { role, keys } => {
                let untag = iam.untag_role().role_name(role.as_str()).set_tag_keys(Some(keys.clone()));
                untag.send().await.map(drop).map_err(failure)
            }
            Step::DeleteInlinePolicy { role, policy } => {
                let delete = iam.delete_role_policy().role_name(role.as_str()).policy_name(policy);
                delete.send().await.map(drop).map_err(failure)
            }
            Step::DeleteRole { role } => {
                iam.delete_role().role_name(role.as_str()).send().await.map(drop).map_err(failure)
            }
            Step::PutPolicy { policy, document } => {
                let put = iam.create_policy_version().policy_arn(policy.to_string()).policy_document(document);
                put.set_as_default(true).send().await.map(drop).map_err(failure)
            }
            Step::SetDefaultVersion { policy, version } => {
                let set = iam.set_default_policy_version().policy_arn(policy.to_string()).version_id(version);
                set.send().await.map(drop).map_err(failure)
            }
            Step::DeletePolicyVersion { policy, version } => {
                let delete = iam.delete_policy_version().policy_arn(policy.to_string()).version_id(version);
                delete.send().await.map(drop).map_err(failure)
            }
            Step::TagPolicy { policy, tags } => {
                let tag = iam.tag_policy().policy_arn(policy.to_string()).set_tags(Some(sdk_tags(tags)?));
                tag.send().await.map(drop).map_err(failure)
            }
            Step::UntagPolicy { policy, keys } => {
                let untag = iam.untag_policy().policy_arn(policy.to_string()).set_tag_keys(Some(keys.clone()));
                untag.send().await.map(drop).map_err(failure)
            }
            Step::DeletePolicy { policy } => {
                iam.delete_policy().policy_arn(policy.to_string()).send().await.map(drop).map_err(failure)
            }
            Step::Attach { role, policy } => {
                let attach = iam.attach_role_policy().role_name(role.as_str()).policy_arn(policy);
                attach.send().await.map(drop).map_err(failure)
            }
            Step::Detach { role, policy } => {
                let detach = iam.detach_role_policy().role_name(role).policy_arn(policy);
                detach.send().await.map(drop).map_err(failure)
            }
            Step::PutGroupPolicy { group, policy, document } | Step::AdoptGroup { group, policy, document } => {
                let put = iam.put_group_policy().group_name(group.as_str()).policy_name(policy);
                put.policy_document(document).send().await.map(drop).map_err(failure)
            }
            Step::DeleteGroupPolicy { group, policy } => {
                let delete = iam.delete_group_policy().group_name(group.as_str()).policy_name(policy);
                delete.send().await.map(drop).map_err(failure)
            }
            Step::AddUser { group, user, .. } => {
                let add = iam.add_user_to_group().group_name(group.as_str()).user_name(user.as_str());
                add.send().await.map(drop).map_err(failure)
            }
            Step::RemoveUser { group, user } => {
                let remove = iam.remove_user_from_group().group_name(group.as_str()).user_name(user.as_str());
                remove.send().await.map(drop).map_err(failure)
            }
            Step::DeleteGroup { group } => {
                iam.delete_group().group_name(group.as_str()).send().await.map(drop).map_err(failure)
            }
        }?;
        Ok(None)
    }
}

fn failure<E>(error: SdkError<E, Response>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    Failure::of(&error)
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, Failure> {
    let build = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(build).collect::<Result<_, _>>().map_err(|_| unreadable("a tag"))
}

fn unreadable(action: &str) -> Failure {
    let message = format!("{action} answered without a usable ARN");
    Failure { kind: Kind::Transient, code: "Response".to_owned(), message }
}
