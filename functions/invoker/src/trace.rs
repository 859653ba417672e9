//! X-Ray: the two calls of a traced request as subsegments of the function's segment.
//!
//! One UDP datagram each to the daemon that Lambda runs beside the function ("Sending
//! trace data to AWS X-Ray", AWS X-Ray developer guide). Nothing waits for it and
//! nothing fails by it: what cannot be sent is lost. SageMaker is not sent the header:
//! the trace is the child's, and the endpoint's is the parent's affair.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::code::Code;
use crate::record::Step;

/// Where Lambda's daemon listens, such as `169.254.79.129:2000`.
const DAEMON: &str = "AWS_XRAY_DAEMON_ADDRESS";
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// The trace of a request that is sampled.
pub(crate) struct Trace {
    root: String,
    parent: String,
}

impl Trace {
    /// Of the invocation's trace header, `Root=1-…;Parent=…;Sampled=1`; nothing if this
    /// request is not sampled, or the header is not one.
    pub(crate) fn sampled(header: &str) -> Option<Self> {
        let part = |name: &str| {
            let mut parts = header.split(';').filter_map(|part| part.trim().split_once('='));
            let plain = |text: &&str| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
            parts.find(|(key, _)| *key == name).map(|(_, value)| value).filter(plain).map(str::to_owned)
        };
        let is_sampled = part("Sampled").is_some_and(|sampled| sampled == "1");
        Some(Self { root: part("Root")?, parent: part("Parent")? }).filter(|_| is_sampled)
    }

    /// Sends what there is of the two steps, the second with its operation; `code` is that
    /// of the last one, if it failed.
    pub(crate) fn send(&self, assume: Option<Step>, invoke: Option<(&str, Step)>, code: Option<Code>) {
        let Some(daemon) = std::env::var(DAEMON).ok().and_then(|address| address.parse().ok()) else { return };
        let of_assume = code.filter(|code| code.is_of_sts());
        let documents = [
            assume.map(|step| self.document("STS", "AssumeRole", step, of_assume)),
            invoke.map(|(operation, step)| self.document("SageMaker Runtime", operation, step, code)),
        ];
        for document in documents.into_iter().flatten() {
            // A trace is worth no error.
            let _ = send(daemon, &format!("{HEADER}{document}"));
        }
    }

    fn document(&self, name: &str, operation: &str, step: Step, code: Option<Code>) -> Value {
        let start = since_1970(step.began);
        json!({
            "type": "subsegment",
            "trace_id": self.root,
            "parent_id": self.parent,
            "id": format!("{:016x}", fastrand::u64(..)),
            "name": name,
            "namespace": "aws",
            "start_time": start,
            "end_time": start + step.took.as_secs_f64(),
            "aws": { "operation": operation },
            "error": code.is_some_and(|code| code.is_callers() || code.is_throttle()),
            "throttle": code.is_some_and(Code::is_throttle),
            "fault": code.is_some_and(|code| !code.is_callers() && !code.is_throttle()),
            "annotations": code.map(|code| json!({ "error_code": code.name() })).unwrap_or_else(|| json!({})),
        })
    }
}

/// From a datagram socket that takes it at once or not at all.
fn send(daemon: SocketAddr, document: &str) -> std::io::Result<usize> {
    let any: SocketAddr = match daemon {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.send_to(document.as_bytes(), daemon)
}

/// In seconds, as X-Ray counts.
fn since_1970(instant: Instant) -> f64 {
    let then = SystemTime::now().checked_sub(instant.elapsed()).unwrap_or(UNIX_EPOCH);
    then.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sampled_header_is_traced() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        let parent = "Parent=53995c3f42cd8ad8";
        let trace = Trace::sampled(&format!("{root};{parent};Sampled=1;Lineage=25:a87bd80c:1")).expect("sampled");
        assert_eq!(
            (trace.root.as_str(), trace.parent.as_str()),
            ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8")
        );
        for other in [
            format!("{root};{parent};Sampled=0"),
            format!("{root};{parent}"),
            format!("{root};Sampled=1"),
            format!("{parent};Sampled=1"),
            format!("{root}\n\"x;{parent};Sampled=1"),
            String::new(),
        ] {
            assert!(Trace::sampled(&other).is_none(), "{other}");
        }
    }
}
