//! Whether the exchange holds what is counted here. It does not when somebody trades on the same account, or the exchange
//! closes a position by force; what that cost is in no fill, so it is in no day's profit either.
//!
//! Nothing is changed by itself: a difference is a figure for the alert, a row of the trail and a message, once, and a
//! person puts it right (adopting.rs).

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::trading::{OrderStatus, PositionDifference, TradeEvent};
use domain::{DecisionId, Symbol};
use rust_decimal::Decimal;
use serde_json::json;
use storage::{FromRow, Money, QueryType, Statement, Transaction};
use telemetry::metrics::trading::POSITION_DIFFERENCE;

use super::clock::now;
use super::core::{Trading, the_exchange};
use super::error::TradingError;
use super::exchange::{AskFailure, Held};
use super::table::Kept;
use super::telling::Happened;
use super::{gauges, ledger, lookups};

const TABLE: &str = "trading_differences";

/// What was found of a symbol: what is counted here, and what the exchange says.
type Found = (Decimal, Decimal);

/// What the last round found, symbol by symbol, and the revisions of the orders that were open then.
#[derive(Debug, Default)]
pub(super) struct LastFound {
    found: HashMap<Symbol, Found>,
    open: HashMap<DecisionId, i64>,
}

#[derive(FromRow)]
struct Row {
    ours: Money,
    exchange: Money,
    since: DateTime<Utc>,
}

/// Symbols of which an order has changed since the round before, is on its way to the exchange, or is unknown: what is held
/// of them is changing. An order that rests there, as it did then, changes nothing.
fn moving(open: &[Kept], before: &HashMap<DecisionId, i64>) -> HashSet<Symbol> {
    let rests = |kept: &Kept| {
        let unsure = kept.claim.is_some() || kept.order.status == OrderStatus::Unknown;
        !unsure && before.get(kept.id()) == Some(&kept.order.revision)
    };
    let moving = open.iter().filter(|kept| !kept.order.awaits_confirmation() && !rests(kept));
    moving.map(|kept| kept.order.symbol.clone()).collect()
}

impl Trading {
    /// Compares what the exchange holds with what is counted here, of every symbol that is at rest. `last` is what the
    /// round before has found: a difference counts once it is found twice, for an exchange can be a moment behind itself.
    ///
    /// # Errors
    /// When the database or the exchange gives no answer.
    pub(super) async fn compare_positions(&self, last: &mut LastFound) -> Result<(), TradingError> {
        let core = &*self.core;
        let mode = core.rules.mode;
        let ours = ledger::all(&core.database, mode).await?;
        let open = lookups::open(&core.database, mode).await?;
        let mut moved = moving(&open, &last.open);
        let theirs = core.exchange.positions().await.map_err(|failure| match failure {
            AskFailure::NoSuchOrder(reason) | AskFailure::Unavailable(reason) | AskFailure::Refused(reason) => {
                TradingError::Exchange(reason)
            }
        })?;
        // What was traded while the exchange was asked is compared the next time.
        moved.extend(moving(&lookups::open(&core.database, mode).await?, &last.open));
        let after = ledger::all(&core.database, mode).await?;
        let of = |all: &[(Symbol, super::booking::Ledger)], symbol: &Symbol| {
            let known = all.iter().find(|(known, _)| known == symbol);
            known.map(|(_, ledger)| ledger.position.quantity).unwrap_or_default()
        };
        let mut found = HashMap::new();
        for symbol in &core.rules.limits.symbols {
            let held = of(&ours, symbol);
            if moved.contains(symbol) || held != of(&after, symbol) {
                continue;
            }
            let Some(told) = total(&theirs, symbol) else {
                tracing::warn!(crypto.symbol = %symbol, "what the exchange says of the position cannot be read");
                continue;
            };
            POSITION_DIFFERENCE.set(gauges::figure(told - held), &[("symbol", symbol.as_str())]);
            if held == told {
                self.difference_over(symbol, held).await?;
            } else {
                if last.found.get(symbol) == Some(&(held, told)) {
                    self.difference_found(symbol, (held, told)).await?;
                }
                found.insert(symbol.clone(), (held, told));
            }
        }
        let open = open.into_iter().map(|kept| (kept.order.id, kept.order.revision)).collect();
        *last = LastFound { found, open };
        Ok(())
    }

