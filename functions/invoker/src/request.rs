//! From the API Gateway event to what the caller asks for; or a refusal in one
//! sentence, before any call to AWS.

use base64_simd::STANDARD;
use sagemaker_external::name::{EndpointName, InferenceComponentName};

use crate::error::Invalid;
use crate::event::Event;
use crate::headers::{Member, Rule};

/// The operations of the API.
///
/// `POST /endpoints/{name}/invocations-response-stream` (InvokeEndpointWithResponseStream),
/// `POST /endpoints/{name}/async-invocations` (InvokeEndpointAsync) and
/// `GET /endpoints/{name}` (the doctor) each become a variant here, with a row in
/// [`Route::of`], a struct beside [`InvokeEndpoint`] and an arm in the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    InvokeEndpoint,
    ListEndpoints,
}

impl Route {
    /// By method and route template; never by the path, which a client may
    /// encode in many ways.
    pub fn of(event: &Event<'_>) -> Option<Self> {
        match (event.method(), event.resource()) {
            ("POST", "/endpoints/{name}/invocations") => Some(Self::InvokeEndpoint),
            ("GET", "/endpoints") => Some(Self::ListEndpoints),
            _ => None,
        }
    }

    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvokeEndpoint => "InvokeEndpoint",
            Self::ListEndpoints => "ListEndpoints",
        }
    }
}

/// InvokeEndpoint's input, member by member (wire table `InvokeEndpointInput`).
/// Without `Debug`: the body and the custom attributes are sensitive.
pub struct InvokeEndpoint {
    pub endpoint: EndpointName,
    pub content_type: Option<String>,
    pub accept: Option<String>,
    pub custom_attributes: Option<String>,
    pub target_model: Option<String>,
    pub target_variant: Option<String>,
    pub target_container_hostname: Option<String>,
    pub inference_id: Option<String>,
    pub enable_explanations: Option<String>,
    pub inference_component: Option<InferenceComponentName>,
    pub session_id: Option<String>,
    /// Byte for byte, of any size that Lambda let through (R05).
    pub body: Vec<u8>,
}

const CONTENT_TYPE: Member = Member { header: "Content-Type", name: "ContentType", rule: Rule::Text { max: 1024 } };
const ACCEPT: Member = Member { header: "Accept", name: "Accept", rule: Rule::Text { max: 1024 } };
const CUSTOM_ATTRIBUTES: Member =
    Member { header: "X-Amzn-SageMaker-Custom-Attributes", name: "CustomAttributes", rule: Rule::Text { max: 1024 } };
const TARGET_MODEL: Member =
    Member { header: "X-Amzn-SageMaker-Target-Model", name: "TargetModel", rule: Rule::Token { max: 1024 } };
const TARGET_VARIANT: Member =
    Member { header: "X-Amzn-SageMaker-Target-Variant", name: "TargetVariant", rule: Rule::Name };
const TARGET_CONTAINER_HOSTNAME: Member =
    Member { header: "X-Amzn-SageMaker-Target-Container-Hostname", name: "TargetContainerHostname", rule: Rule::Name };
const INFERENCE_ID: Member =
    Member { header: "X-Amzn-SageMaker-Inference-Id", name: "InferenceId", rule: Rule::Token { max: 64 } };
const ENABLE_EXPLANATIONS: Member = Member {
    header: "X-Amzn-SageMaker-Enable-Explanations",
    name: "EnableExplanations",
    rule: Rule::SomeText { max: 64 },
};
const INFERENCE_COMPONENT: Member =
    Member { header: "X-Amzn-SageMaker-Inference-Component", name: "InferenceComponentName", rule: Rule::Name };
const SESSION_ID: Member = Member { header: "X-Amzn-SageMaker-Session-Id", name: "SessionId", rule: Rule::Session };

impl InvokeEndpoint {
    /// # Errors
    /// [`Invalid`] for a wrong name, path, header or body.
    pub fn read(event: &Event<'_>) -> Result<Self, Invalid> {
        Ok(Self {
            endpoint: endpoint_name(event, "/invocations")?,
            content_type: CONTENT_TYPE.read(event)?,
            accept: ACCEPT.read(event)?,
            custom_attributes: CUSTOM_ATTRIBUTES.read(event)?,
            target_model: TARGET_MODEL.read(event)?,
            target_variant: TARGET_VARIANT.read(event)?,
            target_container_hostname: TARGET_CONTAINER_HOSTNAME.read(event)?,
            inference_id: INFERENCE_ID.read(event)?,
            enable_explanations: ENABLE_EXPLANATIONS.read(event)?,
            // The member's rule and the type's are the same.
            inference_component: INFERENCE_COMPONENT.read(event)?.and_then(|name| name.parse().ok()),
            session_id: SESSION_ID.read(event)?,
            body: body(event)?,
        })
    }
}

/// The endpoint's name, which must stand in the path as it is. API Gateway has
/// decoded the parameter once, so the rule alone would let `%69ris` pass for
/// `iris` and meets `a%252Fb` as `a%2Fb`; nothing that needs encoding is a name
/// (S06, S22).
fn endpoint_name(event: &Event<'_>, operation: &str) -> Result<EndpointName, Invalid> {
    let name: EndpointName =
        event.path_parameter("name").unwrap_or_default().parse().map_err(|wrong| Invalid(format!("{wrong}")))?;
    // A custom domain's base path may stand before it.
    let literal = format!("/endpoints/{name}{operation}");
    if event.path().ends_with(&literal) {
        Ok(name)
    } else {
        Err(Invalid(format!("the path must be {literal}, with the endpoint's name unencoded")))
    }
}

