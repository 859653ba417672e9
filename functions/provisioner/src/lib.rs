//! CloudFormation custom resources that make, change and remove the two IAM
//! halves of a SageMaker grant: `Custom::SageMakerExternalRole` in the account
//! that owns the endpoint, `Custom::SageMakerExternalGroup` in the one that calls it;
//! and `Custom::SageMakerExternalGrants`, which checks an invoker's setting.
//!
//! `main → handler → lifecycle (with removal, apply and patience) → the rest`. `request`, `response_url`, `properties`, `owner`, `ownership`,
//! `role`, `trust`, `authority`, `bounds`, `role_plan`, `trust_plan`, `rights`, `role_retire`, `adopt`, `pack`, `distrust`, `group`, `member`, `grants`, `found` and `step` are pure; `iam` and `callback` have the
//! effects, one service each.

mod adopt;
mod apply;
pub mod authority;
pub mod aws;
mod bounds;
pub mod callback;
pub mod code;
mod distrust;
pub mod error;
pub mod found;
pub mod grants;
pub mod group;
pub mod group_half;
pub mod group_plan;
pub mod half;
pub mod handler;
pub mod iam;
pub mod lifecycle;
pub mod member;
pub mod owner;
pub mod ownership;
mod pack;
mod patience;
pub mod progress;
pub mod properties;
mod removal;
mod report;
pub mod request;
pub mod response_url;
mod rights;
pub mod role;
pub mod role_plan;
pub mod role_retire;
pub mod step;
pub mod trust;
mod trust_plan;
