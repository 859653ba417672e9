//! The real program calls a model once or not at all, counted at the model (R04).

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use bytes::Bytes;
use invoker::aws::Aws;
use invoker::body::Body;
use invoker::deadline::Deadline;
use invoker::endpoint::{Call, NotInvoked, Runtimes, Upstream, Why};
use invoker::event::Event;
use invoker::form::Form;
use invoker::operation::Operation;
use invoker::payload::Payload;
use invoker::request::Invocation;
use invoker::transport::Pool;
use sagemaker_external::arn::Region;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::backend::{Backend, RESET_BEFORE_BODY, respond};
use crate::support::sockets::{Program, listen};
use crate::support::{context, drained, event, event_of, with};

/// A call with a body; of the newest models an asynchronous one has its input there.
fn event_with_body(operation: Operation) -> Value {
    let mut event = event();
    event["resource"] = json!(format!("/endpoints/{{name}}{}", operation.path()));
    event["path"] = json!(format!("/endpoints/iris{}", operation.path()));
    event
}

fn reset(stream: &mut TcpStream) -> bool {
    let _ = stream.shutdown(Shutdown::Both);
    false
}

/// Sends the head of a longer answer, and a part of it.
fn reset_within(stream: &mut TcpStream, length: usize, part: &[u8]) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\nx-amzn-RequestId: upstream-request\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(part)).is_ok() && reset(stream)
}

type Model = fn(&mut TcpStream) -> bool;

/// What a model does after it has read a call, and the status that comes of it; of a
/// cut answer its own, unless it is a short one of no stream, which is read first.
const FAILURES: [(&str, Model, u16); 8] = [
    ("500", |stream| respond(stream, 500, "application/json", b"{\"__type\":\"InternalFailure\"}"), 500),
    ("throttled", |stream| respond(stream, 400, "application/json", b"{\"__type\":\"ThrottlingException\"}"), 429),
    ("cold", |stream| respond(stream, 429, "application/json", b"{\"__type\":\"ModelNotReadyException\"}"), 429),
    ("reset before its answer", reset, 530),
    ("reset before its answer's body", |stream| reset_within(stream, 9, b""), 530),
    ("reset within its answer's body", |stream| reset_within(stream, 9, b"half"), 530),
    ("reset within its answer's body of 1 MiB", |stream| reset_within(stream, 1 << 20, b"half"), 530),
    ("reset within a longer answer's body", |stream| reset_within(stream, (1 << 20) + 1, b"half"), 200),
];

#[test]
fn r04_the_model_is_called_once_whatever_it_does() {
    for operation in Operation::ALL {
        for (name, model, status) in FAILURES {
            // The connection is one that was used before: the pool's own second try is
            // for requests that were not sent.
            let program = Program::start(move |call, stream| match call {
                0 => respond(stream, 200, "text/plain", b"well"),
                _ => model(stream),
            });
            assert_eq!(program.ask(&event_of(operation)).prelude["statusCode"], 200);
            let posted = program.ask(&event_of(operation));
            let is_cut = name.contains("answer's body");
            let status = match operation {
                Operation::InvokeEndpoint => status,
                Operation::InvokeEndpointWithResponseStream => {
                    if is_cut {
                        200
                    } else {
                        status
                    }
                }
                // It is never long.
                Operation::InvokeEndpointAsync => {
                    if is_cut {
                        530
                    } else {
                        status
                    }
                }
            };
            assert_eq!(posted.prelude["statusCode"], status, "{operation:?} {name}");
            if is_cut {
                assert_eq!(posted.prelude["headers"]["x-amzn-requestid"], "upstream-request", "{operation:?} {name}");
            }
            assert_eq!(program.seen().1.len(), 2, "{operation:?} {name}: the model was called again");
        }
    }
}

#[test]
fn r04_a_reset_before_the_body_is_read_is_not_sent_again() {
    for operation in Operation::ALL {
        let program = Program::start(|_, stream| respond(stream, 200, "text/plain", b"well"));
        let event = event_with_body(operation);
        assert_eq!(program.ask(&event).prelude["statusCode"], 200);
        let posted = program.ask(&with(event, "X-Amzn-SageMaker-Custom-Attributes", RESET_BEFORE_BODY));
        assert_eq!(posted.prelude["statusCode"], 530, "{operation:?}");
        assert_eq!(program.seen().1.len(), 2, "{operation:?}: the model was called again");
    }
}

