//! Keeps pages of others out of a service that only this machine can reach.
//!
//! A page whose name suddenly leads to this machine (DNS rebinding) is asked for by this machine's own browser, which then
//! counts its calls as calls of the same page. Such a call still says the page's name in `Host`.

use std::net::IpAddr;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;

use utoipa::openapi::OpenApi;

use crate::described::add;
use crate::root_span::is_probe;
use crate::{Problem, is_local_name};

/// Which routes of a service answer under this machine's own names only, where the service listens on a loopback address.
/// A service says so with `routes.app_data(LocalNames::everywhere())`; one that listens elsewhere is reached by other names,
/// and nothing changes for it. Health, metrics and the API description answer under every name.
#[derive(Debug, Clone)]
pub struct LocalNames {
    open: &'static [&'static str],
}

impl LocalNames {
    /// Every route.
    #[must_use]
    pub const fn everywhere() -> Self {
        Self { open: &[] }
    }

    /// Every route but these exact paths, which a proxy hands on under a public name.
    #[must_use]
    pub const fn except(open: &'static [&'static str]) -> Self {
        Self { open }
    }

    /// A description with 403 `foreign_host` at every path that is guarded, and does not say something else of 403.
    #[must_use]
    pub fn described(&self, mut description: OpenApi) -> OpenApi {
        let words = "`foreign_host`: a service that listens on this machine only was called by another name than localhost, \
                     127.0.0.1 or [::1]";
        for (_, item) in description.paths.paths.iter_mut().filter(|(path, _)| self.guards(path)) {
            add(item, "403", words);
        }
        description
    }

    /// The path is compared as it was sent: one that is written in another way (`%2F`, a slash more) is not open.
    fn guards(&self, path: &str) -> bool {
        !is_probe(path) && path != "/openapi.json" && !self.open.contains(&path)
    }
}

/// Where the server listens; the middleware finds it among the application's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundTo(pub(crate) IpAddr);

/// Refuses calls that name this machine otherwise than by a name of its own, where [`LocalNames`] says so.
pub(crate) async fn local_names_only(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let near = request.app_data::<BoundTo>().is_some_and(|bound| bound.0.to_canonical().is_loopback());
    let guarded = near && request.app_data::<LocalNames>().is_some_and(|names| names.guards(request.path()));
    if guarded && !is_local_name(request.head()) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            "This service listens on this machine only, and answers as localhost, 127.0.0.1 or [::1] only. Call it by one of \
             these names; a proxy in front of it has to send one of them as Host.",
        )
        .into());
    }
    next.call(request).await
}
