//! Figures for charts, never for book-keeping.

use std::collections::HashMap;

use domain::trading::OrderStatus;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use storage::Database;
use telemetry::metrics::trading::{OPEN_ORDERS, POSITION_QUANTITY, REALISED_PNL_TOTAL_USD, REALISED_PNL_USD};

use super::error::TradingError;
use super::ledger;
use super::rules::Rules;
use super::table::Kept;

/// An amount as a chart has it.
pub(crate) fn figure(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or_default()
}

/// Sets the figures of positions and of what they have brought.
pub(crate) async fn positions(database: &Database, rules: &Rules) -> Result<(), TradingError> {
    let all = ledger::all(database, rules.mode).await?;
    let mut total = Decimal::ZERO;
    let mut others = (Decimal::ZERO, false);
    for (symbol, ledger) in &all {
        total += ledger.realised;
        if rules.limits.symbols.contains(symbol) {
            let labels = [("symbol", symbol.as_str())];
            REALISED_PNL_USD.set(figure(ledger.realised), &labels);
            POSITION_QUANTITY.set(figure(ledger.position.quantity), &labels);
        } else {
            // Symbols that are traded no more share a label; what is held of them cannot be added up.
            others = (others.0 + ledger.realised, true);
        }
    }
    for symbol in rules.limits.symbols.iter().filter(|symbol| all.iter().all(|(known, _)| known != *symbol)) {
        let labels = [("symbol", symbol.as_str())];
        REALISED_PNL_USD.set(0.0, &labels);
        POSITION_QUANTITY.set(0.0, &labels);
    }
    if others.1 {
        REALISED_PNL_USD.set(figure(others.0), &[("symbol", "other")]);
    }
    REALISED_PNL_TOTAL_USD.set(figure(total), &[]);
    Ok(())
}

/// Sets the figures of orders that are not at their end.
pub(crate) fn open_orders(open: &[Kept]) {
    let mut counts: HashMap<OrderStatus, u32> = HashMap::new();
    for kept in open {
        *counts.entry(kept.order.status).or_default() += 1;
    }
    for status in OrderStatus::ALL.into_iter().filter(|status| !status.is_final()) {
        let count = counts.get(&status).copied().unwrap_or_default();
        OPEN_ORDERS.set(f64::from(count), &[("status", status.as_str())]);
    }
}
