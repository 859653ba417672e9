//! The three operations through the API with the Rust SDK's own client.
//!
//! ```text
//! API_URL=https://API.execute-api.REGION.amazonaws.com/v1 AWS_REGION=REGION \
//!     cargo run --locked -p invoker --example rust_sdk -- ENDPOINT BODY [s3://BUCKET/INPUT]
//! ```
//!
//! Credentials come from the environment (`AWS_ACCESS_KEY_ID` and so on). The client
//! is SageMaker Runtime's as it is; what API Gateway needs is its own name in the
//! signature, which an endpoint resolver gives.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_sagemakerruntime::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sagemakerruntime::primitives::Blob;
use aws_sdk_sagemakerruntime::types::ResponseStream;
use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_types::endpoint::EndpointAuthScheme;
use sagemaker_external::transport;

#[derive(Debug)]
struct Api {
    url: String,
    region: String,
}

impl ResolveEndpoint for Api {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        let signature = EndpointAuthScheme::with_capacity("sigv4", 2)
            .put("signingName", "execute-api")
            .put("signingRegion", self.region.clone());
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.url.clone()).auth_scheme(signature).build()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(endpoint), Some(body)) = (arguments.next(), arguments.next()) else {
        return Err("give an endpoint's name and a body".into());
    };
    let input = arguments.next().unwrap_or("s3://bucket/input".to_owned());
    let region = std::env::var("AWS_REGION")?;
    let (key, secret) = (std::env::var("AWS_ACCESS_KEY_ID")?, std::env::var("AWS_SECRET_ACCESS_KEY")?);
    let token = std::env::var("AWS_SESSION_TOKEN").ok();
    let connector = transport::connector();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .credentials_provider(Credentials::new(key, secret, token, None, "environment"))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .endpoint_resolver(Api { url: std::env::var("API_URL")?, region });
    let client = Client::from_conf(config.build());

    let answer = client.invoke_endpoint().endpoint_name(&endpoint).body(Blob::new(body.clone())).send().await?;
    println!("InvokeEndpoint: {}", text(answer.body));

    let call = client.invoke_endpoint_with_response_stream().endpoint_name(&endpoint).body(Blob::new(body));
    let mut stream = call.send().await?.body;
    let mut parts = Vec::new();
    while let Some(event) = stream.recv().await? {
        if let ResponseStream::PayloadPart(part) = event {
            parts.push(text(part.bytes));
        }
    }
    println!("InvokeEndpointWithResponseStream: {}", parts.join("|"));

    let answer = client.invoke_endpoint_async().endpoint_name(&endpoint).input_location(input).send().await?;
    let id = answer.inference_id.unwrap_or_default();
    println!("InvokeEndpointAsync: {id} {}", answer.output_location.unwrap_or_default());
    Ok(())
}

fn text(bytes: Option<Blob>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_else(|| Blob::new([])).as_ref()).trim_end().to_owned()
}
