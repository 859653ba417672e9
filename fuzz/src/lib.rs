//! What must hold of every input, one function for each kind of it.
//!
//! A target gets any bytes, makes of them what the function under test reads, and
//! panics where something does not hold. `make fuzz` lets libFuzzer look for such
//! inputs; the tests play all that are kept in `corpus`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target says by a panic that something does not hold"
)]

mod api_gateway;
mod arns;
mod cloudformation;
mod grants;
mod headers;
mod names;
mod policies;
mod properties;
mod response_url;
mod streams;
mod untyped;

pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// In the order of `make fuzz`.
pub const TARGETS: [Target; 12] = [
    Target { name: "cloudformation_event", run: cloudformation::event },
    Target { name: "api_gateway_event", run: api_gateway::event },
    Target { name: "headers", run: headers::event },
    Target { name: "arn", run: arns::any },
    Target { name: "name", run: names::any },
    Target { name: "pattern", run: names::patterns },
    Target { name: "policy_document", run: policies::document },
    Target { name: "role_properties", run: properties::role },
    Target { name: "group_properties", run: properties::group },
    Target { name: "grants", run: grants::setting },
    Target { name: "response_url", run: response_url::url },
    Target { name: "response_stream", run: streams::relay },
];

/// The input as text, for targets that read nothing else.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A refusal is one line for people, however long and odd what was refused.
fn is_sentence(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_control()) && text.len() < 2000
}
