//! Whether the exchange holds what is counted here. It does not when somebody trades on the same account, or the exchange
//! closes a position by force; what that cost is in no fill, so it is in no day's profit either.
//!
//! Nothing is changed by itself: a difference is a figure for the alert, a row of the trail and a message, once, and a
//! person puts it right (adopting.rs).

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::Symbol;
use domain::trading::{PositionDifference, TradeEvent};
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

/// What the last round found, symbol by symbol.
pub(super) type LastFound = HashMap<Symbol, Found>;

#[derive(FromRow)]
struct Row {
    ours: Money,
    exchange: Money,
    since: DateTime<Utc>,
}

/// Symbols with an order at the exchange, or on its way there: what is held of them is changing.
fn moving(open: &[Kept]) -> HashSet<Symbol> {
    let moving = open.iter().filter(|kept| !kept.order.awaits_confirmation());
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
        let mut moved = moving(&lookups::open(&core.database, mode).await?);
        let theirs = core.exchange.positions().await.map_err(|failure| match failure {
            AskFailure::NoSuchOrder(reason) | AskFailure::Unavailable(reason) | AskFailure::Refused(reason) => {
                TradingError::Exchange(reason)
            }
        })?;
        // What was traded while the exchange was asked is compared the next time.
        moved.extend(moving(&lookups::open(&core.database, mode).await?));
        let after = ledger::all(&core.database, mode).await?;
        let of = |all: &[(Symbol, super::booking::Ledger)], symbol: &Symbol| {
            let known = all.iter().find(|(known, _)| known == symbol);
            known.map(|(_, ledger)| ledger.position.quantity).unwrap_or_default()
        };
        let mut found = LastFound::new();
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
                if last.get(symbol) == Some(&(held, told)) {
                    self.difference_found(symbol, (held, told)).await?;
                }
                found.insert(symbol.clone(), (held, told));
            }
        }
        *last = found;
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
