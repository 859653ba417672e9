//! What a caller can do about a call that may have run, by operation.

use crate::operation::Operation;

/// Only the client can say whether the model may run again.
pub(crate) fn ran(operation: Operation) -> &'static str {
    match operation {
        Operation::InvokeEndpointAsync => {
            "it may have queued the request, and this API tried nothing again; look for its output before you call again"
        }
        Operation::InvokeEndpoint | Operation::InvokeEndpointWithResponseStream => {
            "it may have run, and this API tried nothing again; see what it did before you call again"
        }
    }
}

/// What makes the next call end before the deadline.
pub(crate) fn sooner(operation: Operation) -> &'static str {
    match operation {
        Operation::InvokeEndpoint => {
            "; make the model faster, or call it asynchronously if it needs more than the 60 s that SageMaker gives it"
        }
        Operation::InvokeEndpointWithResponseStream => "; make the model begin its answer sooner",
        // It waits for no model.
        Operation::InvokeEndpointAsync => "",
    }
}
