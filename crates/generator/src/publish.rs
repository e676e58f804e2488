//! What was made is published: the outbox hands each symbol's signals to the bus in their order, in the trace in which
//! they were made, whether or not the bus is there at the moment.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use storage::outbox::{Entry, Undelivered};
use web::CancellationToken;

use crate::making::Maker;

/// Publishes a payload under a key to [`domain::SIGNALS_TOPIC`]; it is there for good when that is `Ok`.
pub type Publish = Rc<dyn Fn(String, String) -> LocalBoxFuture<'static, Result<(), Undelivered>>>;

/// Delivers until the service stops.
pub(crate) async fn deliver(maker: Maker, publish: Publish, stop: CancellationToken) {
    let outbox = maker.outbox.clone();
    outbox.run(stop, async |entry| hand_over(&maker, &publish, entry).await).await;
}

/// Publishes one signal and writes that down, before the outbox lets go of it: a process that dies in between publishes it
/// once more, under the same id.
async fn hand_over(maker: &Maker, publish: &Publish, entry: Entry) -> Result<(), Undelivered> {
    let Entry { group, key, payload, .. } = entry;
    let published = publish(group, payload.to_string()).await;
    let written = match &published {
        Ok(()) => maker.signals.published(&key).await,
        Err(Undelivered::Never(reason)) => maker.signals.refused(&key, reason).await,
        Err(Undelivered::Later(_)) => return published,
    };
    maker.changed.notify_one();
    written
        .map_err(|error| Undelivered::Later(format!("what became of the signal cannot be written down: {error}")))?;
    published
}
