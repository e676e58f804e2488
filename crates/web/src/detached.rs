//! Work that goes on when its caller hangs up.

use std::future::Future;

use opentelemetry::trace::FutureExt as _;
use tracing::Instrument as _;

use crate::Problem;

/// Runs `work` on a task of its own, in the current span and context, and waits for it: a client that hangs up, or a
/// time limit that runs out, does not stop half-way what was asked for.
///
/// # Errors
/// When the work panicked.
pub async fn detached<T: 'static>(work: impl Future<Output = T> + 'static) -> Result<T, Problem> {
    let context = opentelemetry::Context::current();
    // Work that goes on is still work: without its place, clients that hang up could start any amount of it.
    let place = crate::in_flight::held();
    let work = async move {
        let done = work.await;
        drop(place);
        done
    };
    actix_web::rt::spawn(work.in_current_span().with_context(context)).await.map_err(|error| {
        tracing::error!(error = %error, "the request's task ended early");
        Problem::internal()
    })
}
