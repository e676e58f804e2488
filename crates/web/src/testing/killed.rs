//! A process that is killed at a step of its work.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Work that is dropped where it stands after so many steps: a process that is killed there.
#[derive(Debug)]
pub struct Killed<F> {
    work: Option<Pin<Box<F>>>,
    steps: usize,
}

impl<F: Future> Killed<F> {
    /// Drops `work` when it would wait for the `steps + 1`-th time.
    pub fn after(steps: usize, work: F) -> Self {
        Self { work: Some(Box::pin(work)), steps }
    }
}

impl<F: Future> Future for Killed<F> {
    /// None when it was killed.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.steps == 0 => {
                self.work = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.steps -= 1;
                Poll::Pending
            }
        }
    }
}
