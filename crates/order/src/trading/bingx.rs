//! BingX, the simulator's or the real one, as an [`Exchange`]; every call is counted.

use std::time::Instant;

use bingx::{Client, PlaceError, PositionSide, QueryError, RefusalKind, TimeInForce};
use chrono::Utc;
use domain::trading::{OrderKind, OrderStatus, Position, Side};
use domain::{DecisionId, Symbol};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use telemetry::metrics::trading::{EXCHANGE_REQUEST_DURATION, EXCHANGE_REQUESTS};

use super::exchange::{Account, AskFailure, Exchange, Held, NewOrder, PlaceFailure, Report};

/// BingX.
#[derive(Debug, Clone)]
pub(crate) struct BingX {
    client: Client,
}

impl BingX {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }
}

/// Counts a call and hands its outcome on.
async fn counted<T, E>(
    operation: &'static str,
    label: fn(&E) -> &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let started = Instant::now();
    let outcome = Box::pin(call).await;
    let word = outcome.as_ref().err().map_or("ok", label);
    EXCHANGE_REQUESTS.add(1, &[("operation", operation), ("outcome", word)]);
    EXCHANGE_REQUEST_DURATION.record(started.elapsed().as_secs_f64(), &[("operation", operation)]);
    outcome
}

const fn placing(error: &PlaceError) -> &'static str {
    match error {
        PlaceError::NotSent(_) => "not_sent",
        PlaceError::Refused(_) => "refused",
        PlaceError::Unknown { .. } => "unknown",
    }
}

const fn asking(error: &QueryError) -> &'static str {
    match error {
        QueryError::NoSuchOrder(_) => "no_such_order",
        QueryError::Unavailable { .. } => "unavailable",
        QueryError::Refused(_) => "refused",
        QueryError::Invalid(_) => "not_sent",
    }
}

impl From<PlaceError> for PlaceFailure {
    fn from(error: PlaceError) -> Self {
        let words = error.to_string();
        match error {
            // It will never make sense.
            PlaceError::NotSent(bingx::NotSent::Invalid(_)) => Self::Refused(words),
            PlaceError::NotSent(_) => Self::NotSent(words),
            PlaceError::Refused(refusal) => match refusal.kind {
                RefusalKind::DuplicateClientId => Self::Duplicate(words),
                // The order was looked at by nobody, and nothing is wrong with it.
                RefusalKind::RateLimited | RefusalKind::ClockSkew => Self::NotSent(words),
                _ => Self::Refused(words),
            },
            PlaceError::Unknown { .. } => Self::Unknown(words),
        }
    }
}

impl From<QueryError> for AskFailure {
    fn from(error: QueryError) -> Self {
        let words = error.to_string();
        match error {
            QueryError::NoSuchOrder(_) => Self::NoSuchOrder(words),
            QueryError::Unavailable { .. } => Self::Unavailable(words),
            QueryError::Refused(refusal) if refusal.kind == RefusalKind::RateLimited => Self::Unavailable(words),
            QueryError::Refused(_) | QueryError::Invalid(_) => Self::Refused(words),
        }
    }
}

fn read(report: bingx::OrderReport) -> Report {
    let status = match report.status {
        bingx::OrderStatus::New | bingx::OrderStatus::Pending => Some(OrderStatus::Submitted),
        bingx::OrderStatus::PartiallyFilled => Some(OrderStatus::PartiallyFilled),
        bingx::OrderStatus::Filled => Some(OrderStatus::Filled),
        bingx::OrderStatus::Cancelled => Some(OrderStatus::Cancelled),
        bingx::OrderStatus::Expired => Some(OrderStatus::Expired),
        bingx::OrderStatus::Rejected => Some(OrderStatus::Rejected),
        bingx::OrderStatus::Other(word) => {
            tracing::warn!(status = word, "BingX has a status that is not known; what is filled says the rest");
            None
        }
    };
    Report {
        exchange_order_id: report.exchange_order_id,
        status,
        filled: report.executed_quantity,
        average_price: report.average_price,
        fee: report.commission,
    }
}

impl Exchange for BingX {
    fn place<'a>(&'a self, order: &'a NewOrder) -> LocalBoxFuture<'a, Result<String, PlaceFailure>> {
        async move {
            let order = bingx::NewOrder {
                symbol: order.symbol.clone(),
                side: match order.side {
                    Side::Buy => bingx::Side::Buy,
                    Side::Sell => bingx::Side::Sell,
                },
                position_side: PositionSide::Both,
                kind: match order.kind {
                    OrderKind::Market => bingx::OrderKind::Market,
                    OrderKind::Limit { price } => {
                        bingx::OrderKind::Limit { price, time_in_force: TimeInForce::GoodTillCancelled }
                    }
                },
                quantity: order.quantity,
                reduce_only: order.reduce_only,
                client_order_id: order.id.to_string(),
            };
            let placed = counted("place", placing, self.client.place(&order)).await?;
            Ok(placed.exchange_order_id)
        }
        .boxed_local()
    }

    fn query<'a>(&'a self, symbol: &'a Symbol, id: &'a DecisionId) -> LocalBoxFuture<'a, Result<Report, AskFailure>> {
        async move {
            let report = counted("query", asking, self.client.order_by_client_id(symbol, id.as_str())).await?;
            Ok(read(report))
        }
        .boxed_local()
    }

    fn cancel<'a>(&'a self, symbol: &'a Symbol, id: &'a DecisionId) -> LocalBoxFuture<'a, Result<(), AskFailure>> {
        async move {
            counted("cancel", asking, self.client.cancel(symbol, id.as_str())).await?;
            Ok(())
        }
        .boxed_local()
    }

    fn balance(&self) -> LocalBoxFuture<'_, Result<Account, AskFailure>> {
        async move {
            let balance = counted("balance", asking, self.client.balance()).await?;
            Ok(Account {
                asset: balance.asset,
                balance: balance.balance,
                equity: balance.equity,
                available: balance.available_margin,
                as_of: Utc::now(),
            })
        }
        .boxed_local()
    }

    fn positions(&self) -> LocalBoxFuture<'_, Result<Vec<Held>, AskFailure>> {
        async move {
            let positions = counted("positions", asking, self.client.positions()).await?;
            let open = positions.open.into_iter().map(|of| Held {
                symbol: of.symbol,
                position: of.amount.checked_mul(of.average_price).map(|cost| Position { quantity: of.amount, cost }),
            });
            let unreadable = positions.unreadable.into_iter().filter_map(|of| {
                tracing::debug!(reason = of.reason, "a position at BingX cannot be read");
                of.symbol.map(|symbol| Held { symbol, position: None })
            });
            Ok(open.chain(unreadable).collect())
        }
        .boxed_local()
    }
}