#[test]
fn r04_r13_a_timeout_is_not_sent_again() {
    for operation in Operation::ALL {
        let program = Program::start(|_, stream| {
            // The connection is given up before an answer comes.
            let _ = std::io::Read::read(stream, &mut [0]);
            false
        });
        program.send_within(&event_of(operation), Duration::from_millis(1_500));
        assert_eq!(program.posted().prelude["statusCode"], 530, "{operation:?}");
        assert_eq!(program.seen().1.len(), 1, "{operation:?}: the model was called again");
    }
}

/// What was given up may still be answered: to nobody, least of all to the next caller.
#[test]
fn r04_s21_a_late_answer_is_nobody_elses() {
    let (given_up, is_given_up) = channel();
    let (sent, is_sent) = channel();
    let is_given_up = Mutex::new(is_given_up);
    let program = Program::start(move |call, stream| {
        if call > 0 {
            return respond(stream, 200, "text/plain", b"the second's");
        }
        is_given_up.lock().unwrap().recv().unwrap();
        let is_kept = respond(stream, 200, "text/plain", b"the first's");
        sent.send(()).unwrap();
        is_kept
    });
    program.send_within(&event(), Duration::from_millis(1_500));
    assert_eq!(program.posted().prelude["statusCode"], 530);
    given_up.send(()).unwrap();
    is_sent.recv().unwrap();
    let connections = program.connections();
    assert_eq!(program.ask(&event()).body, b"the second's");
    assert_eq!(program.connections(), connections + 1);
}

