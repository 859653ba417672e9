//! The real program at every log level, with canaries wherever a secret can stand: none
//! of them is in what it prints, nor in an answer that it does not belong to (S15, S16).

use std::io::Write;
use std::net::Shutdown;

use serde_json::json;

use crate::support::backend::respond;
use crate::support::sockets::Program;
use crate::support::{NAMESPACE, PARENT, ROLE, event_with, secrets_of_answers};

/// Lambda's `ApplicationLogLevel`, none at all, and what is none of them.
const LEVELS: [&str; 8] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "", "loud"];

#[test]
fn s15_no_secret_is_printed_at_any_level() {
    for level in LEVELS {
        // RUST_LOG is what other programs heed.
        let settings = [("AWS_LAMBDA_LOG_LEVEL", level), ("RUST_LOG", "trace"), ("CREDENTIAL_REUSE_SECONDS", "900")];
        let program = Program::start_set(&settings, |call, stream| match call {
            0 => respond(stream, 200, "text/csv", b"body-canary"),
            1 => respond(
                stream,
                403,
                "application/json",
                b"{\"__type\":\"ExpiredTokenException\",\"Message\":\"message-canary\"}",
            ),
            2 => respond(stream, 502, "text/html", b"page-canary"),
            3 => stream.write_all(b"garbage-canary\r\n\r\n").and(stream.shutdown(Shutdown::Both)).is_err(),
            _ => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\nbody-canary").unwrap();
                let _ = stream.shutdown(Shutdown::Both);
                false
            }
        });
        let mut event = event_with("X-Amzn-SageMaker-Custom-Attributes", "attributes-canary");
        event["body"] = json!("body-canary");
        event["isBase64Encoded"] = json!(false);
        event["headers"]["Authorization"] = json!("authorization-canary");
        for call in 0..5 {
            let posted = program.ask(&event);
            let text = [posted.prelude.to_string().as_bytes(), b"\n", &posted.body].concat();
            captured::assert_none(&format!("answer {call}"), &text, secrets_of_answers());
            if posted.prelude["statusCode"] != 200 {
                captured::assert_none(&format!("error {call}"), &text, captured::PLANTED);
            }
        }
        let mut split = event_with("X-Amzn-SageMaker-Custom-Attributes", "attributes-canary\r\nX: y");
        split["multiValueHeaders"] = json!(null);
        let refused = program.ask(&split);
        assert_eq!(refused.prelude["statusCode"], 400);
        captured::assert_none("a refusal", &refused.body, captured::PLANTED);

        // The metrics' namespace has the name of the recipe's role.
        let printed = program.stop().replace(NAMESPACE, "");
        let others = [ROLE, PARENT, "AKIDOWN", "ASIAIOSFODNN7EXAMPLE", "SageMakerExternal"];
        captured::assert_none(level, printed.as_bytes(), captured::PLANTED.into_iter().chain(others));
        let is_silent = ["WARN", "ERROR", "FATAL"].contains(&level);
        // At the quieter levels only what failed is told, and of the rest the metrics.
        assert_eq!(printed.contains("\"message\":\"metrics\""), is_silent, "{level}: {printed}");
        assert!(printed.contains("\"ErrorCode\":\"AnswerBrokeOff\""), "{level}: {printed}");
    }
}
