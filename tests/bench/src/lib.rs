//! The bench: what is measured stands in `src/bin` and in the functions, how in here.
//!
//! One environment of Lambda is one child process between a Runtime API and a backend
//! (STS and SageMaker Runtime) of its own, all on loopback. The servers run on plain
//! threads and blocking sockets, so that little of what is timed is theirs.

pub mod backend;
pub mod contestants;
pub mod environment;
pub mod events;
pub mod http;
pub mod measure;
pub mod pattern;
pub mod results;
pub mod runtime_api;
pub mod server;
pub mod stats;
pub mod tls;

/// The bench's own failures are for whoever runs it: text is enough.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;
