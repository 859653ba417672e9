//! The provisioner driven as CloudFormation drives it: events in, one answer out,
//! and a strict stand-in for IAM behind the real SDK client.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(unreachable_pub, reason = "a test crate has no outside; pub marks what its modules share")]

mod adopt;
mod answer;
mod authority;
mod create;
mod delete;
mod denied;
mod drift;
mod dry_run;
mod environment;
mod events;
mod forged;
mod give_back;
mod grants;
mod group;
mod group_api;
mod guards;
mod hazards;
mod iam;
mod large;
mod limits;
mod members;
mod metrics;
mod ownership;
mod principals;
mod random;
mod reads;
mod reference;
mod replace;
mod settle;
mod stage;
mod sweep;
mod switched_off;
mod trips;
mod update;
mod vanished;
mod wire;
