//! How trading stands: its state, its account, its profit.

use std::collections::HashMap;

use chrono::TimeDelta;
use domain::DecisionId;
use domain::trading::{
    Actor, Balance, NotCancelled, OrderStatus, PositionView, ProfitReport, StateOutcome, StateRequest, SymbolProfit,
    TradingState, TradingStatus,
};
use futures_util::future::join_all;

use super::clock::now;
use super::core::Trading;
use super::error::TradingError;
use super::exchange::AskFailure;
use super::state::{self, Wish};
use super::table::Kept;
use super::{ledger, lookups};

impl Trading {
    /// How trading stands.
    pub(crate) async fn status(&self) -> Result<TradingStatus, TradingError> {
        let core = &*self.core;
        let standing = state::read(&core.database).await?;
        let open = lookups::open(&core.database, core.rules.mode).await?;
        let count = |wanted: fn(&Kept) -> bool| {
            u64::try_from(open.iter().filter(|kept| wanted(kept)).count()).unwrap_or(u64::MAX)
        };
        Ok(TradingStatus {
            state: standing.state,
            mode: core.rules.mode,
            since: standing.since,
            by: standing.by,
            reason: standing.reason,
            limits: core.rules.limits.clone(),
            open_orders: count(|_| true),
            awaiting_confirmation: count(|kept| kept.order.awaits_confirmation()),
            unknown_orders: count(|kept| kept.order.status == OrderStatus::Unknown),
            realised_today: ledger::realised_today(&core.database, core.rules.mode).await?.normalize(),
            trace_id: telemetry::trace_id(),
        })
    }

    /// Changes the state; whether it was another one before.
    pub(super) async fn set_state(&self, wish: &Wish, by: &Actor, reason: Option<&str>) -> Result<bool, TradingError> {
        let changed = state::change(&self.core.database, &self.core.telling, wish, by, reason).await?.is_some();
        // What is open is looked at with the new state in mind.
        self.core.kick.notify_one();
        Ok(changed)
    }

    /// Changes the state as a person says. A halt takes back what is open, a pause what can make a position larger, as far
    /// as it can be reached now.
    pub(crate) async fn change_state(&self, wanted: &StateRequest) -> Result<StateOutcome, TradingError> {
        let wish = if wanted.only_tighten { Wish::AtLeast(wanted.state) } else { Wish::To(wanted.state) };
        let changed = self.set_state(&wish, &wanted.by, wanted.reason.as_deref()).await?;
        // What holds may be stricter than what was asked for.
        let holds = match wish {
            Wish::To(state) => state,
            Wish::AtLeast(_) => state::read(&self.core.database).await?.state,
        };
        let (cancelled, not_cancelled) = self.take_back_unwanted(holds, &wanted.by).await?;
        Ok(StateOutcome { status: self.status().await?, changed, cancelled, not_cancelled })
    }

    /// Takes back what is open and a state does not want, as far as it can be reached now; which orders were, and which
    /// were not.
    pub(super) async fn take_back_unwanted(
        &self,
        state: TradingState,
        by: &Actor,
    ) -> Result<(Vec<DecisionId>, Vec<NotCancelled>), TradingError> {
        let (mut cancelled, mut not_cancelled) = (Vec::new(), Vec::new());
        let open = lookups::open(&self.core.database, self.core.rules.mode).await?;
        let unwanted = open.into_iter().filter(|kept| kept.is_unwanted(state));
        let ids: Vec<DecisionId> = unwanted.map(|kept| kept.order.id).collect();
        let taken = ids.iter().map(|id| Box::pin(self.take_back(id, by, why_unwanted(state))));
        for (id, outcome) in ids.iter().zip(join_all(taken).await) {
            match outcome {
                Ok(kept) if kept.order.status == OrderStatus::Cancelled => cancelled.push(id.clone()),
                // It was at its end before.
                Err(TradingError::AlreadyFinal { .. }) => {}
                Ok(kept) if kept.order.status.is_final() => {}
                Ok(kept) => {
                    let detail = format!("The exchange says that it is {}.", kept.order.status);
                    not_cancelled.push(NotCancelled { order_id: id.clone(), detail });
                }
                Err(error) => {
                    tracing::warn!(order.id = %id, error = %error, "an open order cannot be taken back now");
                    let detail = web::Problem::from(error).detail().to_owned();
                    not_cancelled.push(NotCancelled { order_id: id.clone(), detail });
                }
            }
        }
        Ok((cancelled, not_cancelled))
    }

