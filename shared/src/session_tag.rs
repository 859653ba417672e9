//! The tags of a session that names its caller: the invoker sets them, the parent's trust
//! admits no others.

/// The caller, whole.
pub const CALLER: &str = "Caller";
/// The API that was called.
pub const API_ID: &str = "ApiId";
/// The request that assumed the role.
pub const REQUEST_ID: &str = "RequestId";
/// The API key that the request came with.
pub const API_KEY_ID: &str = "ApiKeyId";

/// All of them, in the order of the alphabet.
pub const ALL: [&str; 4] = [API_ID, API_KEY_ID, CALLER, REQUEST_ID];
