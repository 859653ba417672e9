//! The event that CloudFormation sends, read leniently.
//!
//! First the [`Envelope`]: what it takes to answer, so that everything after it
//! can fail and still be answered. Then the [`Request`]. Published event structs
//! are not used: they refuse an unknown `RequestType` or a missing id before a
//! handler sees the event, and the stack then waits for an hour (C36, C37).

use sagemaker_external::arn::{Account, Region};
use serde_json::{Map, Value};

use crate::response_url::ResponseUrl;

/// The id of a Create that made nothing; its Delete touches nothing (C08, C09).
pub const CREATE_FAILED: &str = "SageMakerExternal::CreateFailed";
/// The id of a Create that did not get so far as to see whether an earlier delivery of it
/// had made something; its Delete removes what is this resource's for certain.
pub const CREATE_INTERRUPTED: &str = "SageMakerExternal::CreateInterrupted";
/// The id of a Create that only planned; its Delete touches nothing either.
pub const DRY_RUN: &str = "SageMakerExternal::DryRun";
/// In answers to events that should have had an id and did not (C37).
pub const MISSING_ID: &str = "SageMakerExternal::MissingPhysicalResourceId";

/// Where this function runs, read from its own ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    pub account: Account,
    pub region: Region,
    function: String,
}

impl Home {
    /// `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`.
    pub fn of(function_arn: &str) -> Result<Self, String> {
        let parse = || {
            let parts: Vec<&str> = function_arn.split(':').collect();
            let ["arn", partition, "lambda", region, account, "function", name, ..] = parts.as_slice() else {
                return None;
            };
            let account = Account { partition: partition.parse().ok()?, id: account.parse().ok()? };
            Some(Self { account, region: region.parse().ok()?, function: (*name).to_owned() })
        };
        parse().ok_or_else(|| "the runtime gave no usable function ARN".to_owned())
    }

    /// Whether an ARN stands in this account and region, such as
    /// `arn:aws:cloudformation:us-east-1:111122223333:stack/…`.
    fn holds(&self, service: &str, arn: &str) -> bool {
        let Account { partition, id } = &self.account;
        arn.starts_with(&format!("arn:{partition}:{service}:{}:{id}:", self.region))
    }

    /// Whether a ServiceToken names this very function, with or without a qualifier.
    fn is_token(&self, token: &str) -> bool {
        let name = token.split(':').nth(6).unwrap_or_default();
        self.holds("lambda", token) && name == self.function
    }
}

/// What an answer needs. The three ids are copied into it verbatim (C01).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub response_url: ResponseUrl,
    pub stack_id: String,
    pub request_id: String,
    pub logical_id: String,
    /// Absent on Create, and on events that are not whole.
    pub physical_id: Option<String>,
}

impl Envelope {
    pub fn read(event: &Value, home: &Home, extra_origin: Option<&str>) -> Result<Self, String> {
        let Some(event) = event.as_object() else {
            return Err("the event is not an object".to_owned());
        };
        if event.contains_key("Records") {
            return Err("the event came through SNS; set ServiceToken to the function's ARN instead".to_owned());
        }
        let url = text(event, "ResponseURL").ok_or("the event has no ResponseURL, so nobody waits for an answer")?;
        Ok(Self {
            response_url: ResponseUrl::parse(url, &home.region, extra_origin)?,
            stack_id: text(event, "StackId").unwrap_or_default().to_owned(),
            request_id: text(event, "RequestId").unwrap_or_default().to_owned(),
            logical_id: text(event, "LogicalResourceId").unwrap_or_default().to_owned(),
            physical_id: text(event, "PhysicalResourceId").filter(|id| !id.is_empty()).map(str::to_owned),
        })
    }
}

/// The custom resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Role,
    Group,
    Grants,
}

/// What is asked, with the properties still raw.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Create {
        kind: Kind,
        properties: Map<String, Value>,
    },
    Update {
        kind: Kind,
        id: String,
        properties: Map<String, Value>,
        old: Map<String, Value>,
    },
    Delete {
        kind: Kind,
        id: Option<String>,
        properties: Map<String, Value>,
    },
    /// A Delete of what never was.
    Nothing,
}

