//! Groups, their inline policies, and who is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::documents::{self, GROUP_INLINE, quota};
use super::{Answer, Group, Refusal, World, encoded, missing};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::wire::{Fields, list_xml, text_xml};

impl World {
    pub(super) fn group(&self, f: &Fields) -> Result<&Group, Refusal> {
        self.groups.get(&f.get("GroupName").to_lowercase()).ok_or_else(|| missing("group"))
    }

    pub(super) fn group_mut(&mut self, f: &Fields) -> Result<&mut Group, Refusal> {
        self.groups.get_mut(&f.get("GroupName").to_lowercase()).ok_or_else(|| missing("group"))
    }

    pub(super) fn create_group(&mut self, f: &Fields) -> Answer {
        let name = f.get("GroupName");
        if self.groups.contains_key(&name.to_lowercase()) {
            return Err((409, "EntityAlreadyExists", format!("Group with name {name} already exists.")));
        }
        if self.groups.len() >= self.quotas.groups {
            return Err(quota(&format!("GroupsPerAccount: {}", self.quotas.groups)));
        }
        let group = Group {
            name: name.to_owned(),
            path: f.path(),
            id: self.new_id("AGPA"),
            users: BTreeSet::new(),
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
        };
        let xml = self.group_xml(&group);
        self.groups.insert(name.to_lowercase(), group);
        self.born("group", name);
        Ok(xml)
    }

    pub(super) fn get_group(&self, f: &Fields) -> Answer {
        let group = self.group(f)?;
        let users = group.users.iter().map(|name| {
            let arn = self.arn("user", "/", name);
            format!("<UserName>{name}</UserName><Path>/</Path><UserId>AIDAX</UserId><Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>")
        });
        Ok(self.group_xml(group) + &list_xml("Users", users.collect(), f, self.page))
    }

    pub(super) fn get_group_policy(&self, f: &Fields) -> Answer {
        let group = self.group(f)?;
        let name = f.get("PolicyName");
        let document = group.inline.get(&self.inline_name(f)?).ok_or_else(|| missing("policy"))?;
        Ok(text_xml("GroupName", &group.name)
            + &text_xml("PolicyName", name)
            + &text_xml("PolicyDocument", &encoded(document)))
    }

    pub(super) fn list_group_attached(&self, f: &Fields) -> Answer {
        let attached = self.group(f)?.attached.iter();
        let items = attached.map(|arn| format!("<PolicyName>x</PolicyName><PolicyArn>{arn}</PolicyArn>"));
        Ok(list_xml("AttachedPolicies", items.collect(), f, self.page))
    }

    /// Overwrites silently, as IAM does (U34); the quota counts all of them together.
    pub(super) fn put_group_policy(&mut self, f: &Fields) -> Answer {
        let (name, document) = (self.inline_name(f)?, f.get("PolicyDocument"));
        documents::permissions_of(document, &self.partition)?;
        let group = self.group_mut(f)?;
        let others = group.inline.iter().filter(|(other, _)| **other != name);
        let total = others.map(|(_, text)| documents::size(text)).sum::<usize>() + documents::size(document);
        if total > GROUP_INLINE {
            let text = format!("Maximum policy size of {GROUP_INLINE} bytes exceeded for group {}", group.name);
            return Err((409, "LimitExceeded", text));
        }
        group.inline.insert(name, document.to_owned());
        Ok(String::new())
    }

    pub(super) fn delete_group_policy(&mut self, f: &Fields) -> Answer {
        let name = self.inline_name(f)?;
        let gone = self.group_mut(f)?.inline.remove(&name);
        gone.map(|_| String::new()).ok_or_else(|| missing("policy"))
    }

    /// The name under which the group holds the policy of a request, or else the one that
    /// the request gives. IAM documents no rule for the case of inline policies' names.
    fn inline_name(&self, f: &Fields) -> Result<String, Refusal> {
        let name = f.get("PolicyName");
        let held =
            self.group(f)?.inline.keys().find(|held| self.ignores_inline_case && held.eq_ignore_ascii_case(name));
        Ok(held.cloned().unwrap_or_else(|| name.to_owned()))
    }

    /// The user's name as IAM spells it: names are looked up without regard to case.
    fn user(&self, f: &Fields) -> Result<String, Refusal> {
        let name = f.get("UserName");
        let found = self.users.iter().find(|user| user.eq_ignore_ascii_case(name));
        found.cloned().ok_or_else(|| (404, "NoSuchEntity", format!("The user with name {name} cannot be found.")))
    }

    pub(super) fn add_user(&mut self, f: &Fields) -> Answer {
        let user = self.user(f)?;
        let most = self.quotas.groups_per_user;
        let in_others = self.groups.values().filter(|group| group.users.contains(&user)).count();
        let group = self.group_mut(f)?;
        if !group.users.contains(&user) && in_others >= most {
            return Err(quota(&format!("GroupsPerUser: {most}")));
        }
        group.users.insert(user);
        Ok(String::new())
    }

    pub(super) fn remove_user(&mut self, f: &Fields) -> Answer {
        let user = self.user(f)?;
        let gone = self.group_mut(f)?.users.remove(&user);
        gone.then(String::new).ok_or_else(|| missing("user"))
    }

    /// A user goes: IAM lets nobody delete one who is in a group.
    pub fn delete_user(&mut self, name: &str) {
        self.users.remove(name);
        self.groups.values_mut().for_each(|group| _ = group.users.remove(name));
    }

    pub(super) fn delete_group(&mut self, f: &Fields) -> Answer {
        let group = self.group(f)?;
        if !(group.users.is_empty() && group.inline.is_empty() && group.attached.is_empty()) {
            let text = "Cannot delete entity, must remove users and policies first.";
            return Err((409, "DeleteConflict", text.to_owned()));
        }
        self.groups.remove(&f.get("GroupName").to_lowercase());
        Ok(String::new())
    }

    fn group_xml(&self, group: &Group) -> String {
        // What a test puts there by hand has stood there for long.
        let now = DateTime::from(SystemTime::now()).fmt(Format::DateTime).unwrap_or_default();
        let created = if group.id.contains("HAND") { "2026-01-01T00:00:00Z" } else { now.as_str() };
        format!(
            "<Group>{}{}{}{}<CreateDate>{created}</CreateDate></Group>",
            text_xml("GroupName", &group.name),
            text_xml("Path", &group.path),
            text_xml("GroupId", &group.id),
            text_xml("Arn", &self.arn("group", &group.path, &group.name)),
        )
    }
}
