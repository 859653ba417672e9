//! The Lambda function: clients once, then one event after the other.

use aws_sdk_iam::config::retry::RetryConfig;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use provisioner::handler::{Invocation, Provisioner, Settings};
use provisioner::iam::Iam;
use sagemaker_external::{aws, telemetry};
use serde_json::Value;

/// More tries than the SDK's three: a stack's deployment makes IAM throttle (U22).
const IAM_ATTEMPTS: u32 = 8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let http = aws::http_client();
    let config = aws::config(&http).await;
    let retries = RetryConfig::adaptive().with_max_attempts(IAM_ATTEMPTS);
    let iam = aws_sdk_iam::config::Builder::from(&config).retry_config(retries).build();
    let provisioner = Provisioner::new(
        Iam::new(aws_sdk_iam::Client::from_conf(iam)),
        aws::http_connector(),
        Settings::read(|name| std::env::var(name).ok()),
    );
    let provisioner = &provisioner;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        let invocation = Invocation::new(&event.context.invoked_function_arn, event.context.deadline);
        provisioner.handle(&event.payload, &invocation).await;
        Ok::<(), Error>(())
    }))
    .await
}
