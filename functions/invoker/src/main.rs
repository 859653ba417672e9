//! The invoker's process: clients once, then one request after the other.

use invoker::grants::Grants;
use invoker::handler::Invoker;
use invoker::runtime;
use sagemaker_external::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let region = std::env::var("AWS_REGION").unwrap_or_default();
    let grants = Grants::parse(std::env::var("GRANTS").ok().as_deref(), &region);
    let config = aws::config(&aws::http_client()).await;
    runtime::run(Invoker::new(&config, grants)).await
}
