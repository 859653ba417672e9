//! The invoker's process: clients once, then one request after the other.

use invoker::handler::Invoker;
use invoker::runtime;
use invoker::settings::Settings;
use sagemaker_external::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let settings = Settings::of(|name| std::env::var(name).ok());
    let config = aws::config(&aws::http_client()).await;
    runtime::run(Invoker::new(&config, settings)).await
}
