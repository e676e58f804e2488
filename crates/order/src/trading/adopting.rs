//! Taking over what the exchange holds, where it is something else than is counted here.
//!
//! Quantity and average price become the exchange's. Nothing is realised by it: what was won or lost where the difference
//! came about is known to the exchange alone, and is not made up here.

use domain::Symbol;
use domain::trading::{AdoptRequest, AdoptedPosition, HeldPosition, Position};
use serde_json::json;
use telemetry::metrics::trading::POSITION_DIFFERENCE;

use super::core::Trading;
use super::error::TradingError;
use super::exchange::AskFailure;
use super::telling::Happened;
use super::{clock, gauges, ledger, lookups, state};

impl Trading {
    /// Takes over the exchange's position in a symbol.
    ///
    /// # Errors
    /// [`TradingError::OrdersOpen`] while an order of the symbol is not at its end: what it fills would be counted twice.
    pub(crate) async fn adopt(&self, symbol: &Symbol, request: &AdoptRequest) -> Result<AdoptedPosition, TradingError> {
        let core = &*self.core;
        let mode = core.rules.mode;
        let before = ledger::all(&core.database, mode).await?;
        let before = before.into_iter().find(|(known, _)| known == symbol).map(|(_, of)| of.position);
        let theirs = core.exchange.positions().await.map_err(|failure| match failure {
            AskFailure::NoSuchOrder(reason) | AskFailure::Unavailable(reason) | AskFailure::Refused(reason) => {
                TradingError::Exchange(reason)
            }
        })?;
        let mut adopted = Position::default();
        for held in theirs.into_iter().filter(|held| held.symbol == *symbol) {
            let unreadable = || TradingError::Exchange(format!("its position in {symbol} cannot be read"));
            let position = held.position.ok_or_else(unreadable)?;
            adopted.quantity = adopted.quantity.checked_add(position.quantity).ok_or_else(unreadable)?;
            adopted.cost = adopted.cost.checked_add(position.cost).ok_or_else(unreadable)?;
        }
        if adopted.quantity.is_zero() {
            adopted = Position::default();
        }
        let mut transaction = core.database.begin().await?;
        // Whoever makes an order waits for this.
        state::lock(&mut transaction).await?;
        if lookups::is_open(&mut transaction, mode, symbol).await? {
            transaction.rollback().await?;
            return Err(TradingError::OrdersOpen(symbol.clone()));
        }
        let mut ledger = ledger::lock(&mut transaction, mode, symbol).await?;
        // Traded while the exchange was asked: what it said may be old.
        if ledger.position != before.unwrap_or_default() {
            transaction.rollback().await?;
            return Err(TradingError::Contended);
        }
        let old = ledger.position;
        ledger.position = adopted;
        // Whatever is filled next is counted from here.
        ledger.last_order = None;
        ledger::set(&mut transaction, mode, symbol, &ledger).await?;
        let at = clock::now();
        let (was, is) = (shown(&old), shown(&adopted));
        let happened = Happened {
            key: format!("position.adopted:{symbol}:{}", at.timestamp_micros()),
            group: format!("position:{symbol}"),
            actor: request.by.clone(),
            action: "position.adopted",
            symbol: Some(symbol.clone()),
            decision_id: None,
            at,
            data: json!({"before": was, "after": is, "reason": request.reason}),
        };
        core.telling.put(&mut transaction, happened, None).await?;
        self.end_difference(&mut transaction, symbol, adopted.quantity).await?;
        transaction.commit().await?;
        tracing::warn!(
            crypto.symbol = %symbol, before = %old.quantity, after = %adopted.quantity, by = %request.by,
            "the exchange's position was taken over"
        );
        POSITION_DIFFERENCE.set(0.0, &[("symbol", core.rules.label(symbol))]);
        gauges::positions(&core.database, &core.rules).await?;
        Ok(AdoptedPosition { symbol: symbol.clone(), before: was, after: is, trace_id: telemetry::trace_id() })
    }
}

fn shown(position: &Position) -> HeldPosition {
    HeldPosition {
        quantity: position.quantity.normalize(),
        average_price: position.average_price().map(|price| price.round_dp(12).normalize()),
    }
}
