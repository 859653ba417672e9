//! Header members on their way to SageMaker, of each operation (R01).

use invoker::operation::Operation;
use serde_json::{Value, json};

use crate::support::cloud::Cloud;
use crate::support::{ask, event_of, invoker, with};

type Pairs = &'static [(&'static str, &'static str)];

/// Every header member of each operation with a value that its rule admits.
const MEMBERS: [(Operation, Pairs); 3] = [
    (
        Operation::InvokeEndpoint,
        &[
            ("Content-Type", "application/json; charset=utf-8"),
            ("Accept", "text/csv;q=0.9, */*"),
            ("X-Amzn-SageMaker-Custom-Attributes", "trace=1; \"quoted\" \\ 'all' ~ printable"),
            ("X-Amzn-SageMaker-Target-Model", "models/v 1/model.tar.gz"),
            ("X-Amzn-SageMaker-Target-Variant", "Variant-1"),
            ("X-Amzn-SageMaker-Target-Container-Hostname", "container-2"),
            ("X-Amzn-SageMaker-Inference-Id", "inference id #1"),
            ("X-Amzn-SageMaker-Enable-Explanations", "`true`"),
            ("X-Amzn-SageMaker-Inference-Component", "Component-1"),
            ("X-Amzn-SageMaker-Session-Id", "NEW_SESSION"),
            ("X-Amzn-SageMaker-Prefix-Aware-Id", "team a"),
        ],
    ),
    (
        Operation::InvokeEndpointWithResponseStream,
        &[
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-Amzn-SageMaker-Accept", "text/csv;q=0.9, */*"),
            ("X-Amzn-SageMaker-Custom-Attributes", "trace=1; \"quoted\" \\ 'all' ~ printable"),
            ("X-Amzn-SageMaker-Target-Variant", "Variant-1"),
            ("X-Amzn-SageMaker-Target-Container-Hostname", "container-2"),
            ("X-Amzn-SageMaker-Inference-Id", "inference id #1"),
            ("X-Amzn-SageMaker-Inference-Component", "Component-1"),
            ("X-Amzn-SageMaker-Session-Id", "session-1"),
            ("X-Amzn-SageMaker-Prefix-Aware-Id", "team a"),
        ],
    ),
    (
        Operation::InvokeEndpointAsync,
        &[
            ("X-Amzn-SageMaker-Content-Type", "application/json; charset=utf-8"),
            ("X-Amzn-SageMaker-Accept", "text/csv;q=0.9, */*"),
            ("X-Amzn-SageMaker-Custom-Attributes", "trace=1; \"quoted\" \\ 'all' ~ printable"),
            ("X-Amzn-SageMaker-Inference-Id", "inference id #1"),
            ("X-Amzn-SageMaker-InputLocation", "s3://bucket/in put/1.json"),
            ("X-Amzn-SageMaker-S3OutputPathExtension", "out/(1)"),
            ("X-Amzn-SageMaker-Filename", "result_1.json"),
            ("X-Amzn-SageMaker-RequestTTLSeconds", "21600"),
            ("X-Amzn-SageMaker-InvocationTimeoutSeconds", "3600"),
        ],
    ),
];

#[tokio::test]
async fn r01_every_member_reaches_sagemaker_under_its_header() {
    for (operation, members) in MEMBERS {
        let cloud = Cloud::willing();
        let mut event = event_of(operation);
        event["headers"] = json!({});
        event["multiValueHeaders"] = members.iter().map(|(name, value)| (*name, json!([value]))).collect();
        let answer = ask(&invoker(&cloud), &event).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"setosa\n"[..]));
        let call = &cloud.to_sagemaker()[0];
        assert_eq!(call.host, "runtime.sagemaker.us-east-1.amazonaws.com");
        assert_eq!(call.path, format!("/endpoints/iris{}", operation.path()));
        for (name, value) in members {
            assert_eq!(call.header(name), Some(*value), "{name}");
            assert_eq!(call.headers.get_all(*name).iter().count(), 1, "{name}");
        }
        let known: Vec<_> = members.iter().map(|(name, _)| *name).collect();
        assert_eq!(known, operation.members().iter().map(|member| member.header).collect::<Vec<_>>());
        let is_signed = |name: &&str| {
            let name = name.to_ascii_lowercase();
            call.header("authorization").unwrap().split([';', '=', ',']).any(|signed| signed == name)
        };
        assert!(known.iter().all(is_signed), "a header is not signed");
        let body: &[u8] = if operation == Operation::InvokeEndpointAsync { b"" } else { b"5.1,3.5,1.4,0.2\n" };
        assert_eq!(call.body, body);
    }
}

/// Of HTTP's own headers only those go on that are members of the operation.
#[tokio::test]
async fn r01_what_the_caller_leaves_out_stays_out() {
    for (operation, members) in MEMBERS {
        let cloud = Cloud::willing();
        let mut event = event_of(operation);
        event["headers"] = json!({ "Host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com", "X-Custom": "1" });
        event["multiValueHeaders"] = Value::Null;
        if operation == Operation::InvokeEndpointAsync {
            event["body"] = json!("AAH/");
            event["headers"]["Content-Type"] = json!("text/csv");
        }
        if operation != Operation::InvokeEndpoint {
            event["headers"]["Accept"] = json!("*/*");
        }
        assert_eq!(ask(&invoker(&cloud), &event).await.status, 200);
        let call = &cloud.to_sagemaker()[0];
        for name in members.iter().map(|(name, _)| *name).chain(["Content-Type", "Accept", "X-Custom"]) {
            assert_eq!(call.header(name), None, "{name}");
        }
    }
}

/// A member newer than this code need not wait for it.
#[tokio::test]
async fn r01_newer_headers_of_sagemaker_pass() {
    for operation in Operation::ALL {
        let cloud = Cloud::willing();
        let event = with(event_of(operation), "X-Amzn-SageMaker-Something-Newer", "a value: \"1\"");
        assert_eq!(ask(&invoker(&cloud), &event).await.status, 200);
        let call = &cloud.to_sagemaker()[0];
        assert_eq!(call.header("x-amzn-sagemaker-something-newer"), Some("a value: \"1\""));
        assert!(call.header("authorization").unwrap().contains("x-amzn-sagemaker-something-newer"), "unsigned");
    }
}
