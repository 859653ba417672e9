//! Connections that the program makes before its first request.

use std::net::{Shutdown, TcpListener};

use serde_json::json;
use tokio::time::Instant;

use crate::support::cloud::Cloud;
use crate::support::sockets::{Program, listen};
use crate::support::tls::TlsService;
use crate::support::{ROLE, event, invoker_with};

struct Stage {
    program: Program,
    sts: TlsService,
    runtime: TlsService,
}

impl Stage {
    /// The program's connections are made; nobody has asked for anything yet.
    fn set() -> Self {
        let (sts, runtime) = (TlsService::start(), TlsService::start());
        let roots = sts.roots.with_extension("both.pem");
        let both = [&sts.roots, &runtime.roots].map(|roots| std::fs::read_to_string(roots).unwrap());
        std::fs::write(&roots, both.concat()).unwrap();
        let program = Program::start_set(
            &[
                ("AWS_ENDPOINT_URL_STS", &format!("https://{}", sts.address)),
                ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", &format!("https://{}", runtime.address)),
                ("SSL_CERT_FILE", roots.to_str().unwrap()),
            ],
            |_, _| unreachable!("the other endpoints are used"),
        );
        sts.handshake();
        runtime.handshake();
        Self { program, sts, runtime }
    }

    fn connections(&self) -> (usize, usize) {
        (self.sts.connections(), self.runtime.connections())
    }
}

#[test]
fn the_first_request_finds_its_connections_made() {
    let stage = Stage::set();
    assert_eq!((stage.sts.requests(), stage.runtime.requests()), (0, 0), "nothing is sent before there is a request");
    for asked in 1..=3 {
        assert_eq!(stage.program.ask(&event()).body, b"setosa");
        assert_eq!((stage.sts.requests(), stage.runtime.requests()), (asked, asked));
        assert_eq!(stage.connections(), (1, 1));
    }
}

/// Lambda may start a function long before its first request.
#[test]
fn r04_a_prepared_connection_that_died_meanwhile_is_no_failure() {
    let stage = Stage::set();
    stage.program.freeze();
    stage.sts.disconnect();
    stage.runtime.disconnect();
    stage.program.send(&event());
    stage.program.thaw();
    assert_eq!(stage.program.posted().body, b"setosa");
    assert_eq!((stage.sts.requests(), stage.runtime.requests(), stage.connections()), (1, 1, (2, 2)));
}

/// Each needs STS; and whoever does not answer keeps nobody waiting for ever.
#[tokio::test(start_paused = true)]
async fn of_many_regions_sts_is_prepared_first_and_for_a_second_at_most() {
    let cloud = Cloud::untouched();
    let grant = |number: usize| {
        json!({ "RoleArn": ROLE, "EndpointNames": [format!("e{number}")],
                                        "Region": format!("eu-west-{number}") })
    };
    let grants = (1..=9).map(grant).collect::<Vec<_>>();
    let invoker = invoker_with(&cloud, Some(&json!(grants).to_string()));
    let began = Instant::now();
    invoker.prepare().await;
    assert_eq!(began.elapsed().as_secs(), 1);
    let prepared = cloud.prepared();
    assert_eq!((prepared.len(), prepared[0].as_str()), (8, "sts.us-east-1.amazonaws.com"));
    assert_eq!(cloud.counts(), (0, 0));
}

/// Neither a closed port nor a peer that breaks off the handshake keeps requests waiting.
#[test]
fn what_cannot_be_prepared_is_left_to_the_request() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let no_tls = listen(|stream| drop(stream.shutdown(Shutdown::Both)));
    let urls = [format!("https://{nobody}"), format!("https://{no_tls}")];
    let set = [("AWS_ENDPOINT_URL_STS", urls[0].as_str()), ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", &urls[1])];
    let program = Program::start_set(&set, |_, _| unreachable!("the other endpoints are used"));
    let posted = program.ask(&event());
    assert_eq!(posted.prelude["statusCode"], 503);
}
