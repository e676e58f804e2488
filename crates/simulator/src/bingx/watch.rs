//! What happens with nobody asking: prices cross those of waiting orders, and the dead man's time comes.

use std::time::Duration;

use actix_web::web::Data;
use web::CancellationToken;

use crate::faults::{FaultKind, FaultTarget};
use crate::world::{World, now_ms};

const EVERY: Duration = Duration::from_secs(1);

/// Looks at open orders once a second until the simulator stops.
pub(crate) async fn watch(world: Data<World>, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = cancel.cancelled() => return,
        }
        let hold_rests = world.faults.is_on(FaultTarget::Bingx, FaultKind::PartialFill);
        // What could not be kept has been logged, and is tried again in a second.
        let _ = world.bingx.look(&world.market, hold_rests, now_ms()).await;
    }
}
