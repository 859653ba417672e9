//! What is slow about IAM: copies that do not know yet what was just made, and
//! principals that are not known yet, or not any more.

use super::{Refusal, World, missing};
use crate::wire::Fields;

/// How far IAM's copies are behind a creation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// For so many uses what was just made is not there yet (U18).
    pub hidden: usize,
    /// For so many GetRoles after these, the ARN is still the role's id (U17).
    pub id_as_arn: usize,
}

impl World {
    /// Time passes: every copy knows everything.
    pub fn settle(&mut self) {
        self.young.clear();
    }

    /// A principal goes: trusts show its id from now on (U16), and no new trust may
    /// name its ARN until it is taken out of `unknown_principals`.
    pub fn delete_principal(&mut self, arn: &str) {
        let id = self.new_id(if arn.contains(":user/") { "AIDA" } else { "AROA" });
        for role in self.roles.values_mut() {
            role.trust = role.trust.replace(&format!("\"{arn}\""), &format!("\"{id}\""));
        }
        self.unknown_principals.insert(arn.to_owned(), usize::MAX);
    }

    /// Whether a trust may not name this principal, this time (U15).
    pub(super) fn unknown(&mut self, principal: &str) -> bool {
        let Some(left) = self.unknown_principals.get_mut(principal) else { return false };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.unknown_principals.remove(principal);
        }
        true
    }

    pub(super) fn born(&mut self, kind: &str, name: &str) {
        if self.lag != Lag::default() {
            self.young.insert(key(kind, name), self.lag);
        }
    }

    /// Refuses a use of what is not seen yet. A creation always sees its name taken.
    pub(super) fn lagging(&mut self, f: &Fields) -> Result<(), Refusal> {
        let policy = f.get("PolicyArn").rsplit('/').next().unwrap_or_default();
        for (kind, name) in [("role", f.get("RoleName")), ("group", f.get("GroupName")), ("policy", policy)] {
            let young = self.young.get_mut(&key(kind, name)).filter(|lag| lag.hidden > 0);
            if let Some(lag) =
                young.filter(|_| !matches!(f.get("Action"), "CreateRole" | "CreateGroup" | "CreatePolicy"))
            {
                lag.hidden -= 1;
                return Err(missing(kind));
            }
        }
        Ok(())
    }

    /// Whether GetRole still shows the id of this role where its ARN belongs.
    pub(super) fn shows_id(&mut self, name: &str) -> bool {
        let young = self.young.get_mut(&key("role", name)).filter(|lag| lag.id_as_arn > 0);
        young.map(|lag| lag.id_as_arn -= 1).is_some()
    }
}

fn key(kind: &str, name: &str) -> String {
    format!("{kind} {}", name.to_lowercase())
}
