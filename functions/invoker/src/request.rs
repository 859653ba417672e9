//! From the API Gateway event to what the caller asks for; or a refusal in one
//! sentence, before any call to AWS.

use bytes::Bytes;
use sagemaker_external::name::{EndpointName, InferenceComponentName};

use crate::error::Invalid;
use crate::event::Event;
use crate::form::Form;
use crate::headers::{Headers, Member};
use crate::operation::{INFERENCE_COMPONENT, INPUT_LOCATION, MODEL_ACCEPT, Operation};
use crate::payload::Encoded;
use crate::rule::Rule;

/// What the API does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// One of SageMaker Runtime's own operations.
    Invoke(Operation),
    ListEndpoints,
    /// The doctor.
    ExamineEndpoint,
}

impl Route {
    /// By method and route template; never by the path, which a client may
    /// encode in many ways.
    pub fn of(event: &Event<'_>) -> Option<Self> {
        match (event.method(), event.resource()) {
            ("POST", resource) => {
                let path = resource.strip_prefix("/endpoints/{name}")?;
                Operation::ALL.into_iter().find(|operation| operation.path() == path).map(Self::Invoke)
            }
            ("GET", "/endpoints") => Some(Self::ListEndpoints),
            ("GET", "/endpoints/{name}") => Some(Self::ExamineEndpoint),
            _ => None,
        }
    }

    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invoke(operation) => operation.name(),
            Self::ListEndpoints => "ListEndpoints",
            Self::ExamineEndpoint => "ExamineEndpoint",
        }
    }
}

/// A call of an endpoint, whatever the operation. Without `Debug`: the body and the
/// custom attributes are sensitive.
pub struct Invocation {
    pub operation: Operation,
    pub endpoint: EndpointName,
    /// As in the headers; the session policy names it too.
    pub inference_component: Option<InferenceComponentName>,
    pub headers: Headers,
    /// Of any size that Lambda let through (R05).
    pub body: Encoded,
    /// What the caller wants of an answer that is a success.
    pub form: Form,
}

/// HTTP's own, which is no member of a streamed operation.
const FORM: Member = Member::new("Accept", "the form of the stream", Rule::Text { max: 1024 });

impl Invocation {
    /// `whole` is the JSON that `event` was read from; the body stays a part of it.
    ///
    /// # Errors
    /// [`Invalid`] for a wrong name, path, header or body.
    pub fn read(operation: Operation, event: &Event<'_>, whole: &Bytes) -> Result<Self, Invalid> {
        let endpoint = endpoint_name(event, operation.path())?;
        let mut headers = Headers::read(event, operation)?;
        // The member's rule and the type's are the same.
        let inference_component = headers.get(INFERENCE_COMPONENT.header).and_then(|name| name.parse().ok());
        let (text, is_base64) = event.body();
        let body = Encoded::new(text, is_base64, whole)?;
        let form = match operation {
            Operation::InvokeEndpoint => Form::AsIs,
            Operation::InvokeEndpointWithResponseStream => Form::of_stream(FORM.read(event)?),
            Operation::InvokeEndpointAsync => {
                if headers.get(INPUT_LOCATION.header).is_some() != body.is_empty() {
                    return Err(Invalid(NO_INPUT.to_owned()));
                }
                Form::AsIs
            }
        };
        // A model that can answer in several forms is asked for the caller's.
        if let (Form::Plain(media), None) = (form, headers.get(MODEL_ACCEPT.header)) {
            headers.set(MODEL_ACCEPT.header, media.name())?;
        }
        Ok(Self { operation, endpoint, inference_component, headers, body, form })
    }
}

/// The endpoint that the doctor is to examine.
///
/// # Errors
/// [`Invalid`] for a wrong name or path.
pub fn examined(event: &Event<'_>) -> Result<EndpointName, Invalid> {
    endpoint_name(event, "")
}

/// Two members of one input, of which the service's model says "exactly one".
const NO_INPUT: &str = "the input must be either in header X-Amzn-SageMaker-InputLocation (InputLocation) or in the \
                        body, and not in both";

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

#[cfg(test)]
mod tests {
    use super::*;
    use base64_simd::STANDARD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn event(name: &str, path: &str) -> Value {
        json!({
            "httpMethod": "POST", "resource": "/endpoints/{name}/invocations", "path": path,
            "pathParameters": { "name": name }, "headers": {}, "body": null,
        })
    }

    fn read(event: &Value) -> Result<Invocation, String> {
        read_as(Operation::InvokeEndpoint, event)
    }

    fn read_as(operation: Operation, event: &Value) -> Result<Invocation, String> {
        let json = Bytes::from(event.to_string());
        Invocation::read(operation, &Event::read(&json).expect("an event"), &json).map_err(|Invalid(sentence)| sentence)
    }

    #[test]
    fn routes_go_by_method_and_template() {
        let route = |method: &str, resource: &str| {
            let json = json!({ "httpMethod": method, "resource": resource }).to_string();
            Route::of(&Event::read(json.as_bytes()).expect("an event"))
        };
        for (resource, operation) in [
            ("/endpoints/{name}/invocations", Operation::InvokeEndpoint),
            ("/endpoints/{name}/invocations-response-stream", Operation::InvokeEndpointWithResponseStream),
            ("/endpoints/{name}/async-invocations", Operation::InvokeEndpointAsync),
        ] {
            assert_eq!(route("POST", resource), Some(Route::Invoke(operation)));
        }
        assert_eq!(route("GET", "/endpoints"), Some(Route::ListEndpoints));
        assert_eq!(route("GET", "/endpoints/{name}"), Some(Route::ExamineEndpoint));
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
        let body =
            |event: &Value| read(event).and_then(|request| request.body.decode().map_err(|Invalid(sentence)| sentence));
        assert_eq!(body(&with), Ok(Bytes::new()), "no body at all is an empty one");
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
            prop_assert_eq!(read(&with).map(|request| request.body.decode().ok()), Ok(Some(bytes.into())));
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