    /// Keeps a difference, and tells of it once.
    async fn difference_found(&self, symbol: &Symbol, (ours, exchange): Found) -> Result<(), TradingError> {
        let core = &*self.core;
        let mode = core.rules.mode.as_str();
        let mut transaction = core.database.begin().await?;
        // Taken over, or traded, since it was found: then it is none.
        if ledger::lock(&mut transaction, core.rules.mode, symbol).await?.position.quantity != ours {
            transaction.rollback().await?;
            return Ok(());
        }
        let since = now();
        let statement = Statement::new(
            QueryType::Insert,
            TABLE,
            "INSERT INTO trading_differences (mode, symbol, ours, exchange, since) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (mode, symbol) DO NOTHING",
        )
        .bind(mode)
        .bind(symbol.as_str())
        .bind(Money(ours))
        .bind(Money(exchange))
        .bind(since);
        if transaction.execute(statement).await? == 0 {
            let statement = Statement::new(
                QueryType::Update,
                TABLE,
                "UPDATE trading_differences SET ours = $3, exchange = $4 WHERE mode = $1 AND symbol = $2",
            )
            .bind(mode)
            .bind(symbol.as_str())
            .bind(Money(ours))
            .bind(Money(exchange));
            transaction.execute(statement).await?;
            transaction.commit().await?;
            return Ok(());
        }
        let difference = PositionDifference { symbol: symbol.clone(), ours, exchange, since, ended_at: None };
        self.tell_difference(&mut transaction, "position.differs", &difference).await?;
        transaction.commit().await?;
        tracing::warn!(
            crypto.symbol = %symbol, held = %ours, exchange = %exchange,
            "the exchange holds something else than is counted here"
        );
        Ok(())
    }

    async fn difference_over(&self, symbol: &Symbol, held: Decimal) -> Result<(), TradingError> {
        // Most rounds find nothing, and write nothing.
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT ours, exchange, since FROM trading_differences WHERE mode = $1 AND symbol = $2",
        )
        .bind(self.core.rules.mode.as_str())
        .bind(symbol.as_str());
        if self.core.database.fetch_optional::<Row>(statement).await?.is_none() {
            return Ok(());
        }
        let mut transaction = self.core.database.begin().await?;
        self.end_difference(&mut transaction, symbol, held).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Ends a difference, if there is one, and tells of it once. `held` is what both count now.
    pub(super) async fn end_difference(
        &self,
        transaction: &mut Transaction,
        symbol: &Symbol,
        held: Decimal,
    ) -> Result<(), TradingError> {
        let statement = Statement::new(
            QueryType::Delete,
            TABLE,
            "DELETE FROM trading_differences WHERE mode = $1 AND symbol = $2 RETURNING ours, exchange, since",
        )
        .bind(self.core.rules.mode.as_str())
        .bind(symbol.as_str());
        let Some(row) = transaction.fetch_optional::<Row>(statement).await? else { return Ok(()) };
        tracing::info!(
            crypto.symbol = %symbol, held = %held, before = %row.ours.0, exchange.before = %row.exchange.0,
            "the exchange holds what is counted here again"
        );
        let difference = PositionDifference {
            symbol: symbol.clone(),
            ours: held,
            exchange: held,
            since: row.since,
            ended_at: Some(now()),
        };
        self.tell_difference(transaction, "position.agrees", &difference).await
    }

    async fn tell_difference(
        &self,
        transaction: &mut Transaction,
        action: &'static str,
        difference: &PositionDifference,
    ) -> Result<(), TradingError> {
        let symbol = &difference.symbol;
        let happened = Happened {
            key: format!("{action}:{symbol}:{}", difference.since.timestamp_micros()),
            group: format!("position:{symbol}"),
            actor: the_exchange(),
            action,
            symbol: Some(symbol.clone()),
            decision_id: None,
            at: difference.ended_at.unwrap_or(difference.since),
            data: json!({"held": difference.ours, "exchange": difference.exchange, "since": difference.since}),
        };
        let event = TradeEvent::PositionDifference { difference: difference.clone() };
        self.core.telling.put(transaction, happened, Some(event)).await
    }
}

/// All that is held of a symbol; none where some of it cannot be read.
fn total(theirs: &[Held], symbol: &Symbol) -> Option<Decimal> {
    theirs.iter().filter(|held| held.symbol == *symbol).map(|held| held.position.map(|of| of.quantity)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trading::table::Claim;
    use crate::trading::tests::kept;

    #[test]
    fn what_rests_as_it_did_the_round_before_is_not_moving() {
        let mut order = kept();
        order.order.status = OrderStatus::Submitted;
        let same = HashMap::from([(order.id().clone(), order.order.revision)]);
        let moves =
            |kept: &Kept, before: &HashMap<DecisionId, i64>| !moving(std::slice::from_ref(kept), before).is_empty();
        assert!(!moves(&order, &same));
        assert!(moves(&order, &HashMap::new()), "it is new");
        let mut other = order.clone();
        other.order.revision += 1;
        assert!(moves(&other, &same), "it has changed");
        other = order.clone();
        other.order.status = OrderStatus::Unknown;
        assert!(moves(&other, &same), "nobody knows");
        other.order.status = OrderStatus::New;
        other.claim = Some(Claim { since: now(), until: now() });
        assert!(moves(&other, &same), "it is on its way");
    }
}
