//! What the function's environment says of IAM.

use std::collections::BTreeMap;

use aws_sdk_iam::Client;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use provisioner::aws;

use crate::iam::Iam;
use crate::stage::ACCOUNT;

/// As Lambda sets it, with more.
fn environment(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let lambda = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
    ];
    lambda.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The URI of a call in such an environment and its Authorization; an error where none was
/// sent.
async fn call(environment: &BTreeMap<String, String>) -> Result<(String, String), String> {
    let iam = Iam::new(ACCOUNT);
    let config = aws::config(|name| environment.get(name).cloned(), &SharedHttpConnector::new(iam.clone()));
    let failed = Client::from_conf(config).get_role().role_name("r").send().await.unwrap_err();
    if failed.as_service_error().is_none() {
        return Err(format!("{failed:?}"));
    }
    let sent = iam.world().last_request.clone();
    Ok(sent)
}

/// U38, and the SDKs' own variables: the service's stands before the general one.
#[tokio::test(start_paused = true)]
async fn u38_the_environment_says_where_iam_is() {
    let (general, own) = ("http://127.0.0.1:4566", "http://127.0.0.1:4567");
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[], "https://iam.amazonaws.com/"),
        (&[("AWS_ENDPOINT_URL", general)], "http://127.0.0.1:4566/"),
        (&[("AWS_ENDPOINT_URL", general), ("AWS_ENDPOINT_URL_IAM", own)], "http://127.0.0.1:4567/"),
        (&[("AWS_ENDPOINT_URL", ""), ("AWS_ENDPOINT_URL_IAM", "")], "https://iam.amazonaws.com/"),
        (&[("AWS_USE_FIPS_ENDPOINT", "true")], "https://iam-fips.amazonaws.com/"),
        (&[("AWS_USE_DUALSTACK_ENDPOINT", "TRUE")], "https://iam.global.api.aws/"),
        (&[("AWS_REGION", "us-gov-west-1")], "https://iam.us-gov.amazonaws.com/"),
    ];
    for (more, url) in cases {
        let (uri, authorization) = call(&environment(more)).await.unwrap();
        assert!(uri.starts_with(url), "{more:?}: {uri}");
        assert!(authorization.contains("Credential=AKIDENVIRONMENT/"), "{more:?}: {authorization}");
        assert!(authorization.contains("x-amz-security-token"), "{more:?}: {authorization}");
    }
}

/// Nothing is asked without credentials, or unsigned.
#[tokio::test(start_paused = true)]
async fn without_credentials_nothing_is_sent() {
    for missing in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        let mut environment = environment(&[]);
        environment.remove(missing);
        call(&environment).await.unwrap_err();
    }
}
