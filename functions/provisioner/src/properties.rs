//! A resource's properties: from strings (all scalars arrive as such, C34) to
//! types, each refusal one sentence that names property, value and rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use sagemaker_external::name::{IamPath, excerpt};
use serde_json::{Map, Value};

use crate::found::Adoption;
use crate::role::Defaults;

/// CloudFormation's own members, which stand among the properties.
pub const RESERVED: [&str; 2] = ["ServiceToken", "ServiceTimeout"];

/// More of a name than this must be the same for it to be offered: `Users` for `UserNames`
/// is, `Unknown` for `DryRun` is not.
const NEAR: f64 = 0.55;

pub struct Properties<'a>(&'a Map<String, Value>);

impl<'a> Properties<'a> {
    /// Refuses any key that is neither in `known` nor CloudFormation's own.
    pub fn read(map: &'a Map<String, Value>, known: &[&str]) -> Result<Self, String> {
        for key in map.keys() {
            let key = key.as_str();
            if !known.contains(&key) && !RESERVED.contains(&key) {
                let instead = match nearest(key, known) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("there are {}", known.join(", ")),
                };
                return Err(format!("{}: there is no such property; {instead}", excerpt(key)));
            }
        }
        Ok(Self(map))
    }

    /// As [`Properties::read`], for a Delete: whatever is there is taken as it is (C35).
    pub fn unchecked(map: &'a Map<String, Value>) -> Self {
        Self(map)
    }

    /// A scalar; an empty string counts as absent, as an empty parameter arrives.
    fn scalar(&self, key: &str) -> Result<Option<String>, String> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(_) => Err(format!("{key}: it must be a single string")),
        }
    }

    pub fn parsed<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, String> {
        let parse = |text: String| text.parse().map_err(|error| format!("{key}: {error}"));
        self.scalar(key)?.map(parse).transpose()
    }

    pub fn parsed_or<T: FromStr<Err: Display>>(&self, key: &str, default: &str) -> Result<T, String> {
        let text = self.scalar(key)?.unwrap_or_else(|| default.to_owned());
        text.parse().map_err(|error| format!("{key}: {error}"))
    }

    pub fn flag(&self, key: &str) -> Result<bool, String> {
        match self.scalar(key)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(format!("{key}: \"{}\" is not a boolean: it must be true or false", excerpt(other))),
        }
    }

    /// A whole number of seconds within bounds.
    pub fn seconds(&self, key: &str, default: i32, min: i32, max: i32) -> Result<i32, String> {
        let Some(text) = self.scalar(key)? else { return Ok(default) };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse().ok().filter(|n| digits && (min..=max).contains(n)) {
            Some(number) => Ok(number),
            None => {
                let value = excerpt(&text);
                Err(format!("{key}: \"{value}\" must be a whole number of seconds from {min} to {max}"))
            }
        }
    }

    /// One of a few words.
    pub fn choice(&self, key: &str, words: &[&'static str]) -> Result<Option<&'static str>, String> {
        let Some(text) = self.scalar(key)? else { return Ok(None) };
        let found = words.iter().copied().find(|word| *word == text);
        found.map(Some).ok_or_else(|| format!("{key}: \"{}\" must be {}", excerpt(&text), words.join(" or ")))
    }

    /// A list of strings. A single string is a list of one; empty items are
    /// dropped, because an empty CommaDelimitedList arrives as `[""]`.
    pub fn list(&self, key: &str) -> Result<Vec<String>, String> {
        let must = || format!("{key}: it must be a list of strings");
        let items = match self.0.get(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => {
                items.iter().map(|i| i.as_str().map(str::to_owned).ok_or_else(must)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(must()),
        };
        Ok(items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
    }

    pub fn parsed_list<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Vec<T>, String> {
        let parse = |item: String| item.parse().map_err(|error| format!("{key}: {error}"));
        self.list(key)?.into_iter().map(parse).collect()
    }

    /// `Path`, which must lie where the provisioner may act.
    pub fn path(&self, defaults: &Defaults) -> Result<IamPath, String> {
        let path: IamPath = self.parsed("Path")?.unwrap_or_else(|| defaults.path.clone());
        if path.has_dots() {
            return Err(format!("Path: \"{path}\" has a segment . or .., which IAM takes as a name; leave it out"));
        }
        if path.as_str().starts_with(defaults.path.as_str()) {
            return Ok(path);
        }
        Err(format!("Path: \"{path}\" must lie below {}, where this provisioner may act", defaults.path))
    }

    /// Whether, and where, something that exists may be taken over.
    pub fn adoption(&self, defaults: &Defaults) -> Result<Option<Adoption>, String> {
        let adopt = self.choice("OnExisting", &["Fail", "Adopt"])? == Some("Adopt");
        Ok(adopt.then(|| Adoption { path: defaults.path.clone(), arns: defaults.adopt_arns.clone() }))
    }

    /// Whether a Delete removes what was adopted, rather than giving it back.
    pub fn removes_adopted(&self) -> Result<bool, String> {
        Ok(self.choice("OnDelete", &["GiveBack", "Remove"])? == Some("Remove"))
    }

    /// The keys of a list of tags, whatever else is in it.
    pub fn tag_keys(&self, key: &str) -> BTreeSet<String> {
        let items = self.0.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|tag| tag.get("Key").and_then(Value::as_str)).map(str::to_owned).collect()
    }

    /// CloudFormation's `[{Key, Value}, …]`, by IAM's rules (U29): at most `room`
    /// tags, no `aws:` and none of `taken`, no two keys that differ in case only.
    pub fn tags(&self, key: &str, room: usize, taken: &str) -> Result<BTreeMap<String, String>, String> {
        let shape = || format!("{key}: it must be a list of {{Key, Value}} with strings");
        let items = match self.0.get(key) {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::String(text)) if text.is_empty() => return Ok(BTreeMap::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(shape()),
        };
        let mut tags = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for item in items {
            let member = |name: &str| item.get(name).and_then(Value::as_str);
            let (Some(name), Some(value)) = (member("Key"), member("Value")) else { return Err(shape()) };
            check_tag(key, name, value, taken)?;
            if !seen.insert(name.to_lowercase()) {
                return Err(format!(
                    "{key}: \"{}\" stands twice; tag keys must differ in more than case",
                    excerpt(name)
                ));
            }
            tags.insert(name.to_owned(), value.to_owned());
        }
        if tags.len() > room {
            return Err(format!("{key}: {} tags are too many; at most {room} fit beside the owner's", tags.len()));
        }
        Ok(tags)
    }
}

/// The known name that `key` was most likely to be, if one is near.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let key = key.to_lowercase();
    let nearness = |name: &str| strsim::normalized_levenshtein(&name.to_lowercase(), &key);
    let all = known.iter().map(|name| (nearness(name), *name));
    all.max_by(|one, other| one.0.total_cmp(&other.0)).filter(|(near, _)| *near > NEAR).map(|(_, name)| name)
}

fn check_tag(key: &str, name: &str, value: &str, taken: &str) -> Result<(), String> {
    let inside = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    let shown = excerpt(name);
    let length = name.chars().count();
    if !(1..=128).contains(&length) || !name.chars().all(inside) {
        return Err(format!(
            "{key}: \"{shown}\" is not a tag key: it must be 1 to 128 letters, digits, spaces or _ . : / = + - @"
        ));
    }
    if name.to_lowercase().starts_with("aws:") || name.starts_with(taken) {
        return Err(format!("{key}: \"{shown}\" is reserved; keys must not start with aws: or {taken}"));
    }
    if value.chars().count() > 256 || !value.chars().all(inside) {
        return Err(format!(
            "{key}: the value of \"{shown}\" must be at most 256 letters, digits, spaces or _ . : / = + - @"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    /// C34: CloudFormation's own members pass, an unknown one is named with its neighbour.
    #[test]
    fn c34_unknown_keys_name_the_nearest_known_one() {
        let known = ["EndpointNames", "ExternalId", "RoleName"];
        assert!(Properties::read(&map(json!({"ServiceToken": "a", "ServiceTimeout": "60"})), &known).is_ok());
        let error = Properties::read(&map(json!({"endpointname": []})), &known).err().unwrap();
        assert_eq!(error, "endpointname: there is no such property; did you mean EndpointNames?");
        for (key, of) in
            [("Unknown", &["DryRun", "RoleName"][..]), ("Description", &["Operations", "DryRun"]), ("X", &known)]
        {
            let error = Properties::read(&map(json!({ key: "1" })), of).err().unwrap();
            assert_eq!(error, format!("{key}: there is no such property; there are {}", of.join(", ")));
        }
    }

    #[test]
    fn c34_scalars_are_strings() {
        let map =
            map(json!({"n": "3600", "t": "true", "f": "false", "bad": "yes", "big": "43201", "neg": "-1", "e": ""}));
        let p = Properties(&map);
        assert_eq!(p.seconds("n", 1, 3600, 43200), Ok(3600));
        assert_eq!(p.seconds("absent", 7, 3600, 43200), Ok(7));
        assert_eq!((p.flag("t"), p.flag("f"), p.flag("e")), (Ok(true), Ok(false), Ok(false)));
        assert_eq!(p.flag("bad").unwrap_err(), "bad: \"yes\" is not a boolean: it must be true or false");
        for key in ["big", "neg", "t"] {
            assert!(p.seconds(key, 1, 3600, 43200).unwrap_err().contains("from 3600 to 43200"), "{key}");
        }
    }

    #[test]
    fn lists_drop_the_empty_items_of_empty_parameters() {
        let map = map(json!({"l": ["", " a ", "b"], "one": "x", "none": [""], "bad": [1], "o": {}}));
        let p = Properties(&map);
        assert_eq!(p.list("l"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(p.list("one"), Ok(vec!["x".to_owned()]));
        assert_eq!((p.list("none"), p.list("absent")), (Ok(vec![]), Ok(vec![])));
        assert!(p.list("bad").is_err() && p.list("o").is_err());
    }

    /// U29: tags by IAM's rules.
    #[test]
    fn u29_tags() {
        let tags = |items: Value| Properties(&map(json!({ "Tags": items }))).tags("Tags", 2, "ours:");
        assert_eq!(tags(json!([{"Key": "team", "Value": "ml"}])).unwrap().len(), 1);
        for bad in [
            json!([{"Key": "aws:x", "Value": "1"}]),
            json!([{"Key": "AWS:x", "Value": "1"}]),
            json!([{"Key": "ours:x", "Value": "1"}]),
            json!([{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]),
            json!([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]),
            json!([{"Key": "", "Value": "1"}]),
            json!([{"Key": "a", "Value": "*"}]),
            json!([{"Key": "a"}]),
            json!({"a": "b"}),
        ] {
            assert!(tags(bad.clone()).is_err(), "{bad} was accepted");
        }
    }
}
