//! `GRANTS`, as the child's operator writes it.

use sagemaker_external::grants::Grants;
use sagemaker_external::name::EndpointName;
use serde_json::Value;

use crate::{is_sentence, text};

pub(crate) fn setting(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match Grants::parse(Some(text), "us-east-1") {
        Ok(grants) => served(&grants),
        Err(broken) => {
            let sentence = broken.to_string();
            assert!(is_sentence(&sentence), "{sentence}");
            for id in external_ids(text) {
                assert!(!sentence.contains(&id), "S03: {sentence}");
            }
        }
    }
}

/// What is listed is served, by a grant of the region that is listed.
fn served(grants: &Grants) {
    assert!(grants.roles().count() > 0);
    let mut last = None;
    for (name, region) in grants.endpoints() {
        if name.contains('*') {
            continue;
        }
        let parsed: EndpointName = name.parse().expect("a listed name is a name");
        let grant = grants.find(&parsed).expect("what is listed is served");
        assert_eq!(&grant.region, region);
        assert!(last < Some(name), "each name once, in order");
        last = Some(name);
    }
    assert_eq!(grants.roles().count(), grants.regions().count());
}

/// The ExternalIds of the text that stand nowhere else in it and are no accident.
fn external_ids(text: &str) -> Vec<String> {
    let Ok(Value::Array(items)) = serde_json::from_str(text) else { return Vec::new() };
    let ids = items.iter().filter_map(|item| item.get("ExternalId")?.as_str());
    let alone = |id: &&str| id.len() >= 8 && text.matches(id.trim()).count() == 1 && !RULES.contains(id.trim());
    ids.filter(alone).map(str::to_owned).collect()
}

/// Our own words, which an ExternalId may happen to be.
const RULES: &str = "GRANTS must hold at least one grant is wrong the value is not a valid ExternalId it must be \
                     characters of members RoleArn EndpointNames Region CallerAttribution unknown member region \
                     endpoint name pattern letters digits and inner hyphens neither true nor false list of strings \
                     nor a comma-joined string";
