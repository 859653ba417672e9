//! Policy documents as IAM may hold them: what is read prints back as the same.

use provisioner::found::FoundGroup;
use provisioner::trust::Trust;
use sagemaker_external::policy::{Document, PermissionStatement, TrustStatement, same};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::text;

pub(crate) fn document(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let is_json = serde_json::from_str::<Value>(text).is_ok();
    assert_eq!(same(text, text), is_json, "U06: a document is the same as itself");
    round_trip::<TrustStatement>(text);
    round_trip::<PermissionStatement>(text);
    if let Some(trust) = Trust::from_document(text) {
        let printed = trust.document().to_json();
        assert!(same(&printed, text), "U06: {printed}");
        assert_eq!(Trust::from_document(&printed), Some(trust.clone()));
        assert!(!format!("{trust:?}").contains(&format!("\"{}\"", trust.external_id.expose())), "S03");
    }
    let documents: Option<Document<PermissionStatement>> = serde_json::from_str(text).ok();
    let sids = documents.iter().flat_map(Document::statements).filter_map(|statement| statement.sid.as_deref());
    for found in sids.chain([text]).filter_map(FoundGroup::read) {
        assert_eq!(FoundGroup::read(&found.sid()), Some(found));
    }
}

fn round_trip<S: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug>(text: &str) {
    let Ok(document) = serde_json::from_str::<Document<S>>(text) else { return };
    let printed = document.to_json();
    assert_eq!(serde_json::from_str::<Document<S>>(&printed).ok().as_ref(), Some(&document), "{printed}");
    assert!(document.size() <= printed.chars().count());
    // A null counts as absent to our reader, which IAM never stores.
    if !has_null(text) {
        assert!(same(&printed, text) && same(text, &printed), "U06: {printed}");
    }
    // No letter that was not there: nothing widens on the way.
    for wide in ['*', '?', '$'] {
        let count = |json: &str| strings(json).iter().map(|text| text.matches(wide).count()).sum::<usize>();
        assert!(count(&printed) <= count(text), "{printed}");
    }
}

fn has_null(text: &str) -> bool {
    fn inside(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.iter().any(inside),
            Value::Object(members) => members.values().any(inside),
            _ => false,
        }
    }
    serde_json::from_str(text).is_ok_and(|value| inside(&value))
}

/// Every string of a JSON text, as it is read.
fn strings(json: &str) -> Vec<String> {
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::String(text) => into.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            Value::Object(members) => {
                for (key, value) in members {
                    into.push(key.clone());
                    collect(value, into);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(json) {
        collect(&value, &mut found);
    }
    found
}
