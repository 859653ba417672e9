//! JSON values that read without ever failing on a type: what is not what was
//! hoped for counts as absent. Strings are borrowed where they can be.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// A string that may be missing, null or no string at all.
#[derive(Default)]
pub(crate) struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text, unless it is absent or empty.
    pub(crate) fn get(&self) -> Option<&str> {
        self.any().filter(|text| !text.is_empty())
    }

    pub(crate) fn any(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A list of strings; one string counts as a list of one.
#[derive(Default)]
pub(crate) struct Texts<'a>(pub(crate) Vec<Text<'a>>);

/// An object's members in their order, repeated keys included.
pub(crate) struct Pairs<'a, V>(pub(crate) Vec<(Cow<'a, str>, V)>);

impl<V> Default for Pairs<'_, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Pairs<'_, Text<'_>> {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.get())
    }
}

/// What [`Lenient`] makes of each kind of JSON value; the rest is its default.
trait FromJson<'de>: Default {
    fn text(_: Cow<'de, str>) -> Self {
        Self::default()
    }

    fn list<S: SeqAccess<'de>>(mut items: S) -> Result<Self, S::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn object<M: MapAccess<'de>>(mut members: M) -> Result<Self, M::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl<'de: 'a, 'a> FromJson<'de> for Text<'a> {
    fn text(text: Cow<'de, str>) -> Self {
        Self(Some(text))
    }
}

impl<'de: 'a, 'a> FromJson<'de> for Texts<'a> {
    fn text(text: Cow<'de, str>) -> Self {
        Self(vec![Text::text(text)])
    }

    fn list<S: SeqAccess<'de>>(mut items: S) -> Result<Self, S::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element()? {
            texts.push(text);
        }
        Ok(Self(texts))
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> FromJson<'de> for Pairs<'a, V> {
    fn object<M: MapAccess<'de>>(mut members: M) -> Result<Self, M::Error> {
        let mut pairs = Vec::with_capacity(members.size_hint().unwrap_or(0));
        while let Some(key) = members.next_key_seed(Lenient::<Text<'a>>::new())? {
            pairs.push((key.0.unwrap_or_default(), members.next_value()?));
        }
        Ok(Self(pairs))
    }
}

struct Lenient<T>(PhantomData<T>);

impl<T> Lenient<T> {
    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: FromJson<'de>> Visitor<'de> for Lenient<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, items: S) -> Result<T, S::Error> {
        T::list(items)
    }

    fn visit_map<M: MapAccess<'de>>(self, members: M) -> Result<T, M::Error> {
        T::object(members)
    }
}

impl<'de, T: FromJson<'de>> DeserializeSeed<'de> for Lenient<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! lenient {
    ($($type:ty),*) => {$(
        impl<'de: 'a, 'a> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Lenient::<Self>::new())
            }
        }
    )*};
}
lenient!(Text<'a>, Texts<'a>, Pairs<'a, Text<'a>>, Pairs<'a, Texts<'a>>);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Sample<'a> {
        #[serde(borrow, default)]
        text: Text<'a>,
        #[serde(borrow, default)]
        texts: Texts<'a>,
        #[serde(borrow, default)]
        pairs: Pairs<'a, Text<'a>>,
    }

    #[test]
    fn no_type_is_an_error() {
        for other in ["null", "true", "1", "-1", "1.5", "[]", "[1,[2]]", "{}", "{\"a\":{\"b\":[]}}"] {
            let json = format!(r#"{{"text":{other},"texts":{other},"pairs":{other}}}"#);
            let sample: Sample<'_> = serde_json::from_str(&json).expect(other);
            assert_eq!(sample.text.get(), None, "{other}");
            assert!(sample.texts.0.iter().all(|text| text.get().is_none()), "{other}");
            assert_eq!(sample.pairs.get("a"), None, "{other}");
        }
        let sample: Sample<'_> = serde_json::from_str(r#"{"texts":"one","pairs":"x"}"#).expect("JSON");
        assert_eq!(sample.texts.0.iter().filter_map(Text::get).collect::<Vec<_>>(), ["one"]);
    }

    #[test]
    fn strings_are_borrowed_unless_escaped() {
        let json = r#"{"text":"AAH/+=","pairs":{"a":"b\u0041\n"}}"#;
        let sample: Sample<'_> = serde_json::from_str(json).expect("JSON");
        assert!(matches!(sample.text.0, Some(Cow::Borrowed("AAH/+="))), "a body is not copied");
        assert_eq!(sample.pairs.get("a"), Some("bA\n"));
    }
}
