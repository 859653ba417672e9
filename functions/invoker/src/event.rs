//! The wire: API Gateway's REST API proxy event (payload format 1.0).
//!
//! Only what is used is read, strings are borrowed where JSON has no escape in
//! them (a base64 body never has one), and a member that is null or of another
//! type counts as absent, so that hardly any event fails before our own code has
//! seen it. Nothing in here is trusted: see [`crate::request`] and
//! [`crate::caller`].

use serde::Deserialize;

use crate::lenient::{Pairs, Text, Texts};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    #[serde(borrow, default)]
    http_method: Text<'a>,
    #[serde(borrow, default)]
    resource: Text<'a>,
    #[serde(borrow, default)]
    path: Text<'a>,
    #[serde(borrow, default)]
    path_parameters: Pairs<'a, Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) headers: Pairs<'a, Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) multi_value_headers: Pairs<'a, Texts<'a>>,
    #[serde(borrow, default)]
    request_context: Option<RequestContext<'a>>,
    #[serde(borrow, default)]
    body: Text<'a>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// What API Gateway itself says about the request; a client writes none of it
/// but `requestId`, which it may set.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext<'a> {
    #[serde(borrow, default)]
    account_id: Text<'a>,
    #[serde(borrow, default)]
    request_id: Text<'a>,
    #[serde(borrow, default)]
    api_id: Text<'a>,
    #[serde(borrow, default)]
    identity: Option<Identity<'a>>,
    #[serde(borrow, default)]
    authorizer: Option<Authorizer<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(borrow, default)]
    user_arn: Text<'a>,
    #[serde(borrow, default)]
    cognito_identity_id: Text<'a>,
    #[serde(borrow, default)]
    api_key_id: Text<'a>,
}

#[derive(Deserialize)]
struct Authorizer<'a> {
    #[serde(borrow, default)]
    claims: Pairs<'a, Text<'a>>,
}

impl<'a> Event<'a> {
    /// The event, or nothing when it is not a proxy event at all.
    pub fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Upper-case HTTP method; empty when absent.
    pub fn method(&self) -> &str {
        self.http_method.as_str()
    }

    /// The route's template, such as `/endpoints/{name}/invocations`.
    pub fn resource(&self) -> &str {
        self.resource.as_str()
    }

    /// The path as the client wrote it, without the stage.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    /// A path parameter, as API Gateway decoded it.
    pub fn path_parameter(&self, name: &str) -> Option<&str> {
        self.path_parameters.get(name)
    }

    pub fn request_context(&self) -> Option<&RequestContext<'a>> {
        self.request_context.as_ref()
    }

    /// The body as sent: text, or base64 of bytes when the flag says so.
    pub fn body(&self) -> (&str, bool) {
        (self.body.as_str(), self.is_base64_encoded.unwrap_or(false))
    }
}

impl RequestContext<'_> {
    /// The account that owns the API.
    pub fn account_id(&self) -> Option<&str> {
        self.account_id.get()
    }

    /// The id that the client sees as `x-amzn-RequestId`; a client may choose it.
    pub fn unverified_request_id(&self) -> Option<&str> {
        self.request_id.get()
    }

    /// The API's own id.
    pub fn api_id(&self) -> Option<&str> {
        self.api_id.get()
    }

    /// The id of the API key that the request came with; never the key.
    pub fn api_key_id(&self) -> Option<&str> {
        self.identity.as_ref().and_then(|identity| identity.api_key_id.get())
    }

    /// Of an IAM-signed request: the signer's ARN.
    pub fn user_arn(&self) -> Option<&str> {
        self.identity.as_ref().and_then(|identity| identity.user_arn.get())
    }

    /// Of a request signed with an identity pool's credentials: whose they are.
    pub fn cognito_identity_id(&self) -> Option<&str> {
        self.identity.as_ref().and_then(|identity| identity.cognito_identity_id.get())
    }

    /// A claim of the token that a user pool authorizer has verified.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.authorizer.as_ref().and_then(|authorizer| authorizer.claims.get(name))
    }
}
