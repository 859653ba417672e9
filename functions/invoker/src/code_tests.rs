//! Each code comes from what it says it comes from, and docs/errors.md explains it.

use std::collections::BTreeMap;

use http::HeaderMap;
use lambda_runtime::Context;
use sagemaker_external::name::EndpointName;
use serde_json::Map;

use super::*;
use crate::assume::NotAssumed;
use crate::endpoint::NotInvoked;
use crate::error::Invalid;
use crate::operation::Operation;
use crate::record::Record;
use crate::response;

fn name() -> EndpointName {
    "iris".parse().expect("a name")
}

fn not_assumed(why: assume::Why) -> Error {
    Error::NotAssumed(name(), NotAssumed { why, code: "X".to_owned() })
}

fn not_invoked(why: endpoint::Why) -> Error {
    let not = NotInvoked { why, code: "X".to_owned(), request_id: None };
    Error::NotInvoked(Operation::InvokeEndpoint, name(), not)
}

fn passed_on(kind: &str, status: u16) -> Error {
    let why = endpoint::Why::Service { status, message: None, members: Map::new(), retry_after: None };
    let not = NotInvoked { why, code: kind.to_owned(), request_id: None };
    Error::NotInvoked(Operation::InvokeEndpoint, name(), not)
}

/// An error of each code, but for those that no head of an answer can have. A new code
/// does not compile without a line here.
fn sample(code: Code) -> Option<Error> {
    Some(match code {
        Code::InvalidRequest => Error::Invalid(Invalid("wrong".to_owned())),
        Code::UnknownOperation => Error::UnknownOperation,
        Code::NoCaller => Error::NoCaller,
        Code::NotSetUp => Error::NotSetUp,
        Code::EndpointNotGranted => Error::NotGranted(name()),
        Code::AssumeRoleDenied => not_assumed(assume::Why::Denied),
        Code::RegionDisabled => not_assumed(assume::Why::RegionDisabled),
        Code::StsThrottled => not_assumed(assume::Why::Throttled),
        Code::StsUnavailable => not_assumed(assume::Why::Unavailable),
        Code::DeadlineExceeded => not_assumed(assume::Why::Deadline),
        Code::PackedPolicyTooLarge => not_assumed(assume::Why::TooLarge),
        Code::AssumeRoleFailed => not_assumed(assume::Why::Fault),
        Code::CallNotSendable => not_invoked(endpoint::Why::NotSendable),
        Code::InvokeDenied => not_invoked(endpoint::Why::Denied),
        Code::CredentialsStale => Error::Stale(NotInvoked {
            why: endpoint::Why::Unauthenticated,
            code: "ExpiredToken".to_owned(),
            request_id: None,
        }),
        Code::SessionNotAccepted => not_invoked(endpoint::Why::Unauthenticated),
        Code::EndpointThrottled => not_invoked(endpoint::Why::Throttled),
        Code::SageMakerUnavailable => not_invoked(endpoint::Why::Unavailable),
        Code::ConnectionBroken => not_invoked(endpoint::Why::Broken),
        Code::EndpointDeadlineExceeded => not_invoked(endpoint::Why::Deadline),
        Code::AnswerNotUnderstood => not_invoked(endpoint::Why::NotUnderstood),
        Code::InternalError => Error::Panicked { was_invoking: true },
        Code::InternalDependencyException => passed_on("InternalDependencyException", 530),
        Code::InternalFailure => passed_on("InternalFailure", 500),
        Code::InternalStreamFailure => passed_on("InternalStreamFailure", 530),
        Code::ModelError => passed_on("ModelError", 424),
        Code::ModelNotReadyException => passed_on("ModelNotReadyException", 429),
        Code::ModelStreamError => passed_on("ModelStreamError", 400),
        Code::ServiceUnavailable => passed_on("ServiceUnavailable", 503),
        Code::ValidationError => passed_on("ValidationError", 400),
        Code::OtherServiceError => passed_on("NewerThanTheModel", 418),
        Code::AnswerBrokeOff
        | Code::AnswerGarbled
        | Code::AnswerSilent
        | Code::AnswerOutOfTime
        | Code::AnswerNotTaken => return None,
    })
}

#[test]
fn every_code_is_that_of_its_error() {
    for code in Code::ALL {
        if let Some(error) = sample(*code) {
            assert_eq!(Code::of(&error), *code);
        }
    }
    assert_eq!(Code::of(&not_invoked(endpoint::Why::Late)), Code::DeadlineExceeded);
    let cuts = [Cut::Upstream, Cut::Garbled, Cut::Silence, Cut::Deadline].map(Code::of_cut);
    assert_eq!(cuts, [Code::AnswerBrokeOff, Code::AnswerGarbled, Code::AnswerSilent, Code::AnswerOutOfTime]);
}

