//! Groups, and who is in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Group, PAGE, World, missing};
use crate::wire::{Fields, list_xml, text_xml};

impl World {
    pub(super) fn group(&self, f: &Fields) -> Result<&Group, (u16, &'static str, String)> {
        self.groups.get(&f.get("GroupName").to_lowercase()).ok_or_else(|| missing("group"))
    }

    pub(super) fn group_mut(&mut self, f: &Fields) -> Result<&mut Group, (u16, &'static str, String)> {
        self.groups.get_mut(&f.get("GroupName").to_lowercase()).ok_or_else(|| missing("group"))
    }

    pub(super) fn create_group(&mut self, f: &Fields) -> Answer {
        let name = f.get("GroupName");
        if self.groups.contains_key(&name.to_lowercase()) {
            return Err((409, "EntityAlreadyExists", format!("Group with name {name} already exists.")));
        }
        let group = Group {
            name: name.to_owned(),
            path: f.get("Path").to_owned(),
            id: self.new_id("AGPA"),
            users: BTreeSet::new(),
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
        };
        let xml = self.group_xml(&group);
        self.groups.insert(name.to_lowercase(), group);
        Ok(xml)
    }

    pub(super) fn group_xml(&self, group: &Group) -> String {
        format!(
            "<Group>{}{}{}{}<CreateDate>2026-01-01T00:00:00Z</CreateDate></Group>",
            text_xml("GroupName", &group.name),
            text_xml("Path", &group.path),
            text_xml("GroupId", &group.id),
            text_xml("Arn", &self.arn("group", &group.path, &group.name)),
        )
    }

    pub(super) fn get_group(&self, f: &Fields) -> Answer {
        let group = self.group(f)?;
        let users = group.users.iter().map(|name| {
            let arn = self.arn("user", "/", name);
            format!("<UserName>{name}</UserName><Path>/</Path><UserId>AIDAX</UserId><Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>")
        });
        Ok(self.group_xml(group) + &list_xml("Users", users.collect(), f, PAGE))
    }

    pub(super) fn delete_group(&mut self, f: &Fields) -> Answer {
        let group = self.group(f)?;
        if !(group.users.is_empty() && group.inline.is_empty() && group.attached.is_empty()) {
            return Err((
                409,
                "DeleteConflict",
                "Cannot delete entity, must remove users and policies first.".to_owned(),
            ));
        }
        self.groups.remove(&f.get("GroupName").to_lowercase());
        Ok(String::new())
    }
}
