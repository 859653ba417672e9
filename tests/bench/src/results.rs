//! What a run found, as `results.json` holds it. Times are in microseconds, memory in
//! KiB, bodies in bytes.

use serde::Serialize;

use crate::contestants::Kind;

#[derive(Serialize)]
pub struct Results {
    pub quick: bool,
    pub warm: Vec<Warm>,
    pub concurrent: Vec<Concurrent>,
    pub cold: Vec<Cold>,
    pub reuse: Option<Reuse>,
    pub streams: Vec<Streamed>,
    pub soak: Option<Soak>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Plain,
    Tls,
}

/// Requests one after the other, in turns with the other contestants.
#[derive(Serialize)]
pub struct Warm {
    pub contestant: Kind,
    pub transport: Transport,
    pub bytes: usize,
    pub p50: f64,
    pub p99: f64,
    pub samples: usize,
    /// The median of each round, in the rounds' order: what one round's ratios are
    /// made of.
    pub rounds: Vec<f64>,
    /// Processor time of a request.
    pub processor: f64,
    pub peak_kib: u64,
    /// Connections that were opened after the first request.
    pub late_connections: usize,
}

/// Several environments at once, each with requests one after the other.
#[derive(Serialize)]
pub struct Concurrent {
    pub contestant: Kind,
    pub environments: usize,
    pub p50: f64,
    pub p99: f64,
    pub samples: usize,
    pub per_second: f64,
}

/// From the spawn of the process to its first answer.
#[derive(Serialize)]
pub struct Cold {
    pub contestant: Kind,
    pub transport: Transport,
    pub p50: f64,
    pub p99: f64,
    pub samples: usize,
}

/// The invoker at 1 KB, without and with credential reuse, beside the no-op.
#[derive(Serialize)]
pub struct Reuse {
    pub off: f64,
    pub on: f64,
    pub noop: f64,
    /// Processor time of a request with reuse.
    pub processor_on: f64,
    pub samples: usize,
    /// AssumeRole calls in as many requests as `samples` and a few more.
    pub assumed_with_reuse: usize,
}

/// One long streamed answer. The model made the second part only once the first had
/// been delivered.
#[derive(Serialize)]
pub struct Streamed {
    pub contestant: Kind,
    pub operation: &'static str,
    pub bytes: usize,
    pub first_byte: f64,
    /// From the first byte to the last.
    pub megabytes_per_second: f64,
    pub samples: usize,
    pub peak_kib: u64,
}

/// The invoker at 1 KB, for long.
#[derive(Serialize)]
pub struct Soak {
    pub requests: usize,
    /// Resident memory after the warm-up and after the last request.
    pub start_kib: u64,
    pub end_kib: u64,
    pub peak_kib: u64,
    pub late_connections: usize,
}
