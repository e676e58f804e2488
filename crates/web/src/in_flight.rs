//! How many requests a service works on at the same time, over all its worker threads.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for requests; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct InFlight(Arc<Semaphore>);

/// A request's place, given back when it is dropped, also when its client went away.
#[derive(Debug, Default)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

impl InFlight {
    pub(crate) fn new(places: u32) -> Self {
        Self(Arc::new(Semaphore::new(places as usize)))
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Place> {
        self.0.clone().try_acquire_owned().ok().map(|permit| Place(Some(permit)))
    }
}

tokio::task_local! {
    static HELD: Arc<Place>;
}

/// Works on a request that holds this place.
pub(crate) fn holding<F: Future>(place: Place, work: F) -> impl Future<Output = F::Output> {
    HELD.scope(Arc::new(place), work)
}

/// The place of the request that is being worked on, to be held on to by work that outlives it.
pub(crate) fn held() -> Option<Arc<Place>> {
    HELD.try_with(Arc::clone).ok()
}
