//! Looking after orders that are not at their end: at the start, every so often, and soon after something was left open.

use std::collections::HashMap;
use std::time::Duration;

use domain::DecisionId;
use domain::trading::{OrderStatus, TradingState};
use futures_util::{StreamExt as _, stream};
use telemetry::metrics::trading::RECONCILIATIONS;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use tracing::{Instrument as _, Span};
use web::CancellationToken;

use super::clock::now;
use super::core::{Trading, continue_trace, ourselves, show};
use super::differences::LastFound;
use super::error::TradingError;
use super::standing::why_unwanted;
use super::state::Standing;
use super::table::Kept;
use super::{gauges, lookups, state};

/// Wait before an open order is looked after for the first time; it doubles with each time that changes nothing.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Longest such wait; the interval of the settings, where that is shorter.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Orders that are looked after at the same time.
const AT_ONCE: usize = 8;

/// Wait before the next look when the database is away.
const AWAY: Duration = Duration::from_secs(1);

/// Wait before a database that is not ready at the start is asked again.
const UNREADY: Duration = Duration::from_millis(100);

/// Since when an order stands as it does, as far as it is looked after here.
struct Watched {
    revision: i64,
    looks: u32,
    due: Instant,
}

/// What is looked after, and when.
struct Watch {
    orders: HashMap<DecisionId, Watched>,
    longest: Duration,
    /// What could be traded at the last look.
    trading: Option<TradingState>,
    /// Positions that the exchange counted otherwise in the last round.
    differences: LastFound,
}

impl Watch {
    fn wait(&self, looks: u32) -> Duration {
        FIRST_WAIT.saturating_mul(1 << looks.min(16)).min(self.longest)
    }

    /// Takes note of what may be traded: once that has changed, every order is due at once, however long it was quiet.
    fn heed(&mut self, trading: TradingState) {
        if self.trading.replace(trading).is_some_and(|before| before != trading) {
            let now = Instant::now();
            self.orders.values_mut().for_each(|watched| (watched.looks, watched.due) = (0, now));
        }
    }

    /// Takes note of what is open; orders that have changed are looked after soon again.
    fn see(&mut self, open: &[Kept]) {
        self.orders.retain(|id, _| open.iter().any(|kept| kept.id() == id));
        let (first, at) = (self.wait(0), Instant::now());
        for kept in open {
            let watched = self.orders.entry(kept.id().clone()).or_insert(Watched {
                revision: kept.order.revision,
                looks: 0,
                due: at + first,
            });
            if watched.revision != kept.order.revision {
                *watched = Watched { revision: kept.order.revision, looks: 0, due: at + first };
            }
            // What has a time of its own needs no look before; after it, looks are apart as all others are.
            if let Some(left) = own_time(kept).and_then(|time| (time - now()).to_std().ok()) {
                watched.due = at + left;
            }
        }
    }

    fn is_due(&self, kept: &Kept) -> bool {
        self.orders.get(kept.id()).is_some_and(|watched| watched.due <= Instant::now())
    }

    fn looked(&mut self, id: &DecisionId) {
        let looks = self.orders.get(id).map_or(0, |watched| watched.looks).saturating_add(1);
        let due = Instant::now() + self.wait(looks);
        if let Some(watched) = self.orders.get_mut(id) {
            (watched.looks, watched.due) = (looks, due);
        }
    }

    fn next(&self) -> Option<Instant> {
        self.orders.values().map(|watched| watched.due).min()
    }
}

/// When an order that waits for something is to be looked after: its confirmation runs out, or its claim.
fn own_time(kept: &Kept) -> Option<chrono::DateTime<chrono::Utc>> {
    if kept.order.awaits_confirmation() {
        return kept.order.confirmation.as_ref().map(|confirmation| confirmation.expires_at);
    }
    kept.claim.map(|claim| claim.until)
}

