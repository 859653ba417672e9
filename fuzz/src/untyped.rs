//! JSON as an untyped reader sees it, to be held against what ours make of it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The value of a text in which no object has a key twice: of such keys one reader keeps
/// the first and another the last, so that nothing could be compared.
pub(crate) fn value(data: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Unique>(data).ok()?;
    serde_json::from_slice(data).ok()
}

/// As [`value`], of an object.
pub(crate) fn object(data: &[u8]) -> Option<Map<String, Value>> {
    match value(data) {
        Some(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// Reads only what has no key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Self, S::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self, M::Error> {
        let mut keys = BTreeSet::new();
        while let Some((key, Self)) = members.next_entry::<String, Self>()? {
            if !keys.insert(key) {
                return Err(M::Error::custom("a key stands twice"));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn what_has_a_key_twice_is_not_read() {
        for good in [r#"{"a":{"a":1},"b":[{"a":"x"},null,true,-1,1.5]}"#, "[]", "1", "\"a\""] {
            assert_eq!(value(good.as_bytes()), serde_json::from_str(good).ok(), "{good}");
        }
        for bad in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"\u0061":1}}]"#, "{", ""] {
            assert_eq!(value(bad.as_bytes()), None, "{bad}");
        }
    }
}
