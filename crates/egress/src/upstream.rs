//! A proxy that this one has to go through.

use std::fmt;

use base64::Engine as _;
use http::HeaderValue;
use ringfence_policy::Upstream;
use zeroize::Zeroizing;

/// The upstream proxy with the credentials for it, which come from the environment or a file and never from a command line.
#[derive(Clone)]
pub struct UpstreamProxy {
    pub(crate) upstream: Upstream,
    authorization: Option<Zeroizing<String>>,
}

impl UpstreamProxy {
    /// An upstream that asks for no credentials.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream, authorization: None }
    }

    /// With `user:password` for Basic authentication (RFC 7617).
    #[must_use]
    pub fn with_credentials(self, credentials: &str) -> Self {
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        Self { authorization: Some(Zeroizing::new(format!("Basic {encoded}"))), ..self }
    }

    /// The value of `Proxy-Authorization`, marked so that nothing prints it.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(self.authorization.as_ref()?).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for UpstreamProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamProxy")
            .field("upstream", &self.upstream)
            .field("authorization", &self.authorization.as_ref().map(|_| "…"))
            .finish()
    }
}
