//! An answer that is handed on as it comes.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use bytes::Bytes;
use futures_util::stream::{LocalBoxStream, unfold};
use futures_util::{Stream, StreamExt as _};
use tracing::Span;

use super::call::{Response, broken_off};
use super::{UpstreamError, UpstreamErrorKind};

/// A 2xx answer whose body is still coming. The call's span lasts as long as this does.
#[must_use = "dropping it ends the call"]
pub struct UpstreamStream {
    /// Who answers.
    pub upstream: &'static str,
    /// The status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    body: LocalBoxStream<'static, Result<Bytes, UpstreamError>>,
}

impl UpstreamStream {
    /// Takes the body of an answer, which belongs to the current span.
    pub(super) fn of(upstream: &'static str, response: Response, idle: Duration) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { upstream, status, headers, body: pieces(upstream, response, idle).boxed_local() }
    }

    /// The body, piece by piece. It ends with an error when the answer breaks off or the next piece does not come in time.
    #[must_use]
    pub fn into_body(self) -> LocalBoxStream<'static, Result<Bytes, UpstreamError>> {
        self.body
    }
}

fn pieces(
    upstream: &'static str,
    response: Response,
    idle: Duration,
) -> impl Stream<Item = Result<Bytes, UpstreamError>> + 'static {
    let span = Span::current();
    // The client below takes a connection that ends for the end of the body: where a length was announced, it is held to
    // it. A chunked answer that breaks off cannot be told from one that ends.
    let announced = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    unfold(Some((response, span, announced)), move |state| async move {
        let (mut response, span, left) = state?;
        let kind = match tokio::time::timeout(idle, response.next()).await {
            Ok(None) => match left {
                None | Some(0) => return None,
                Some(_) => UpstreamErrorKind::Broken("the answer broke off".to_owned()),
            },
            Ok(Some(Ok(piece))) => {
                let left = left.map(|left| left.saturating_sub(piece.len()));
                return Some((Ok(piece), Some((response, span, left))));
            }
            Ok(Some(Err(error))) => broken_off(&error),
            Err(_elapsed) => UpstreamErrorKind::Timeout,
        };
        span.record("otel.status_code", "ERROR");
        span.record("error.type", kind.label());
        span.in_scope(|| tracing::warn!(upstream, error = %kind, "an answer that was handed on did not end"));
        Some((Err(UpstreamError { upstream, kind, attempts: 1 }), None))
    })
    .fuse()
}
