//! The invoker's process: connections first, then one request after the other.

use std::sync::Arc;

use invoker::aws::Aws;
use invoker::handler::Invoker;
use invoker::runtime;
use invoker::settings::Settings;
use invoker::transport::Pool;
use sagemaker_external::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let variable = |name: &str| std::env::var(name).ok();
    let invoker = Invoker::new(&Aws::of(variable, Arc::new(Pool::default())), Settings::of(variable));
    invoker.prepare().await;
    runtime::run(invoker).await
}
