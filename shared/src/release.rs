//! Which release this is. The workspace's Cargo.toml says it; tests hold the template,
//! `openapi.yaml` and the changelog to it.

/// The version of both functions and of the template, as `MAJOR.MINOR.PATCH`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How calls to AWS name this project in their User-Agent (`app/…`), which CloudTrail keeps:
/// at most 50 of the characters that the SDK takes for an app name, so no slash.
pub const APP_NAME: &str = concat!("sagemaker-external-", env!("CARGO_PKG_VERSION"));
