//! The Lambda function: clients once, then one event after the other.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use provisioner::aws;
use provisioner::handler::{Invocation, Provisioner, Settings};
use provisioner::iam::Iam;
use sagemaker_external::{telemetry, transport};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variable = |name: &str| std::env::var(name).ok();
    let connector = transport::connector();
    let client = aws_sdk_iam::Client::from_conf(aws::config(variable, &connector));
    let provisioner = Provisioner::new(Iam::new(client), connector, Settings::read(variable));
    let provisioner = &provisioner;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        let invocation = Invocation::new(&event.context.invoked_function_arn, event.context.deadline);
        provisioner.handle(&event.payload, &invocation).await;
        Ok::<(), Error>(())
    }))
    .await
}
