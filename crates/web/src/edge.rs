//! The edge of the system: where strangers call, and not only services of ours.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::ServiceRequest;

/// Marks a service that strangers call, when it is among its application data: a caller's trace that is not sampled is
/// not continued there, and the spans' `client.address` is what the service says it is.
///
/// Services behind the edge follow the trace they are handed, whatever it says: the edge has decided.
#[derive(Clone)]
pub struct Edge {
    client_address: Arc<dyn Fn(&ServiceRequest) -> IpAddr + Send + Sync>,
}

impl Edge {
    /// An edge that knows who a request comes from: the peer may be a proxy of its own.
    #[must_use]
    pub fn new(client_address: impl Fn(&ServiceRequest) -> IpAddr + Send + Sync + 'static) -> Self {
        Self { client_address: Arc::new(client_address) }
    }

    /// The edge that this request has come to, if it is one.
    pub(crate) fn of(request: &ServiceRequest) -> Option<&Self> {
        request.app_data::<Self>()
    }

    /// Who the request comes from.
    pub(crate) fn client_address(&self, request: &ServiceRequest) -> IpAddr {
        (self.client_address)(request)
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").finish_non_exhaustive()
    }
}
