//! What was made is published: the outbox hands each symbol's signals to the bus in their order, in the trace in which
//! they were made, whether or not the bus is there at the moment.

use std::rc::Rc;
use std::time::Duration;

use bus::{Bus, BusError, NewMessage};
use domain::SIGNALS_TOPIC;
use futures_util::future::LocalBoxFuture;
use storage::outbox::{Entry, Undelivered};
use web::CancellationToken;

use crate::making::Maker;

/// Publishes a payload under a key to [`SIGNALS_TOPIC`]; it is there for good when that is `Ok`.
pub type Publish = Rc<dyn Fn(String, String) -> LocalBoxFuture<'static, Result<(), Undelivered>>>;

/// How much longer than publishing and the writing of it a delivery may take.
pub(crate) const SPARE: Duration = Duration::from_secs(2);

/// Publishes on a bus.
pub(crate) fn on(bus: Bus) -> Publish {
    Rc::new(move |key, payload| {
        let bus = bus.clone();
        Box::pin(async move {
            let message = NewMessage::new(key, payload).with_header("content-type", "application/json");
            bus.publish(SIGNALS_TOPIC, message).await.map_err(|error| undelivered(&error))
        })
    })
}

/// Only what is wrong with the signal itself is the last word: a bus that is away comes back, and one that is set up
/// wrongly is mended by a person.
fn undelivered(error: &BusError) -> Undelivered {
    match error {
        BusError::TooLarge { .. } | BusError::Refused { .. } => Undelivered::Never(error.to_string()),
        _ => Undelivered::Later(error.to_string()),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_the_signal_is_the_last_word() {
        let reason = || "why".to_owned();
        for never in [BusError::TooLarge { size: 2, limit: 1 }, BusError::Refused { reason: reason() }] {
            assert_eq!(undelivered(&never), Undelivered::Never(never.to_string()));
        }
        for later in [
            BusError::Unavailable { reason: reason() },
            BusError::Timeout { reason: reason() },
            BusError::Broken { reason: reason() },
        ] {
            assert_eq!(undelivered(&later), Undelivered::Later(later.to_string()));
        }
    }
}