/// As on Lambda Managed Instances: no more connections than there are requests at once.
#[tokio::test]
async fn requests_at_once_share_a_pool() {
    let backend = Backend::start(|_, stream| respond(stream, 200, "text/plain", b"well"));
    let runtimes = Arc::new(runtimes(&format!("http://{}", backend.address)));
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let runtimes = Arc::clone(&runtimes);
        asking.spawn(async move {
            for _ in 0..50 {
                let answer =
                    invoke(&runtimes, Operation::InvokeEndpoint).await.unwrap_or_else(|not| panic!("{}", not.code));
                let body = Body::passing(answer.into_body(), Form::AsIs, deadline());
                assert_eq!(drained(body).await, (b"well".to_vec(), None));
            }
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    assert_eq!(backend.seen().1.len(), 400);
    assert!(backend.connections() <= 8, "{} connections", backend.connections());
}

/// A connection that was closed while idle has carried nothing of a request, which
/// is served on a new one.
#[test]
fn r04_a_connection_that_is_closed_while_idle_is_no_failure() {
    for operation in Operation::ALL {
        let program = Program::start(|_, stream| {
            respond(stream, 200, "text/plain", b"then closed");
            reset(stream)
        });
        for _ in 0..3 {
            assert_eq!(program.ask(&event_of(operation)).body, b"then closed");
        }
        assert_eq!(program.seen().1.len(), 3);
    }
}

/// Lambda freezes the process between requests: with the next one it finds its kept
/// connections dead.
#[test]
fn r04_a_connection_that_died_while_frozen_is_no_failure() {
    let program = Program::start(|_, stream| respond(stream, 200, "text/plain", b"well"));
    let mut asked = 0;
    for operation in Operation::ALL.into_iter().cycle().take(9) {
        program.freeze();
        program.disconnect();
        program.send(&event_of(operation));
        program.thaw();
        assert_eq!(program.posted().body, b"well");
        asked += 1;
        let (sts, sagemaker) = program.seen();
        assert_eq!((sts.len(), sagemaker.len(), program.connections()), (asked, asked, asked));
    }
}

/// With kept credentials no call of STS comes first, so that the model's own call is the
/// one that finds its connection dead.
#[test]
fn r04_r06_nor_is_it_one_when_credentials_are_reused() {
    let reuse = [("CREDENTIAL_REUSE_SECONDS", "300")];
    let program = Program::start_set(&reuse, |_, stream| respond(stream, 200, "text/plain", b"well"));
    let operations = Operation::ALL.into_iter();
    for (earlier, operation) in operations.clone().cycle().take(12).enumerate() {
        program.freeze();
        program.disconnect();
        program.send(&event_of(operation));
        program.thaw();
        assert_eq!(program.posted().body, b"well", "request {earlier}");
        let asked = earlier + 1;
        let (sts, sagemaker) = program.seen();
        // A session for each operation.
        let assumed = asked.min(operations.len());
        assert_eq!((sts.len(), sagemaker.len(), program.connections()), (assumed, asked, asked));
    }
}

/// The same of the model's own client, which meets the dead connection first: the
/// runtime stands still while the connection ends, so that the pool still holds it.
#[tokio::test]
async fn r04_what_was_never_sent_is_sent_on_a_new_connection() {
    let backend = Backend::start(|_, stream| respond(stream, 200, "text/plain", b"well"));
    let runtimes = runtimes(&format!("http://{}", backend.address));
    let mut asked = 0;
    for operation in Operation::ALL.into_iter().cycle().take(9) {
        let answer = invoke(&runtimes, operation).await;
        let answer = answer.unwrap_or_else(|not| panic!("call {asked}: {}", not.code));
        let body = Body::passing(answer.into_body(), Form::AsIs, deadline());
        assert_eq!(drained(body).await, (b"well".to_vec(), None));
        asked += 1;
        assert_eq!((backend.seen().1.len(), backend.connections()), (asked, asked));
        backend.disconnect();
    }
}

/// A client may call again at once: nobody listens, or there is no TLS.
#[tokio::test]
async fn r04_without_a_connection_nothing_was_sent() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let no_tls = listen(|stream| drop(stream.shutdown(Shutdown::Both)));
    for url in [format!("http://{nobody}"), format!("https://{no_tls}")] {
        let runtimes = runtimes(&url);
        for operation in Operation::ALL {
            let not = invoke(&runtimes, operation).await.expect_err("no answer");
            assert!(matches!(not.why, Why::Unavailable), "{url} {operation:?}: {}", not.code);
        }
    }
}

/// Nor was anything sent when the deadline comes before there is a connection: the other side
/// takes TCP and says nothing of TLS.
#[tokio::test]
async fn r04_r13_a_deadline_before_there_is_a_connection_sends_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let runtimes = runtimes(&format!("https://{}", silent.local_addr().unwrap()));
    for operation in Operation::ALL {
        let soon = Deadline::of(&context(Duration::from_millis(700)));
        let not = invoke_within(&runtimes, operation, soon).await.expect_err("no answer");
        assert!(matches!(not.why, Why::Late), "{operation:?}: {}", not.code);
    }
}

fn runtimes(url: &str) -> Runtimes {
    let variable = |name: &str| (name == "AWS_ENDPOINT_URL").then(|| url.to_owned());
    Runtimes::new(&Aws::of(variable, Arc::new(Pool::default())), std::iter::once(&region()))
}

fn region() -> Region {
    "us-east-1".parse().unwrap()
}

fn deadline() -> Deadline {
    Deadline::of(&context(Duration::from_secs(60)))
}

async fn invoke(runtimes: &Runtimes, operation: Operation) -> Result<Upstream, NotInvoked> {
    invoke_within(runtimes, operation, deadline()).await
}

async fn invoke_within(runtimes: &Runtimes, operation: Operation, deadline: Deadline) -> Result<Upstream, NotInvoked> {
    let json = Bytes::from(event_of(operation).to_string());
    let invocation = Invocation::read(operation, &Event::read(&json).unwrap(), &json);
    let Invocation { operation, endpoint, headers, body, .. } = invocation.unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let call =
        Call { operation, endpoint: &endpoint, headers: &headers, payload: Payload::from(body.decode().unwrap()) };
    let credentials = Credentials::new("ASIA", "secret", None, None, "test");
    runtimes.invoke(&region(), call, &credentials, deadline).await
}
