//! Whether a text holds a secret, as it is or in a form that it may have taken.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use base64_simd::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A form in which a secret was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    pub secret: String,
    pub form: &'static str,
    /// What stands around it.
    pub place: String,
}

/// The first leak of each of the secrets.
pub fn leaks<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> Vec<Leak> {
    let found = |secret: &str| {
        let forms = known_forms(secret);
        let hit = forms.iter().find_map(|(form, written)| Some((*form, text.find(written)?)));
        hit.map(|(form, at)| {
            let place = text.chars().skip(text.get(..at).map_or(0, |before| before.chars().count()).saturating_sub(80));
            Leak { secret: secret.to_owned(), form, place: place.take(240).collect() }
        })
    };
    secrets.into_iter().filter_map(found).collect()
}

/// # Panics
/// When `text` holds one of the secrets.
pub fn assert_none<'a>(what: &str, text: &[u8], secrets: impl IntoIterator<Item = &'a str>) {
    let found = leaks(&String::from_utf8_lossy(text), secrets);
    assert!(found.is_empty(), "{what} holds {found:?}");
}

type Forms = Arc<[(&'static str, String)]>;

/// As [`forms`], made once: the same few secrets are looked for in every line.
fn known_forms(secret: &str) -> Forms {
    static KNOWN: Mutex<Option<HashMap<String, Forms>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(forms) = known.get(secret) {
        return Arc::clone(forms);
    }
    let forms: Forms = forms(secret).into();
    known.insert(secret.to_owned(), Arc::clone(&forms));
    forms
}

/// The secret as a log, a URL, a header or a `Debug` may write it, each form once.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let hex = secret.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let bytes = format!("{:?}", secret.as_bytes());
    let mut forms = vec![
        ("plain", secret.to_owned()),
        ("JSON", json.trim_matches('"').to_owned()),
        ("escaped", secret.escape_default().to_string()),
        ("a form field", percent.replace("%20", "+")),
        ("percent-encoded, lower case", lower_escapes(&percent)),
        ("percent-encoded twice", percent.replace('%', "%25")),
        ("percent-encoded", percent),
        ("hexadecimal, upper case", hex.to_uppercase()),
        ("hexadecimal", hex),
        ("a list of bytes", bytes.trim_matches(['[', ']']).to_owned()),
    ];
    for before in 0..3 {
        for (form, codec) in [("base64", STANDARD), ("base64url", URL_SAFE)] {
            let padded = [&vec![0; before][..], secret.as_bytes()].concat();
            let encoded = codec.encode_to_string(&padded);
            // Only the letters that hold nothing but bits of the secret.
            let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
            forms.push((form, encoded.get(from..to).unwrap_or_default().to_owned()));
        }
    }
    forms.retain(|(_, written)| !written.is_empty());
    forms
}

fn lower_escapes(percent: &str) -> String {
    let mut rest = 0;
    let lower = |c: char| match (c, rest) {
        ('%', _) => {
            rest = 2;
            c
        }
        (_, 1..) => {
            rest -= 1;
            c.to_ascii_lowercase()
        }
        _ => c,
    };
    percent.chars().map(lower).collect()
}
