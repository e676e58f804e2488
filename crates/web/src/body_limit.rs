//! A time limit for a request's body: a client that sends slowly must not keep a place that others need.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::{Method, StatusCode};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use tokio::time::{Instant, timeout_at};

use crate::Problem;

/// Longest a body may take, from the moment somebody wants to read it; found among the application's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTimeout(pub(crate) Duration);

/// Whether a body took too long. Extractors only know that it could not be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyWatch(Rc<Cell<Option<Duration>>>);

impl BodyWatch {
    /// Bounds the body's time. A WebSocket is no body: it lasts as long as both sides like.
    pub(crate) fn over(request: &mut ServiceRequest) -> Self {
        let watch = Self::default();
        let limit = request.app_data::<BodyTimeout>().copied();
        let websocket = request.method() == Method::GET && request.head().upgrade();
        if let Some(BodyTimeout(limit)) = limit
            && !websocket
        {
            let body = request.take_payload();
            let body = if matches!(body, Payload::None) { body } else { watch.bounded(body, limit) };
            request.set_payload(body);
        }
        watch
    }

    fn bounded(&self, body: Payload, limit: Duration) -> Payload {
        let expired = Rc::clone(&self.0);
        let chunks = unfold(Some((body, None)), move |state| {
            let expired = Rc::clone(&expired);
            async move {
                let (mut body, deadline) = state?;
                let deadline = deadline.unwrap_or_else(|| Instant::now() + limit);
                match timeout_at(deadline, body.next()).await {
                    Ok(chunk) => Some((chunk?, Some((body, Some(deadline))))),
                    Err(_elapsed) => {
                        expired.set(Some(limit));
                        Some((Err(PayloadError::Io(io::ErrorKind::TimedOut.into())), None))
                    }
                }
            }
        });
        // Fused: readers such as multipart's ask again after the end.
        Payload::Stream { payload: chunks.fuse().boxed_local() }
    }

    /// What to tell the client instead, if its body took too long.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let limit = self.0.get()?;
        Some(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            format!("The body took longer than {} ms to arrive.", limit.as_millis()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::web::Bytes;
    use futures_util::stream::{iter, pending};

    use super::*;

    #[actix_web::test]
    async fn a_body_ends_more_than_once() {
        let watch = BodyWatch::default();
        let body = Payload::Stream { payload: iter([Ok(Bytes::from_static(b"all"))]).boxed_local() };
        let mut body = watch.bounded(body, Duration::from_secs(60));
        assert_eq!(body.next().await.unwrap().unwrap(), "all");
        assert!(body.next().await.is_none());
        assert!(body.next().await.is_none());
        assert!(watch.problem().is_none());
    }

    #[actix_web::test]
    async fn a_body_that_took_too_long_is_over() {
        let watch = BodyWatch::default();
        let body = Payload::Stream { payload: pending().boxed_local() };
        let mut body = watch.bounded(body, Duration::from_millis(1));
        assert!(body.next().await.unwrap().is_err());
        assert!(body.next().await.is_none());
        assert_eq!(watch.problem().unwrap().code(), "body_timeout");
    }
}
