//! The SDK's configuration and the one HTTP client of a function.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};

/// Idle connections are dropped before AWS's front ends drop them (about 20 s
/// for the shortest-lived), so that a thawed function rarely meets a dead one.
const IDLE: Duration = Duration::from_secs(15);

/// One connection pool for every client of the process: rustls with ring (its
/// first handshake costs a tenth of aws-lc's), no proxies, no redirects (S19).
pub fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).pool_idle_timeout(IDLE).build_https()
}

/// The same stack for a request of one's own, outside an SDK client.
pub fn http_connector() -> SharedHttpConnector {
    SharedHttpConnector::new(Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build())
}

/// Region, credentials and endpoint overrides from Lambda's environment only:
/// no profile files, no instance metadata, nothing else to look for at start.
pub async fn config(http: &SharedHttpClient) -> SdkConfig {
    // The SDK panics at a set of no files at all; an empty text is one.
    let no_files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, "").build();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(std::env::var("AWS_REGION").ok().map(Region::new))
        .credentials_provider(aws_config::environment::EnvironmentVariableCredentialsProvider::new())
        .profile_files(no_files)
        .http_client(http.clone())
        .load()
        .await
}