/// 503 and 504, which SDKs send again, are only for what never reached a model, and 500 of
/// this API's own as well; SageMaker's own errors pass with their status.
#[test]
fn r04_no_error_after_which_the_model_may_have_run_is_sent_again() {
    for code in Code::ALL {
        let Some(error) = sample(*code).filter(|_| !code.is_passed_on()) else { continue };
        let may_have_run = matches!(
            code,
            Code::ConnectionBroken | Code::EndpointDeadlineExceeded | Code::AnswerNotUnderstood | Code::InternalError
        );
        let status = response::refused(&error, &Record::new(&Context::default())).metadata_prelude.status_code;
        assert_eq!(status.as_u16() == 530, may_have_run, "{}", code.name());
    }
}

/// Each operation waits for so long at most, and no advice is given to a stream or to a call
/// that is asynchronous already to become asynchronous.
#[test]
fn r13_the_advice_of_a_deadline_is_its_operations() {
    for (operation, advice) in [
        (Operation::InvokeEndpoint, Some("call it asynchronously if it needs more than the 60 s")),
        (Operation::InvokeEndpointWithResponseStream, Some("make the model begin its answer sooner")),
        (Operation::InvokeEndpointAsync, None),
    ] {
        let not = NotInvoked { why: endpoint::Why::Deadline, code: "X".to_owned(), request_id: None };
        let reply = response::refused(&Error::NotInvoked(operation, name(), not), &Record::new(&Context::default()));
        let crate::body::Body::Bytes(body) = reply.stream else { panic!("no error") };
        let text = String::from_utf8(body.to_vec()).expect("text");
        assert!(text.contains(&format!("which is {} s at most", operation.longest().as_secs())), "{text}");
        assert_eq!(text.contains("asynchronously"), operation == Operation::InvokeEndpoint, "{text}");
        assert!(advice.is_none_or(|advice| text.contains(advice)), "{text}");
    }
}

/// The text under each code between two headings of the page.
fn documented(from: &str, to: &str) -> BTreeMap<&'static str, &'static str> {
    let page = include_str!("../../../docs/errors.md");
    let (_, after) = page.split_once(from).expect("the section");
    let (section, _) = after.split_once(to).expect("the next section");
    let mut found = BTreeMap::new();
    for part in section.split("\n#### `").skip(1) {
        let (code, text) = part.split_once("`\n").expect("a code in backticks");
        assert_eq!(found.insert(code, text), None, "{code} is there twice");
    }
    found
}

/// No code without an explanation, none explained that does not exist, and status, type,
/// wait and whose mistake it is are as the API has them.
#[test]
fn every_code_is_documented_and_no_other() {
    let found = documented("\n## The API\n", "\n## The doctor\n");
    let all: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(found.keys().copied().collect::<std::collections::BTreeSet<_>>(), all.iter().copied().collect());
    for code in Code::ALL {
        let text = found.get(code.name()).expect("documented");
        for side in ["\n- Child: ", "\n- Parent: "] {
            assert_eq!(text.matches(side).count(), 1, "{}: {side}", code.name());
        }
        let (head, _) = text.split_once("\n- ").expect("a cause");
        let (head, _) = head.split_once(". ").or(head.split_once(": ")).unwrap_or((head, ""));
        let Some(error) = sample(*code) else { continue };
        let reply = response::refused(&error, &Record::new(&Context::default()));
        let prelude = reply.metadata_prelude;
        let header =
            |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
        let (kind, retry) = (header(&prelude.headers, "x-amzn-errortype"), header(&prelude.headers, "retry-after"));
        assert_eq!(header(&prelude.headers, "x-sagemaker-external-error-code").as_deref(), Some(code.name()));
        if head.starts_with("As SageMaker gives it") {
            assert!(code.is_passed_on());
            continue;
        }
        let callers = if code.is_callers() { ", caller" } else { "" };
        let retry = retry.map(|seconds| format!(", `Retry-After: {seconds}`")).unwrap_or_default();
        assert_eq!(head, format!("{} {}{callers}{retry}", prelude.status_code.as_u16(), kind.expect("a type")));
    }
}

#[test]
fn every_finding_of_the_doctor_is_documented_and_no_other() {
    let found = documented("\n## The doctor\n", "\n## The custom resources\n");
    let codes = crate::doctor::tests::codes();
    assert_eq!(found.keys().copied().collect::<std::collections::BTreeSet<_>>(), codes);
    // A word of both means the same in both: the doctor's refers to the request's.
    for (code, text) in &found {
        let shared = Code::ALL.iter().any(|known| known.name() == *code);
        assert_eq!(text.starts_with(&format!("See [above](#{}).", code.to_lowercase())), shared, "{code}");
        assert!(shared || (text.contains("\n- Child: ") && text.contains("\n- Parent: ")), "{code}");
    }
}
