//! Owners in a service's own words: its errors name accounts and ARNs, which are the
//! parent's business (S16).

use serde_json::{Map, Value};

/// A service's own text without ARNs and account ids: SageMaker says
/// "Endpoint iris of account 111122223333 not found."
pub(crate) fn hide_owners(text: &str) -> String {
    const HIDDEN: &str = "[hidden]";
    let is_end = |c: char| c.is_whitespace() || "\"'`,;()<>[]{}".contains(c);
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_end) {
        let word = piece.trim_end_matches(is_end);
        let end = piece.get(word.len()..).unwrap_or_default();
        match word.find("arn:") {
            Some(start) => shown.extend([word.get(..start).unwrap_or_default(), HIDDEN]),
            None => {
                let digits = |c: char| c.is_ascii_digit();
                for run in word.split_inclusive(|c| !digits(c)) {
                    let number = run.trim_end_matches(|c| !digits(c));
                    let rest = run.get(number.len()..).unwrap_or_default();
                    shown.extend([if number.len() == 12 { HIDDEN } else { number }, rest]);
                }
            }
        }
        shown.push_str(end);
    }
    shown
}

/// An error's members with [`hide_owners`] done to every text in them; names stay.
pub(crate) fn hide_in_members(members: &Map<String, Value>) -> Map<String, Value> {
    members.iter().map(|(name, value)| (name.clone(), hide_in(value))).collect()
}

fn hide_in(value: &Value) -> Value {
    match value {
        Value::String(text) => hide_owners(text).into(),
        Value::Array(items) => items.iter().map(hide_in).collect(),
        Value::Object(members) => hide_in_members(members).into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s16_owners_are_hidden_in_a_services_text() {
        for (text, shown) in [
            ("Endpoint iris of account 111122223333 not found.", "Endpoint iris of account [hidden] not found."),
            ("(arn:aws:iam::111122223333:role/R) is wrong", "([hidden]) is wrong"),
            ("see:arn:aws:x:::y, and account=111122223333.", "see:[hidden], and account=[hidden]."),
            (
                "1 error at 12:34, id 1234567890123 and 12345678901",
                "1 error at 12:34, id 1234567890123 and 12345678901",
            ),
            ("é 111122223333é", "é [hidden]é"),
            ("", ""),
        ] {
            assert_eq!(hide_owners(text), shown);
        }
    }

    proptest! {
        #[test]
        fn s16_no_account_passes_wherever_it_stands(before in "[^0-9]{0,9}", after in "[^0-9]{0,9}") {
            let shown = hide_owners(&format!("{before}111122223333{after}"));
            prop_assert!(!shown.contains("111122223333"), "{}", shown);
        }

        #[test]
        fn what_has_no_owner_is_unchanged(text in "[^0-9:]{0,40}") {
            prop_assert_eq!(hide_owners(&text), text);
        }
    }
}