    /// What is held, as it is counted here, at the prices of the moment where there are any.
    pub(crate) async fn positions(&self) -> Result<Vec<PositionView>, TradingError> {
        let core = &*self.core;
        let all = ledger::all(&core.database, core.rules.mode).await?;
        let held: Vec<_> = all.into_iter().filter(|(_, ledger)| !ledger.position.quantity.is_zero()).collect();
        let prices = join_all(held.iter().map(|(symbol, _)| core.prices.of(symbol))).await;
        let prices: HashMap<usize, _> = prices.into_iter().enumerate().collect();
        let views = held.into_iter().enumerate().map(|(place, (symbol, ledger))| {
            let fresh = prices
                .get(&place)
                .and_then(|quote| quote.as_ref().ok())
                .filter(|quote| quote.age_ms() <= core.rules.limits.max_price_age_ms);
            let price = fresh.map(|quote| quote.price);
            PositionView {
                symbol,
                quantity: ledger.position.quantity.normalize(),
                average_price: ledger.position.average_price().unwrap_or_default().round_dp(12).normalize(),
                price,
                unrealised_pnl: price
                    .and_then(|price| ledger.position.unrealised_pnl(price))
                    .map(|pnl| pnl.round_dp(12).normalize()),
            }
        });
        Ok(views.collect())
    }

    /// The account at the exchange, and the positions.
    pub(crate) async fn balance(&self) -> Result<Balance, TradingError> {
        let account = self.core.exchange.balance().await.map_err(|failure| match failure {
            AskFailure::NoSuchOrder(reason) | AskFailure::Unavailable(reason) | AskFailure::Refused(reason) => {
                TradingError::Exchange(reason)
            }
        })?;
        Ok(Balance {
            mode: self.core.rules.mode,
            asset: account.asset,
            balance: account.balance,
            equity: account.equity,
            available: account.available,
            positions: self.positions().await?,
            as_of: account.as_of,
            trace_id: telemetry::trace_id(),
        })
    }

    /// Profit and loss, with so many days of it, today counted.
    pub(crate) async fn profit(&self, days: u16) -> Result<ProfitReport, TradingError> {
        let core = &*self.core;
        let all = ledger::all(&core.database, core.rules.mode).await?;
        let since = now().date_naive() - TimeDelta::days(i64::from(days) - 1);
        Ok(ProfitReport {
            mode: core.rules.mode,
            realised_pnl: shown(all.iter().map(|(_, ledger)| ledger.realised).sum()),
            fees: shown(all.iter().map(|(_, ledger)| ledger.fees).sum()),
            symbols: all
                .into_iter()
                .map(|(symbol, ledger)| SymbolProfit {
                    symbol,
                    realised_pnl: shown(ledger.realised),
                    fees: shown(ledger.fees),
                })
                .collect(),
            days: ledger::days(&core.database, core.rules.mode, since).await?,
            trace_id: telemetry::trace_id(),
        })
    }
}

/// Why an order is taken back in a state.
pub(super) const fn why_unwanted(state: TradingState) -> &'static str {
    match state {
        TradingState::Reducing => "trading is paused",
        TradingState::Running | TradingState::Halted => "trading is halted",
    }
}

fn shown(amount: rust_decimal::Decimal) -> rust_decimal::Decimal {
    amount.normalize()
}