impl Request {
    /// Refuses forged events (S12), unknown request types (C36) and resource types.
    pub fn read(event: &Value, home: &Home) -> Result<Self, String> {
        let none = Map::new();
        let event = event.as_object().unwrap_or(&none);
        // First of all: a Create that was refused for one of the reasons below is rolled back.
        if let (Some("Delete"), Some(CREATE_FAILED | DRY_RUN)) =
            (text(event, "RequestType"), text(event, "PhysicalResourceId"))
        {
            return Ok(Self::Nothing);
        }
        let stack = text(event, "StackId").unwrap_or_default();
        if !home.holds("cloudformation", stack) {
            return Err("StackId: this function serves only stacks of its own account and region".to_owned());
        }
        let properties = object(event, "ResourceProperties");
        let token = text(event, "ServiceToken").or_else(|| text(&properties, "ServiceToken")).unwrap_or_default();
        if !home.is_token(token) {
            return Err("ServiceToken: it must be the ARN of the function that received the event".to_owned());
        }
        let kind = match text(event, "ResourceType") {
            Some("Custom::SageMakerExternalRole") => Kind::Role,
            Some("Custom::SageMakerExternalGroup") => Kind::Group,
            Some("Custom::SageMakerExternalGrants") => Kind::Grants,
            _ => {
                let known = "Custom::SageMakerExternalRole, Custom::SageMakerExternalGroup or \
                             Custom::SageMakerExternalGrants";
                return Err(format!("Type: it must be {known}"));
            }
        };
        let id = text(event, "PhysicalResourceId").filter(|id| !id.is_empty()).map(str::to_owned);
        match (text(event, "RequestType"), id) {
            (Some("Create"), _) => Ok(Self::Create { kind, properties }),
            (Some("Update"), Some(id)) => {
                Ok(Self::Update { kind, id, properties, old: object(event, "OldResourceProperties") })
            }
            (Some("Update"), None) => Err("PhysicalResourceId: an Update must have one".to_owned()),
            (Some("Delete"), id) => Ok(Self::Delete { kind, id, properties }),
            _ => Err("RequestType: it must be Create, Update or Delete".to_owned()),
        }
    }
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

fn object(event: &Map<String, Value>, key: &str) -> Map<String, Value> {
    event.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const FUNCTION: &str = "arn:aws:lambda:us-east-1:111122223333:function:provisioner";
    const URL: &str = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/arn%3Aaws%3A/x%7Cy?X-Amz-Signature=abc%2B/=";

    fn home() -> Home {
        Home::of(FUNCTION).unwrap()
    }

    fn event() -> Value {
        json!({
            "RequestType": "Delete", "ResponseURL": URL, "RequestId": "r", "LogicalResourceId": "L",
            "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/s/1", "PhysicalResourceId": "p",
            "ResourceType": "Custom::SageMakerExternalRole", "ResourceProperties": {"ServiceToken": FUNCTION},
        })
    }

    /// C36 and C37: what is missing or unknown is said, not choked on.
    #[test]
    fn c36_c37_incomplete_events_can_be_answered() {
        for (key, value) in [
            ("RequestType", json!("Refresh")),
            ("RequestType", Value::Null),
            ("ResourceType", json!("Custom::Other")),
            ("ResourceType", Value::Null),
        ] {
            let mut event = event();
            event[key] = value;
            assert!(Envelope::read(&event, &home(), None).is_ok());
            assert!(Request::read(&event, &home()).unwrap_err().contains("must be"), "{key}");
        }
        let mut update = event();
        update["RequestType"] = json!("Update");
        update["PhysicalResourceId"] = Value::Null;
        assert!(Request::read(&update, &home()).unwrap_err().starts_with("PhysicalResourceId"));
        let mut bare = event();
        bare["PhysicalResourceId"] = Value::Null;
        bare["ServiceToken"] = json!(FUNCTION);
        bare.as_object_mut().unwrap().remove("ResourceProperties");
        assert!(matches!(Request::read(&bare, &home()), Ok(Request::Delete { id: None, .. })));
    }

    /// S12: another account's stack or function cannot use this one.
    #[test]
    fn s12_forged_events_are_refused() {
        for (key, forged) in [
            ("StackId", "arn:aws:cloudformation:us-east-1:999999999999:stack/s/1"),
            ("StackId", "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"),
            ("ServiceToken", "arn:aws:lambda:us-east-1:111122223333:function:other"),
            ("ServiceToken", "arn:aws:lambda:us-east-1:999999999999:function:provisioner"),
        ] {
            let mut event = event();
            event[key] = json!(forged);
            assert!(Request::read(&event, &home()).unwrap_err().starts_with(key), "{forged}");
        }
        let mut qualified = event();
        qualified["ServiceToken"] = json!(format!("{FUNCTION}:live"));
        assert!(Request::read(&qualified, &home()).is_ok());
    }

    #[test]
    fn c43_sns_is_refused_with_a_sentence() {
        let event = json!({"Records": [{"Sns": {"Message": "{}"}}]});
        assert!(Envelope::read(&event, &home(), None).unwrap_err().contains("SNS"));
    }

    proptest! {
        #[test]
        fn no_json_panics(text in "[\\[\\]{}\":,a-zA-Z0-9 ]{0,60}") {
            let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            let _ = Envelope::read(&value, &home(), None);
            let _ = Request::read(&value, &home());
        }
    }
}