fn body(event: &Event<'_>) -> Result<Vec<u8>, Invalid> {
    match event.body() {
        (text, false) => Ok(text.as_bytes().to_vec()),
        (base64, true) => {
            STANDARD.decode_to_vec(base64).map_err(|_| Invalid("the event's body must be base64".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn event(name: &str, path: &str) -> Value {
        json!({
            "httpMethod": "POST", "resource": "/endpoints/{name}/invocations", "path": path,
            "pathParameters": { "name": name }, "headers": {}, "body": null,
        })
    }

    fn read(event: &Value) -> Result<InvokeEndpoint, String> {
        let json = event.to_string();
        InvokeEndpoint::read(&Event::read(json.as_bytes()).expect("an event")).map_err(|Invalid(sentence)| sentence)
    }

    #[test]
    fn routes_go_by_method_and_template() {
        let route = |method: &str, resource: &str| {
            let json = json!({ "httpMethod": method, "resource": resource }).to_string();
            Route::of(&Event::read(json.as_bytes()).expect("an event"))
        };
        assert_eq!(route("POST", "/endpoints/{name}/invocations"), Some(Route::InvokeEndpoint));
        assert_eq!(route("GET", "/endpoints"), Some(Route::ListEndpoints));
        for (method, resource) in [
            ("GET", "/endpoints/{name}/invocations"),
            ("post", "/endpoints/{name}/invocations"),
            ("POST", "/endpoints/iris/invocations"),
            ("POST", "/endpoints"),
            ("POST", "/{proxy+}"),
            ("", ""),
        ] {
            assert_eq!(route(method, resource), None, "{method} {resource}");
        }
    }

    #[test]
    fn s22_an_encoded_name_is_refused() {
        assert!(read(&event("iris", "/endpoints/iris/invocations")).is_ok());
        assert!(read(&event("iris", "/base/path/endpoints/iris/invocations")).is_ok());
        // (what API Gateway decodes, what the client wrote)
        for (name, path) in [
            ("a/b", "/endpoints/a%2Fb/invocations"),
            ("..", "/endpoints/%2e%2e/invocations"),
            ("a%2Fb", "/endpoints/a%252Fb/invocations"),
            ("iris", "/endpoints/%69ris/invocations"),
            ("iris", "/endpoints/iris%20/invocations"),
            ("iris ", "/endpoints/iris%20/invocations"),
            ("iris\n", "/endpoints/iris%0A/invocations"),
            ("iris\0", "/endpoints/iris%00/invocations"),
            ("iris", "/endpoints/other/invocations"),
            ("iris", "/endpoints/iris/invocations/"),
            ("iris", "/endpoints/iris"),
            ("iris", ""),
            ("", "/endpoints//invocations"),
        ] {
            assert!(read(&event(name, path)).is_err(), "{name:?} {path:?} was accepted");
        }
    }

    #[test]
    fn s06_names_that_widen_are_refused() {
        for name in ["*", "a*", "a?", "${aws:username}", "a:b", "-a", &"a".repeat(64)] {
            assert!(read(&event(name, &format!("/endpoints/{name}/invocations"))).is_err(), "{name} was accepted");
        }
    }

    #[test]
    fn each_refusal_names_header_member_and_rule() {
        let mut wrong = event("iris", "/endpoints/iris/invocations");
        wrong["headers"] = json!({ "X-Amzn-SageMaker-Target-Variant": "a/b" });
        assert_eq!(
            read(&wrong).err().as_deref(),
            Some(
                "header X-Amzn-SageMaker-Target-Variant (TargetVariant) must be 1 to 63 ASCII letters, digits and \
                 inner hyphens"
            )
        );
    }

    #[test]
    fn r05_bodies() {
        let mut with = event("iris", "/endpoints/iris/invocations");
        let body = |event: &Value| read(event).map(|request| request.body);
        assert_eq!(body(&with), Ok(vec![]), "no body at all is an empty one");
        for (text, flag, bytes) in [
            ("", json!(true), &b""[..]),
            ("AAH/", json!(true), &[0, 1, 255][..]),
            ("AAH/", json!(false), b"AAH/"),
            ("AAH/", Value::Null, b"AAH/"),
            ("{\"é\":\"\n\"}", json!(false), "{\"é\":\"\n\"}".as_bytes()),
        ] {
            with["body"] = json!(text);
            with["isBase64Encoded"] = flag;
            assert_eq!(body(&with).as_deref(), Ok(bytes), "{text}");
        }
        with["isBase64Encoded"] = json!(true);
        for bad in ["AAH", "AA H/", "AAH_", "é"] {
            with["body"] = json!(bad);
            assert_eq!(body(&with), Err("the event's body must be base64".to_owned()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn r05_base64_round_trips(bytes: Vec<u8>) {
            let mut with = event("iris", "/endpoints/iris/invocations");
            with["body"] = json!(STANDARD.encode_to_string(&bytes));
            with["isBase64Encoded"] = json!(true);
            prop_assert_eq!(read(&with).map(|request| request.body), Ok(bytes));
        }

        /// No event whatever makes the reader panic, and a name that passes is
        /// the literal one in the path.
        #[test]
        fn s22_what_passes_is_literal(name in "[a-zA-Z0-9%./-]{0,12}", path in "[a-zA-Z0-9%./-]{0,12}") {
            if let Ok(request) = read(&event(&name, &format!("/endpoints/{path}/invocations"))) {
                prop_assert_eq!(request.endpoint.as_str(), &path);
                prop_assert_eq!(&name, &path);
            }
        }
    }
}
