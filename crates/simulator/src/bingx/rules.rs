//! What happens to orders: taken or refused, filled, cancelled. Each rule works a [`Change`] out and makes nothing.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::account::{Account, Liquidity, margin};
use super::error::ApiError;
use super::order::{Kind, NewOrder, Order, Side, Status, TimeInForce};
use super::state::{Change, ID_LIFETIME_MS, Seen, State};
use crate::faults::Trick;

/// Orders that may be open at a time.
const MOST_OPEN: usize = 200;
/// Decimals of half a quantity.
const QUANTITY_DECIMALS: u32 = 12;

/// Prices by symbol, in BingX's spelling.
pub(super) type Prices = BTreeMap<String, Decimal>;

impl State {
    /// That a placing call came, whatever becomes of it.
    pub(super) fn receive(&self, client_id: &str, now_ms: i64) -> Change {
        let mut seen = self.seen.get(client_id).copied().unwrap_or_default();
        seen.received += 1;
        seen.last_ms = now_ms;
        Change { seen: BTreeMap::from([(client_id.to_owned(), seen)]), ..Change::default() }
    }

    /// Whether a client id may be used now.
    pub(super) fn check_unused(&self, client_id: &str, now_ms: i64) -> Result<(), ApiError> {
        match self.seen.get(client_id) {
            Some(seen) if seen.accepted > 0 && now_ms - seen.accepted_ms < ID_LIFETIME_MS => {
                Err(ApiError::duplicate_client_id())
            }
            _ => Ok(()),
        }
    }

    /// Takes an order at the price of the moment.
    pub(super) fn place(
        &self,
        new: &NewOrder,
        price: Decimal,
        trick: Option<Trick>,
        now_ms: i64,
    ) -> Result<(Order, Change), ApiError> {
        let mut change = Change { accepted: Some(self.accepted + 1), ..Change::default() };
        if let Some(id) = &new.client_id {
            self.check_unused(id, now_ms)?;
            let seen = self.seen.get(id).copied().unwrap_or_default();
            let seen = Seen { accepted: seen.accepted + 1, accepted_ms: now_ms, last_ms: now_ms, ..seen };
            change.seen.insert(id.clone(), seen);
        }
        if self.open().count() >= MOST_OPEN {
            return Err(ApiError::too_many_open_orders());
        }
        if new.reduce_only && !self.account.opening_part(&new.symbol, new.side, new.quantity).is_zero() {
            return Err(ApiError::reduce_only());
        }
        // A buyer who offers more than the price gets the price.
        let at = new.kind.limit_price().filter(|limit| !crosses(new.side, *limit, price)).unwrap_or(price);
        if trick == Some(Trick::InsufficientMargin) || self.needs(new, at) > self.available_margin() {
            return Err(ApiError::insufficient_margin());
        }
        let mut order = Order::new(self.next_id(now_ms), new, now_ms);
        let mut account = self.account.clone();
        if trick == Some(Trick::Reject) {
            order.status = Status::Rejected;
        } else {
            match new.kind {
                Kind::Market if trick == Some(Trick::PartialFill) => {
                    let half = (new.quantity / Decimal::TWO).round_dp(QUANTITY_DECIMALS).normalize();
                    fill(&mut order, &mut account, half, price, Liquidity::Taker, now_ms);
                }
                Kind::Market => fill(&mut order, &mut account, new.quantity, price, Liquidity::Taker, now_ms),
                Kind::Limit { price: limit, .. } if crosses(new.side, limit, price) => {
                    fill(&mut order, &mut account, new.quantity, price, Liquidity::Taker, now_ms);
                }
                Kind::Limit { time_in_force: TimeInForce::Gtc, .. } => {}
                Kind::Limit { .. } => order.status = Status::Cancelled,
            }
        }
        change.account = (account != self.account).then_some(account);
        change.orders.push(order.clone());
        Ok((order, change))
    }

    /// What an order binds and costs at a price. What makes a position smaller binds nothing.
    fn needs(&self, new: &NewOrder, price: Decimal) -> Decimal {
        let opening = self.account.opening_part(&new.symbol, new.side, new.quantity);
        if opening.is_zero() {
            return Decimal::ZERO;
        }
        margin(opening, price) + opening * price * Liquidity::Taker.fee()
    }

    /// Margin of orders that wait.
    pub(super) fn frozen_margin(&self) -> Decimal {
        self.open()
            .filter(|order| !order.reduce_only)
            .map(|order| {
                let opening = self.account.opening_part(&order.symbol, order.side, order.rest());
                margin(opening, order.kind.limit_price().unwrap_or_else(|| order.average_price()))
            })
            .sum()
    }

    /// What new orders may bind. Profit and loss that are not realised do not count.
    pub(super) fn available_margin(&self) -> Decimal {
        self.account.balance - self.account.used_margin() - self.frozen_margin()
    }

    /// Cancels an order.
    pub(super) fn cancel(&self, order: &Order, now_ms: i64) -> Result<(Order, Change), ApiError> {
        if !order.is_open() {
            return Err(ApiError::already_final());
        }
        let cancelled = Order { status: Status::Cancelled, updated_ms: now_ms, ..order.clone() };
        Ok((cancelled.clone(), Change { orders: vec![cancelled], ..Change::default() }))
    }

    /// Cancels every open order.
    pub(super) fn cancel_all(&self, now_ms: i64) -> Change {
        let cancelled = |order: &Order| Order { status: Status::Cancelled, updated_ms: now_ms, ..order.clone() };
        Change { orders: self.open().map(cancelled).collect(), cancel_all_ms: Some(0), ..Change::default() }
    }

    /// What the prices of the moment do to open orders. The rest of a market order waits while `hold_rests`.
    pub(super) fn look(&self, prices: &Prices, hold_rests: bool, now_ms: i64) -> Change {
        let mut account = self.account.clone();
        let mut orders = Vec::new();
        for open in self.open() {
            let Some(price) = prices.get(&open.symbol).copied() else { continue };
            let (at, liquidity) = match open.kind {
                Kind::Market if hold_rests => continue,
                Kind::Market => (price, Liquidity::Taker),
                Kind::Limit { price: limit, .. } if crosses(open.side, limit, price) => (limit, Liquidity::Maker),
                Kind::Limit { .. } => continue,
            };
            let mut order = open.clone();
            let rest = order.rest();
            // The position may have become smaller since: what is left of such an order is cancelled.
            let opening = account.opening_part(&order.symbol, order.side, rest);
            let quantity = if order.reduce_only { rest - opening } else { rest };
            if quantity > Decimal::ZERO {
                fill(&mut order, &mut account, quantity, at, liquidity, now_ms);
            }
            if order.is_open() {
                order.status = Status::Cancelled;
                order.updated_ms = now_ms;
            }
            orders.push(order);
        }
        Change { account: (account != self.account).then_some(account), orders, ..Change::default() }
    }
}

/// Whether a limit order is filled at a price.
fn crosses(side: Side, limit: Decimal, price: Decimal) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

fn fill(
    order: &mut Order,
    account: &mut Account,
    quantity: Decimal,
    price: Decimal,
    liquidity: Liquidity,
    now_ms: i64,
) {
    let fill = account.fill(&order.symbol, order.side, quantity, price, liquidity, order.id);
    order.executed = (order.executed + quantity).normalize();
    order.quote = (order.quote + quantity * price).normalize();
    order.commission += fill.commission;
    order.profit += fill.profit;
    order.status = if order.rest() > Decimal::ZERO { Status::PartiallyFilled } else { Status::Filled };
    order.updated_ms = now_ms;
}

#[cfg(test)]
mod tests;
