//! The Lambda function: clients once, then one event after the other.

use aws_sdk_iam::config::AppName;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use provisioner::handler::{Invocation, Provisioner, Settings};
use provisioner::iam::{self, Iam};
use sagemaker_external::{aws, release, telemetry};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let http = aws::http_client();
    let config = aws::config(&http).await;
    let mut client = aws_sdk_iam::config::Builder::from(&config).retry_config(iam::retries());
    client.set_app_name(AppName::new(release::APP_NAME).ok());
    let provisioner = Provisioner::new(
        Iam::new(aws_sdk_iam::Client::from_conf(client.build())),
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
