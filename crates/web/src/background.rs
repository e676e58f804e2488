//! Tasks that run beside the server and end with it.

use std::future::Future;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Tasks of a service. They run on the thread that starts the service and are told to end when it stops.
#[derive(Debug, Default)]
pub struct Background {
    cancel: CancellationToken,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

impl Background {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The token that is cancelled when the service stops.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Runs a task until it ends by itself or its token is cancelled, which it must heed.
    pub fn spawn<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let future = task(self.cancel.clone());
        self.tasks.push((name, actix_web::rt::spawn(future)));
    }

    /// Cancels every task and waits for their ends, `grace` at most; then they are dropped where they stand.
    pub(crate) async fn stop(self, grace: Duration) {
        self.cancel.cancel();
        let deadline = tokio::time::Instant::now() + grace;
        for (name, mut task) in self.tasks {
            match tokio::time::timeout_at(deadline, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.is_panic() => {
                    tracing::error!(task = name, "a background task panicked");
                }
                Ok(Err(_)) => {}
                Err(_) => {
                    tracing::warn!(task = name, "a background task did not end in time and is dropped");
                    task.abort();
                }
            }
        }
    }
}
