//! Fees that the exchange tells after it has said that an order is at its end. Nothing else is asked about such an order, so
//! one of which something was filled, at no fee, is asked about a few times within a minute.
//!
//! It is kept in memory: who stops within that minute leaves such a fee out of the books, as a day's profit too high.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::DecisionId;
use domain::trading::TradeOrder;
use rust_decimal::Decimal;
use tokio::time::Instant;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::core::Trading;
use super::error::TradingError;
use super::exchange::AskFailure;
use super::reconcile::traced;

/// How long after the end an order is asked about. An account that pays no fees costs so many questions an order.
const LOOKS: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(8), Duration::from_secs(20), Duration::from_secs(50)];

/// Orders of which something was filled at no fee, since when, and how often they were asked about.
#[derive(Debug, Default)]
pub(crate) struct LateFees {
    orders: Mutex<HashMap<DecisionId, (Instant, usize)>>,
}

impl LateFees {
    /// Takes note of an order that was written; whether it is to be asked about.
    pub(crate) fn note(&self, order: &TradeOrder) -> bool {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if order.status.is_final() && order.filled_quantity > Decimal::ZERO && order.fee.is_zero() {
            orders.entry(order.id.clone()).or_insert((Instant::now(), 0));
            return true;
        }
        orders.remove(&order.id);
        false
    }

    /// It is asked about no more.
    fn forget(&self, id: &DecisionId) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Orders that are to be asked about now; each look is given out once, and the last ends it.
    fn due(&self, now: Instant) -> Vec<DecisionId> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        orders.retain(|id, (since, looks)| {
            if LOOKS.get(*looks).is_some_and(|after| *since + *after <= now) {
                due.push(id.clone());
                *looks += 1;
            }
            *looks < LOOKS.len()
        });
        due
    }

    /// When the next of them is to be asked about.
    pub(super) fn next(&self) -> Option<Instant> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.values().filter_map(|(since, looks)| LOOKS.get(*looks).map(|after| *since + *after)).min()
    }
}

impl Trading {
    /// Asks about orders of which something was filled at no fee, as far as they are due, and books what they cost.
    pub(super) async fn ask_for_fees(&self, now: Instant) {
        for id in self.core.fees.due(now) {
            if let Err(error) = Box::pin(self.ask_for_fee(&id)).await {
                tracing::info!(order.id = %id, error = %error, "what an order has cost is asked again later");
            }
        }
    }

    async fn ask_for_fee(&self, id: &DecisionId) -> Result<(), TradingError> {
        let kept = self.find(id).with_subscriber(NoSubscriber::default()).await?;
        let answer = self.core.exchange.query(&kept.order.symbol, id).with_subscriber(NoSubscriber::default()).await;
        // It has forgotten what is at its end, and its fee with it.
        if matches!(answer, Err(AskFailure::NoSuchOrder(_))) {
            self.core.fees.forget(id);
            return Ok(());
        }
        // Most of these questions say nothing new.
        if answer.as_ref().is_ok_and(|report| report.fee.is_zero()) {
            return Ok(());
        }
        Box::pin(traced(&kept.clone(), self.answered(kept, answer))).await
    }
}

#[cfg(test)]
mod tests {
    use domain::trading::OrderStatus;

    use super::*;
    use crate::trading::tests::kept;

    #[test]
    fn an_order_without_a_fee_is_asked_about_a_few_times_within_a_minute() {
        let (fees, mut order) = (LateFees::default(), kept().order);
        assert!(!fees.note(&order), "it is not filled");
        order.status = OrderStatus::Cancelled;
        assert!(!fees.note(&order), "nothing of it is filled");
        order.filled_quantity = Decimal::ONE;
        for status in [OrderStatus::Filled, OrderStatus::Cancelled, OrderStatus::Expired] {
            order.status = status;
            assert!(fees.note(&order), "{status}");
        }
        let begin = Instant::now();
        assert!(fees.due(begin).is_empty() && fees.next().unwrap() > begin);
        for look in 1..=LOOKS.len() {
            assert_eq!(fees.due(begin + Duration::from_secs(60)), [order.id.clone()], "look {look}");
        }
        assert!(fees.due(begin + Duration::from_secs(600)).is_empty() && fees.next().is_none());
        assert!(fees.note(&order));
        order.fee = Decimal::ONE;
        assert!(!fees.note(&order) && fees.next().is_none(), "it is told");
    }
}
