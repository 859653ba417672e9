//! SageMaker Runtime's own wire behind API Gateway: per request it assumes the
//! parent's role and calls the endpoint, and the answer streams back.
//!
//! `main → runtime → handler → everything else`. [`event`], [`headers`],
//! [`operation`], [`rule`], [`request`], [`settings`], [`grants`], [`caller`],
//! [`attribution`], [`session`], [`payload`], [`form`], [`stream`], [`code`] and [`finding`] are
//! pure: no tokio, no client, no clock. STS is called in [`assume`] and SageMaker Runtime
//! in [`endpoint`] only, whose errors `refusal` reads; [`aws`] signs, and [`transport`] sends. A request is told, in the
//! log with its metrics and to X-Ray, when [`watched`] sees its answer end.

mod advice;
pub mod assume;
pub mod attribution;
pub mod aws;
pub mod body;
pub mod caller;
pub mod code;
pub mod deadline;
pub mod doctor;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod finding;
pub mod form;
mod granted;
pub mod handler;
pub mod headers;
mod lenient;
pub mod operation;
mod owners;
pub mod pace;
pub mod payload;
mod plain;
mod posting;
pub mod record;
mod refusal;
pub mod request;
pub mod response;
pub mod reuse;
pub mod rule;
pub mod runtime;
pub mod session;
pub mod settings;
mod sse_tracker;
pub mod stream;
mod trace;
pub mod transport;
pub mod watched;

pub use sagemaker_external::grants;