impl Trading {
    /// Looks after what is open, until the service stops.
    pub(crate) async fn reconcile(self, stop: CancellationToken) {
        let interval = self.core.rules.reconcile_interval;
        // The tables are made beside this. Until then there is nothing to look at, and the database says itself why.
        while self.core.database.ready().await.is_err() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(UNREADY) => {}
            }
        }
        let mut watch = Watch {
            orders: HashMap::new(),
            longest: LONGEST_WAIT.min(interval),
            trading: None,
            differences: LastFound::default(),
        };
        let mut next_round = Instant::now();
        while !stop.is_cancelled() {
            let round = next_round <= Instant::now();
            let looked = tokio::select! {
                // What is begun may be cut off: that is what the whole of it is made for.
                () = stop.cancelled() => return,
                looked = Box::pin(self.look(&mut watch, round)) => looked,
            };
            if round {
                let outcome = if matches!(looked, Ok(true)) { "ok" } else { "failed" };
                RECONCILIATIONS.add(1, &[("outcome", outcome)]);
                next_round = Instant::now() + interval;
            }
            let due = [watch.next(), self.core.fees.next()];
            let mut next = due.into_iter().flatten().fold(next_round, Instant::min);
            if let Err(error) = looked {
                tracing::warn!(error = %error, "open orders cannot be looked after now");
                next = Instant::now() + AWAY;
                // Once the database is back, everything is looked at.
                next_round = next;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.core.kick.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Looks after what is due, or in a full round after everything; whether all of it could be done.
    async fn look(&self, watch: &mut Watch, round: bool) -> Result<bool, TradingError> {
        let core = &*self.core;
        // Looks come every second: each would be a trace of its own.
        let silent = NoSubscriber::default;
        let open = lookups::open(&core.database, core.rules.mode).with_subscriber(silent()).await?;
        let standing = &state::read(&core.database).with_subscriber(silent()).await?;
        state::show(standing.state);
        watch.heed(standing.state);
        watch.see(&open);
        let due: Vec<&Kept> =
            open.iter().filter(|kept| watch.is_due(kept) || (round && own_time(kept).is_none())).collect();
        due.iter().for_each(|kept| watch.looked(kept.id()));
        let looks = due.into_iter().map(|kept| async move {
            let looked = Box::pin(self.look_after(kept.clone(), standing)).await;
            if let Err(error) = &looked {
                tracing::info!(order.id = %kept.id(), error = %error, "an open order is looked after again later");
            }
            looked
        });
        let looked: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        let away = |error: &TradingError| {
            matches!(error, TradingError::Exchange(_) | TradingError::Missing(_) | TradingError::Storage(_))
        };
        Box::pin(self.ask_for_fees(Instant::now())).await;
        let mut all_done = !looked.iter().any(|looked| looked.as_ref().is_err_and(away));
        if round {
            gauges::positions(&core.database, &core.rules).with_subscriber(silent()).await?;
            let compared = Box::pin(self.compare_positions(&mut watch.differences)).with_subscriber(silent()).await;
            if let Err(error) = &compared {
                tracing::info!(error = %error, "the exchange's positions cannot be compared now");
                all_done = false;
            }
        }
        let open = lookups::open(&core.database, core.rules.mode).with_subscriber(silent()).await?;
        gauges::open_orders(&open);
        watch.see(&open);
        Ok(all_done)
    }

    async fn look_after(&self, kept: Kept, standing: &Standing) -> Result<(), TradingError> {
        let at_exchange = matches!(kept.order.status, OrderStatus::Submitted | OrderStatus::PartiallyFilled);
        let unwanted = kept.is_unwanted(standing.state) || kept.cancel_by.is_some();
        if at_exchange && !unwanted {
            // Most of these questions say nothing new; only what does is worth a span.
            let answer = self.core.exchange.query(&kept.order.symbol, kept.id());
            let answer = answer.with_subscriber(NoSubscriber::default()).await;
            let known = (kept.order.status, kept.order.filled_quantity, kept.order.fee);
            if let Ok(report) = &answer
                && (report.status.unwrap_or(known.0), report.filled, report.fee) == known
            {
                return Ok(());
            }
            return Box::pin(traced(&kept.clone(), self.answered(kept, answer))).await;
        }
        let id = kept.id().clone();
        // Whoever wants it back first, or else whoever has halted or paused trading.
        let halted_by = || standing.by.as_deref().and_then(|by| by.parse().ok()).unwrap_or_else(ourselves);
        let by = kept.cancel_by.clone().unwrap_or_else(halted_by);
        traced(&kept.clone(), async {
            if !unwanted {
                return Box::pin(self.go_on(kept)).await;
            }
            match Box::pin(self.take_back(&id, &by, why_unwanted(standing.state))).await {
                Err(TradingError::AlreadyFinal { .. }) => self.find(&id).await,
                taken => taken,
            }
        })
        .await
    }
}

/// Goes on with an order in the trace in which it was made.
pub(super) async fn traced(
    kept: &Kept,
    work: impl Future<Output = Result<Kept, TradingError>>,
) -> Result<(), TradingError> {
    let span = tracing::info_span!(
        "OrderService.recover_order",
        crypto.symbol = kept.order.symbol.as_str(),
        decision.id = kept.order.id.as_str(),
        order.id = kept.order.id.as_str(),
        order.status.before = kept.order.status.as_str(),
        order.status = Empty,
        order.side = Empty,
        order.quantity = Empty,
        exchange.order_id = Empty,
        refusal.code = Empty,
    );
    continue_trace(&span, kept);
    async {
        let outcome = Box::pin(work).await;
        match &outcome {
            Ok(kept) => show(&kept.order),
            // What is still unknown is no news: the span says what it is.
            Err(error @ (TradingError::Unknown(_) | TradingError::Missing(_) | TradingError::Contended)) => {
                Span::current().record("order.status", error.label());
            }
            Err(error) => error.show(),
        }
        outcome.map(drop)
    }
    .instrument(span)
    .await
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::trading::table::Claim;
    use crate::trading::tests::kept;

    fn watch() -> Watch {
        Watch {
            orders: HashMap::new(),
            longest: Duration::from_secs(600),
            trading: None,
            differences: LastFound::default(),
        }
    }

    #[test]
    fn looks_are_longer_and_longer_apart_until_something_changes() {
        let (mut watch, mut kept) = (watch(), kept());
        let waits: Vec<Duration> = (0..40).map(|looks| watch.wait(looks)).collect();
        assert!(waits.is_sorted() && waits[0] == FIRST_WAIT && waits[39] == watch.longest, "{waits:?}");
        watch.see(std::slice::from_ref(&kept));
        for _ in 0..20 {
            watch.looked(kept.id());
        }
        let late = watch.next().unwrap();
        kept.order.revision += 1;
        watch.see(std::slice::from_ref(&kept));
        assert!(watch.next().unwrap() < late, "what has changed is looked after soon");
        watch.see(&[]);
        assert_eq!(watch.next(), None, "what has ended is looked after no more");
    }

    #[test]
    fn a_change_of_the_state_makes_everything_due() {
        let (mut watch, kept) = (watch(), kept());
        watch.heed(TradingState::Running);
        watch.see(std::slice::from_ref(&kept));
        for _ in 0..20 {
            watch.looked(kept.id());
        }
        watch.heed(TradingState::Running);
        assert!(!watch.is_due(&kept), "nothing has changed");
        watch.heed(TradingState::Halted);
        assert!(watch.is_due(&kept));
    }

    #[test]
    fn a_claim_is_left_alone_until_it_has_run_out_and_is_then_not_looked_at_without_end() {
        let (mut watch, mut kept) = (watch(), kept());
        kept.claim = Some(Claim { since: now(), until: now() + TimeDelta::hours(1) });
        watch.see(std::slice::from_ref(&kept));
        assert!(watch.next().unwrap() > Instant::now() + Duration::from_secs(600));
        kept.claim = Some(Claim { since: now(), until: now() - TimeDelta::seconds(1) });
        kept.order.revision += 1;
        watch.see(std::slice::from_ref(&kept));
        for _ in 0..20 {
            watch.looked(kept.id());
            watch.see(std::slice::from_ref(&kept));
        }
        assert!(!watch.is_due(&kept), "the next look comes later");
    }
}
