//! Managed policies: five versions, none of them deleted while it is the default.

use std::collections::BTreeMap;

use super::documents::{self, quota};
use super::{Answer, Policy, Refusal, World, done, encoded, missing, rules};
use crate::wire::{Fields, list_xml, tags_xml, text_xml};

impl World {
    fn policy_key(&self, f: &Fields) -> Option<String> {
        let arn = f.get("PolicyArn");
        let found = self.policies.iter().find(|(_, policy)| self.arn("policy", &policy.path, &policy.name) == arn);
        found.map(|(key, _)| key.clone())
    }

    pub(super) fn policy(&self, f: &Fields) -> Result<&Policy, Refusal> {
        self.policy_key(f).and_then(|key| self.policies.get(&key)).ok_or_else(|| missing("policy"))
    }

    fn policy_mut(&mut self, f: &Fields) -> Result<&mut Policy, Refusal> {
        self.policy_key(f).and_then(|key| self.policies.get_mut(&key)).ok_or_else(|| missing("policy"))
    }

    pub(super) fn create_policy(&mut self, f: &Fields) -> Answer {
        let name = f.get("PolicyName");
        documents::managed(f.get("PolicyDocument"), &self.partition)?;
        if self.policies.contains_key(&name.to_lowercase()) {
            return Err((
                409,
                "EntityAlreadyExists",
                format!("A policy called {name} already exists. Duplicate names are not allowed."),
            ));
        }
        if self.policies.len() >= self.quotas.policies {
            return Err(quota(&format!("PoliciesPerAccount: {}", self.quotas.policies)));
        }
        let policy = Policy {
            name: name.to_owned(),
            path: f.path(),
            id: self.new_id("ANPA"),
            versions: BTreeMap::from([(1, f.get("PolicyDocument").to_owned())]),
            default: 1,
            newest: 1,
            tags: f.tags(),
            users: Vec::new(),
        };
        let xml = self.policy_xml(&policy);
        self.policies.insert(name.to_lowercase(), policy);
        self.born("policy", name);
        Ok(xml)
    }

    pub(super) fn policy_xml(&self, policy: &Policy) -> String {
        format!(
            "<Policy>{}{}{}{}{}{}</Policy>",
            text_xml("PolicyName", &policy.name),
            text_xml("PolicyId", &policy.id),
            text_xml("Arn", &self.arn("policy", &policy.path, &policy.name)),
            text_xml("Path", &policy.path),
            text_xml("DefaultVersionId", &format!("v{}", policy.default)),
            tags_xml(&policy.tags),
        )
    }

    pub(super) fn get_policy_version(&self, f: &Fields) -> Answer {
        let document = self.policy(f)?.versions.get(&version(f)).ok_or_else(|| missing("version"))?;
        Ok(format!("<PolicyVersion>{}</PolicyVersion>", text_xml("Document", &encoded(document))))
    }

    pub(super) fn list_policy_versions(&self, f: &Fields) -> Answer {
        let policy = self.policy(f)?;
        // Newest first, as IAM lists them.
        let items = policy.versions.keys().rev().map(|version| {
            format!(
                "<VersionId>v{version}</VersionId><IsDefaultVersion>{}</IsDefaultVersion>",
                *version == policy.default
            )
        });
        Ok(list_xml("Versions", items.collect(), f, self.page))
    }

    pub(super) fn create_policy_version(&mut self, f: &Fields) -> Answer {
        let document = f.get("PolicyDocument").to_owned();
        documents::managed(&document, &self.partition)?;
        let policy = self.policy_mut(f)?;
        if policy.versions.len() >= 5 {
            let text = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.";
            return Err((409, "LimitExceeded", text.to_owned()));
        }
        policy.newest += 1;
        policy.versions.insert(policy.newest, document);
        if f.get("SetAsDefault") == "true" {
            policy.default = policy.newest;
        }
        Ok(format!("<PolicyVersion><VersionId>v{}</VersionId></PolicyVersion>", policy.newest))
    }

    pub(super) fn set_default_version(&mut self, f: &Fields) -> Answer {
        let policy = self.policy_mut(f)?;
        if !policy.versions.contains_key(&version(f)) {
            return Err(missing("version"));
        }
        policy.default = version(f);
        Ok(String::new())
    }

    pub(super) fn delete_policy_version(&mut self, f: &Fields) -> Answer {
        let policy = self.policy_mut(f)?;
        if version(f) == policy.default {
            return Err((409, "DeleteConflict", "Cannot delete the default version of a policy.".to_owned()));
        }
        policy.versions.remove(&version(f)).map(|_| String::new()).ok_or_else(|| missing("version"))
    }

    pub(super) fn tag_policy(&mut self, f: &Fields) -> Answer {
        self.policy_mut(f).and_then(|policy| rules::tag_policy(&mut policy.tags, f.tags())).map(done)
    }

    pub(super) fn untag_policy(&mut self, f: &Fields) -> Answer {
        let keys = f.list("TagKeys");
        self.policy_mut(f).map(|policy| policy.tags.retain(|key, _| !keys.contains(key))).map(done)
    }

    pub(super) fn list_entities(&self, f: &Fields) -> Answer {
        let arn = f.get("PolicyArn");
        let policy = self.policy(f)?;
        let roles = self.roles.values().filter(|role| role.attached.contains(arn));
        let roles: Vec<String> =
            roles.map(|role| text_xml("RoleName", &role.name) + "<RoleId>AROAX</RoleId>").collect();
        let users: String = policy
            .users
            .iter()
            .map(|user| format!("<member><UserName>{user}</UserName><UserId>AIDAX</UserId></member>"))
            .collect();
        Ok(format!("<PolicyUsers>{users}</PolicyUsers>{}", list_xml("PolicyRoles", roles, f, self.page)))
    }

    pub(super) fn delete_policy(&mut self, f: &Fields) -> Answer {
        let arn = f.get("PolicyArn");
        let conflict = |text: &str| Err((409, "DeleteConflict", text.to_owned()));
        let policy = self.policy(f)?;
        let held = |role: &super::Role| role.attached.contains(arn) || role.boundary.as_deref() == Some(arn);
        if !policy.users.is_empty() || self.roles.values().any(held) {
            return conflict("Cannot delete a policy attached to entities.");
        }
        if policy.versions.len() > 1 {
            return conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
            );
        }
        if let Some(key) = self.policy_key(f) {
            self.policies.remove(&key);
        }
        Ok(String::new())
    }
}

/// `v7` as a number; the form has been checked.
fn version(f: &Fields) -> u32 {
    f.get("VersionId").trim_start_matches('v').parse().unwrap_or(0)
}
