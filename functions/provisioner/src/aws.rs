//! The SDK's configuration, from what Lambda puts into the environment.

use aws_sdk_iam::Config;
use aws_sdk_iam::config::{AppName, BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use sagemaker_external::release::APP_NAME;

use crate::iam;

/// For a client of IAM. Reads the SDKs' variables that Lambda sets or a function's owner may
/// set (AWS SDKs and Tools Reference Guide): `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL_IAM`, `AWS_ENDPOINT_URL`,
/// `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`. `variable` looks one up. No profile
/// files, no instance metadata: there is nothing else to look for, and aws-config, which
/// would, made up a sixth of the whole function.
pub fn config(variable: impl Fn(&str) -> Option<String>, connector: &SharedHttpConnector) -> Config {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    let is_on = |name: &str| given(name).map(|value| value.eq_ignore_ascii_case("true"));
    let key = given("AWS_ACCESS_KEY_ID").zip(given("AWS_SECRET_ACCESS_KEY"));
    let credentials = key.map(|(id, secret)| Credentials::new(id, secret, given("AWS_SESSION_TOKEN"), None, "Lambda"));
    let connector = connector.clone();
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(given("AWS_REGION").map(Region::new))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .retry_config(iam::retries());
    config.set_app_name(AppName::new(APP_NAME).ok());
    config.set_credentials_provider(credentials.map(aws_sdk_iam::config::SharedCredentialsProvider::new));
    config.set_endpoint_url(given("AWS_ENDPOINT_URL_IAM").or_else(|| given("AWS_ENDPOINT_URL")));
    config.set_use_fips(is_on("AWS_USE_FIPS_ENDPOINT"));
    config.set_use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"));
    config.build()
}
