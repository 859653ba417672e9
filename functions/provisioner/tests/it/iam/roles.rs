//! Roles: their trust, boundary, attachments, and what keeps them from going.

use std::collections::{BTreeMap, BTreeSet};

use super::documents::{self, quota};
use super::{Answer, Refusal, Role, World, done, encoded, missing, rules};
use crate::wire::{Fields, list_xml, tags_xml, text_xml};

impl World {
    pub(super) fn role(&self, f: &Fields) -> Result<&Role, Refusal> {
        self.roles.get(&f.get("RoleName").to_lowercase()).ok_or_else(|| missing("role"))
    }

    /// For a change: what AWS made for itself is not for others to change (U21).
    pub(super) fn role_mut(&mut self, f: &Fields) -> Result<&mut Role, Refusal> {
        let role = self.roles.get_mut(&f.get("RoleName").to_lowercase()).ok_or_else(|| missing("role"))?;
        if role.path.starts_with("/aws-service-role/") {
            let text = format!(
                "Cannot perform the operation on the protected role '{}' - this role is only modifiable by AWS",
                role.name
            );
            return Err((400, "UnmodifiableEntity", text));
        }
        Ok(role)
    }

    pub(super) fn get_role(&mut self, f: &Fields) -> Answer {
        let role = self.role(f)?.clone();
        let arn = if self.shows_id(&role.name) { role.id.clone() } else { self.arn("role", &role.path, &role.name) };
        Ok(role_xml(&role, &arn))
    }

    pub(super) fn create_role(&mut self, f: &Fields) -> Answer {
        let name = f.get("RoleName");
        if self.roles.contains_key(&name.to_lowercase()) {
            return Err((409, "EntityAlreadyExists", format!("Role with name {name} already exists.")));
        }
        let trust = f.get("AssumeRolePolicyDocument").to_owned();
        documents::trust(&trust, |principal| self.unknown(principal))?;
        self.boundary(f)?;
        if self.roles.len() >= self.quotas.roles {
            return Err(quota(&format!("RolesPerAccount: {}", self.quotas.roles)));
        }
        let role = Role {
            name: name.to_owned(),
            path: f.path(),
            id: self.new_id("AROA"),
            trust,
            max_session: Some(f.get("MaxSessionDuration")).filter(|text| !text.is_empty()).unwrap_or("3600").to_owned(),
            boundary: Some(f.get("PermissionsBoundary").to_owned()).filter(|text| !text.is_empty()),
            tags: f.tags(),
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            profiles: Vec::new(),
        };
        let xml = role_xml(&role, &self.arn("role", &role.path, &role.name));
        self.roles.insert(name.to_lowercase(), role);
        self.born("role", name);
        Ok(xml)
    }

    pub(super) fn put_trust(&mut self, f: &Fields) -> Answer {
        let document = f.get("PolicyDocument").to_owned();
        documents::trust(&document, |principal| self.unknown(principal))?;
        self.role_mut(f).map(|role| role.trust = document).map(done)
    }

    pub(super) fn put_boundary(&mut self, f: &Fields) -> Answer {
        self.boundary(f)?;
        self.role_mut(f).map(|role| role.boundary = Some(f.get("PermissionsBoundary").to_owned())).map(done)
    }

    pub(super) fn tag_role(&mut self, f: &Fields) -> Answer {
        self.role_mut(f).and_then(|role| rules::tag_role(&mut role.tags, f.tags())).map(done)
    }

    pub(super) fn untag_role(&mut self, f: &Fields) -> Answer {
        self.role_mut(f).map(|role| rules::untag_role(&mut role.tags, &f.list("TagKeys"))).map(done)
    }

    pub(super) fn list_attached(&self, f: &Fields) -> Answer {
        let items = self.role(f)?.attached.iter().map(|arn| {
            let name = arn.rsplit('/').next().unwrap_or_default();
            format!("<PolicyName>{name}</PolicyName><PolicyArn>{arn}</PolicyArn>")
        });
        Ok(list_xml("AttachedPolicies", items.collect(), f, self.page))
    }

    pub(super) fn list_profiles(&self, f: &Fields) -> Answer {
        let items = self.role(f)?.profiles.iter().map(|name| {
            let arn = self.arn("instance-profile", "/", name);
            format!(
                "<InstanceProfileName>{name}</InstanceProfileName><Path>/</Path><InstanceProfileId>AIPAX</InstanceProfileId><Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><Roles/>"
            )
        });
        Ok(list_xml("InstanceProfiles", items.collect(), f, self.page))
    }

    pub(super) fn delete_role_policy(&mut self, f: &Fields) -> Answer {
        let gone = self.role_mut(f)?.inline.remove(f.get("PolicyName"));
        gone.map(|_| String::new()).ok_or_else(|| missing("policy"))
    }

    pub(super) fn attach(&mut self, f: &Fields) -> Answer {
        let arn = f.get("PolicyArn").to_owned();
        let known = arn.contains(":iam::aws:policy/") || self.policy(f).is_ok();
        if !known {
            return Err((404, "NoSuchEntity", format!("Policy {arn} does not exist or is not attachable.")));
        }
        let most = self.quotas.attached;
        let role = self.role_mut(f)?;
        if role.attached.len() >= most && !role.attached.contains(&arn) {
            return Err(quota(&format!("PoliciesPerRole: {most}")));
        }
        role.attached.insert(arn);
        Ok(String::new())
    }

    pub(super) fn detach(&mut self, f: &Fields) -> Answer {
        let gone = self.role_mut(f)?.attached.remove(f.get("PolicyArn"));
        gone.then(String::new).ok_or_else(|| missing("policy"))
    }

    pub(super) fn delete_role(&mut self, f: &Fields) -> Answer {
        let conflict = |text: &str| Err((409, "DeleteConflict", text.to_owned()));
        let role = self.role_mut(f)?;
        if !role.attached.is_empty() {
            return conflict("Cannot delete entity, must detach all policies first.");
        }
        if !role.inline.is_empty() {
            return conflict("Cannot delete entity, must delete policies first.");
        }
        if !role.profiles.is_empty() {
            return conflict("Cannot delete entity, must remove roles from instance profile first.");
        }
        self.roles.remove(&f.get("RoleName").to_lowercase());
        Ok(String::new())
    }

    /// Whether the boundary is there, where the test asks for that (U26).
    fn boundary(&self, f: &Fields) -> Result<(), Refusal> {
        let arn = f.get("PermissionsBoundary");
        let known = || self.policies.values().any(|policy| self.arn("policy", &policy.path, &policy.name) == arn);
        if arn.is_empty() || !self.boundary_must_exist || known() {
            return Ok(());
        }
        Err((404, "NoSuchEntity", format!("Scope ARN: {arn} does not exist or is not attachable.")))
    }
}

fn role_xml(role: &Role, arn: &str) -> String {
    let boundary = role.boundary.as_ref().map(|arn| {
        format!("<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>{arn}</PermissionsBoundaryArn></PermissionsBoundary>")
    });
    format!(
        "<Role>{}{}{}{}{}{}<CreateDate>2026-01-01T00:00:00Z</CreateDate>{}{}</Role>",
        text_xml("RoleName", &role.name),
        text_xml("Path", &role.path),
        text_xml("RoleId", &role.id),
        text_xml("Arn", arn),
        text_xml("AssumeRolePolicyDocument", &encoded(&role.trust)),
        text_xml("MaxSessionDuration", &role.max_session),
        boundary.unwrap_or_default(),
        tags_xml(&role.tags),
    )
}
