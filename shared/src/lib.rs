//! The vocabulary that both functions share: names, ARNs, policy documents, grants,
//! what a failure means, how AWS is connected to, the release, and the logs with their
//! metrics.
//!
//! Everything here parses at the edge: a value of one of these types cannot be
//! wrong, so nothing behind it checks again. No SDK service crate stands here.

#![warn(missing_docs)]

pub mod api_arn;
pub mod arn;
pub mod codes;
pub mod failure;
pub mod grants;
pub mod line;
pub mod location;
pub mod name;
pub mod pattern;
pub mod policy;
pub mod release;
pub mod session_tag;
pub mod telemetry;
pub mod transport;

pub use name::Invalid;
