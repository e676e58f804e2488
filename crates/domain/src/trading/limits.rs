//! The limits: the one place that says whether an order may be made.

use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Side, TradingState};
use crate::Symbol;

/// What every order must keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Limits {
    /// Symbols that may be traded.
    pub symbols: Vec<Symbol>,
    /// Largest notional of an order, in US dollars (the quote currency, where that is a dollar's coin).
    #[schema(value_type = String)]
    pub max_order_notional_usd: Decimal,
    /// Largest position in a symbol, by notional, in US dollars: what is held, what other open orders can add to it, and
    /// the order itself, at the order's price.
    #[schema(value_type = String)]
    pub max_position_notional_usd: Decimal,
    /// Largest loss of a day (UTC), fees counted, in US dollars; beyond it only what makes positions smaller is traded.
    #[schema(value_type = String)]
    pub max_daily_loss_usd: Decimal,
    /// Most orders a minute.
    pub max_orders_per_minute: u32,
    /// Oldest price that an order may be made at, in milliseconds.
    pub max_price_age_ms: u64,
    /// Oldest signal that becomes an order, in seconds; one that only makes a position smaller is never too old.
    pub max_signal_age_seconds: u64,
}

/// What an order would meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Market<'a> {
    /// What is to be traded.
    pub symbol: &'a Symbol,
    /// Which side.
    pub side: Side,
    /// It may only make a position smaller, whatever is held once the exchange has it.
    pub reduce_only: bool,
    /// How much, in the base currency, above zero.
    pub quantity: Decimal,
    /// Price of the moment (or the order's own limit), in the quote currency.
    pub price: Decimal,
    /// Age of that price, in milliseconds.
    pub price_age_ms: u64,
    /// When the signal arrived, or was sent where that was before.
    pub signal_began_at: DateTime<Utc>,
    /// Now.
    pub now: DateTime<Utc>,
    /// What is held of the symbol, in the base currency: above zero is long.
    pub held: Decimal,
    /// What other open orders on the same side can still fill, those left out that only make a position smaller; in the
    /// base currency, not below zero.
    pub coming: Decimal,
    /// Realised today, fees taken off, in US dollars.
    pub realised_today_usd: Decimal,
    /// Orders made in the last minute, this one not counted.
    pub orders_last_minute: u32,
    /// What may be traded.
    pub state: TradingState,
}

/// Why there is no order; bounded, for metrics and for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Trading is halted.
    TradingHalted,
    /// Only what makes positions smaller is traded.
    ReducingOnly,
    /// The symbol may not be traded.
    SymbolNotAllowed,
    /// The order is too large.
    NotionalTooLarge,
    /// The position would be too large.
    PositionTooLarge,
    /// The day has lost too much.
    DailyLoss,
    /// Too many orders in a minute.
    TooManyOrders,
    /// The price is too old.
    PriceTooOld,
    /// The signal is too old.
    SignalTooOld,
    /// There is nothing to close.
    NothingToClose,
    /// The quantity is below what the exchange trades.
    QuantityTooSmall,
    /// market-data-service does not serve the symbol.
    UnknownSymbol,
    /// It must not be traded with real money, and trading is live.
    PaperOnly,
}

impl RefusalCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::TradingHalted,
        Self::ReducingOnly,
        Self::SymbolNotAllowed,
        Self::NotionalTooLarge,
        Self::PositionTooLarge,
        Self::DailyLoss,
        Self::TooManyOrders,
        Self::PriceTooOld,
        Self::SignalTooOld,
        Self::NothingToClose,
        Self::QuantityTooSmall,
        Self::UnknownSymbol,
        Self::PaperOnly,
    ];

    /// As JSON, databases and metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TradingHalted => "trading_halted",
            Self::ReducingOnly => "reducing_only",
            Self::SymbolNotAllowed => "symbol_not_allowed",
            Self::NotionalTooLarge => "notional_too_large",
            Self::PositionTooLarge => "position_too_large",
            Self::DailyLoss => "daily_loss",
            Self::TooManyOrders => "too_many_orders",
            Self::PriceTooOld => "price_too_old",
            Self::SignalTooOld => "signal_too_old",
            Self::NothingToClose => "nothing_to_close",
            Self::QuantityTooSmall => "quantity_too_small",
            Self::UnknownSymbol => "unknown_symbol",
            Self::PaperOnly => "paper_only",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is no order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// A sentence for people, with the numbers.
    pub detail: String,
}

impl Refusal {
    /// A refusal and its sentence.
    #[must_use]
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl Limits {
    /// Whether an order may be made, checked in the order in which a person would want to be told.
    ///
    /// # Errors
    /// The first limit that it breaks.
    pub fn check(&self, market: &Market<'_>) -> Result<(), Refusal> {
        let reduces = reduces(market);
        match market.state {
            TradingState::Halted => {
                return Err(Refusal::new(RefusalCode::TradingHalted, "Trading is halted."));
            }
            TradingState::Reducing if !reduces => {
                let detail = "Trading is paused: only what makes a position smaller is traded.";
                return Err(Refusal::new(RefusalCode::ReducingOnly, detail));
            }
            TradingState::Running | TradingState::Reducing => {}
        }
        if !self.symbols.contains(market.symbol) {
            let allowed: Vec<&str> = self.symbols.iter().map(Symbol::as_str).collect();
            let detail = format!("{} may not be traded; allowed: {}.", market.symbol, allowed.join(", "));
            return Err(Refusal::new(RefusalCode::SymbolNotAllowed, detail));
        }
        let age = (market.now - market.signal_began_at).num_seconds().max(0).unsigned_abs();
        // What has waited for long behind others must not leave the position open.
        if age > self.max_signal_age_seconds && !market.reduce_only {
            let detail = format!("The signal is {age} s old; {} s is the limit.", self.max_signal_age_seconds);
            return Err(Refusal::new(RefusalCode::SignalTooOld, detail));
        }
        if market.price_age_ms > self.max_price_age_ms {
            let (age, limit) = (market.price_age_ms, self.max_price_age_ms);
            let detail = format!("The price of {} is {age} ms old; {limit} ms is the limit.", market.symbol);
            return Err(Refusal::new(RefusalCode::PriceTooOld, detail));
        }
        let notional = market.quantity.checked_mul(market.price);
        if notional.is_none_or(|notional| notional > self.max_order_notional_usd) && !reduces {
            let shown = notional.map_or_else(|| "more than can be counted".to_owned(), |n| n.round_dp(2).to_string());
            let detail =
                format!("The order's notional is {shown} USD; {} USD is the limit.", self.max_order_notional_usd);
            return Err(Refusal::new(RefusalCode::NotionalTooLarge, detail));
        }
        let position = position_notional(market);
        if position.is_none_or(|position| position > self.max_position_notional_usd) && !reduces {
            let shown = position.map_or_else(|| "more than can be counted".to_owned(), |n| n.round_dp(2).to_string());
            let detail = format!(
                "With this order and those that are open, the position in {} can be {shown} USD; {} USD is the limit.",
                market.symbol, self.max_position_notional_usd
            );
            return Err(Refusal::new(RefusalCode::PositionTooLarge, detail));
        }
        if market.realised_today_usd <= -self.max_daily_loss_usd && !reduces {
            let lost = -market.realised_today_usd.round_dp(2);
            let detail = format!("Today has lost {lost} USD; {} USD is the limit.", self.max_daily_loss_usd);
            return Err(Refusal::new(RefusalCode::DailyLoss, detail));
        }
        // A way out is never closed by how often somebody went in.
        if market.orders_last_minute >= self.max_orders_per_minute && !reduces {
            let limit = self.max_orders_per_minute;
            let detail =
                format!("There were {} orders in the last minute; {limit} is the limit.", market.orders_last_minute);
            return Err(Refusal::new(RefusalCode::TooManyOrders, detail));
        }
        Ok(())
    }
}

impl Limits {
    /// Whether an order that [`Limits::check`] allows is allowed only because it makes a position smaller: then the
    /// exchange has to be told so, for the position can be gone by the time it gets the order.
    #[must_use]
    pub fn allows_only_reducing(&self, market: &Market<'_>) -> bool {
        let notional = market.quantity.checked_mul(market.price);
        market.state == TradingState::Reducing
            || notional.is_none_or(|notional| notional > self.max_order_notional_usd)
            || position_notional(market).is_none_or(|position| position > self.max_position_notional_usd)
            || market.realised_today_usd <= -self.max_daily_loss_usd
            || market.orders_last_minute >= self.max_orders_per_minute
    }
}

/// How large the position can become on the order's side, at its price; none where that cannot be counted. What is held on
/// the other side is not taken off: it may be closed before the order is filled.
fn position_notional(market: &Market<'_>) -> Option<Decimal> {
    let held = market.side.signed(market.held).max(Decimal::ZERO);
    held.checked_add(market.coming)?.checked_add(market.quantity)?.checked_mul(market.price)
}

/// Whether an order makes the position smaller and does not turn it.
fn reduces(market: &Market<'_>) -> bool {
    let change = market.side.signed(market.quantity);
    !market.held.is_zero()
        && market.held.is_sign_negative() != change.is_sign_negative()
        && change.abs() <= market.held.abs()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use rust_decimal_macros::dec;

    use super::*;

    fn limits() -> Limits {
        Limits {
            symbols: vec!["BTCUSDT".parse().unwrap()],
            max_order_notional_usd: dec!(1000),
            max_position_notional_usd: dec!(3000),
            max_daily_loss_usd: dec!(200),
            max_orders_per_minute: 10,
            max_price_age_ms: 10_000,
            max_signal_age_seconds: 300,
        }
    }

    fn refused(change: impl FnOnce(&mut Market<'_>)) -> Option<RefusalCode> {
        let symbol = "BTCUSDT".parse().unwrap();
        let now = Utc::now();
        let mut market = Market {
            symbol: &symbol,
            side: Side::Buy,
            reduce_only: false,
            quantity: dec!(0.01),
            price: dec!(40000),
            price_age_ms: 10_000,
            signal_began_at: now - TimeDelta::seconds(300),
            now,
            held: Decimal::ZERO,
            coming: Decimal::ZERO,
            realised_today_usd: dec!(-199.99),
            orders_last_minute: 9,
            state: TradingState::Running,
        };
        change(&mut market);
        limits().check(&market).err().map(|refusal| refusal.code)
    }

    #[test]
    fn at_each_limit_it_is_allowed_and_beyond_it_is_not() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|m| m.quantity = dec!(0.025)), None);
        assert_eq!(refused(|m| m.quantity = dec!(0.0250001)), Some(RefusalCode::NotionalTooLarge));
        assert_eq!(refused(|m| m.quantity = Decimal::MAX), Some(RefusalCode::NotionalTooLarge));
        assert_eq!(refused(|m| m.realised_today_usd = dec!(-200)), Some(RefusalCode::DailyLoss));
        assert_eq!(refused(|m| m.orders_last_minute = 10), Some(RefusalCode::TooManyOrders));
        assert_eq!(refused(|m| m.price_age_ms = 10_001), Some(RefusalCode::PriceTooOld));
        assert_eq!(refused(|m| m.now += TimeDelta::seconds(1)), Some(RefusalCode::SignalTooOld));
        let closes = |m: &mut Market<'_>| {
            (m.reduce_only, m.held, m.side) = (true, dec!(0.01), Side::Sell);
            m.now += TimeDelta::hours(5);
        };
        assert_eq!(refused(closes), None, "what only reduces is never too old");
        assert_eq!(refused(|m| m.state = TradingState::Halted), Some(RefusalCode::TradingHalted));
        assert_eq!(refused(|m| m.state = TradingState::Reducing), Some(RefusalCode::ReducingOnly));
        let other = "ETHUSDT".parse().unwrap();
        let now = Utc::now();
        let market = Market {
            symbol: &other,
            side: Side::Buy,
            reduce_only: false,
            quantity: dec!(1),
            price: dec!(1),
            price_age_ms: 0,
            signal_began_at: now,
            now,
            held: Decimal::ZERO,
            coming: Decimal::ZERO,
            realised_today_usd: Decimal::ZERO,
            orders_last_minute: 0,
            state: TradingState::Running,
        };
        let refusal = limits().check(&market).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::SymbolNotAllowed);
        assert_eq!(refusal.detail, "ETHUSDT may not be traded; allowed: BTCUSDT.");
    }

    #[test]
    fn what_makes_a_position_smaller_gets_out_of_it_and_nothing_gets_out_of_a_halt() {
        let large = |m: &mut Market<'_>| {
            (m.held, m.side, m.quantity, m.realised_today_usd) = (dec!(1), Side::Sell, dec!(1), dec!(-500));
        };
        assert_eq!(refused(large), None);
        let paused = |m: &mut Market<'_>| {
            large(m);
            m.state = TradingState::Reducing;
        };
        assert_eq!(refused(paused), None);
        let turned = |m: &mut Market<'_>| {
            paused(m);
            m.quantity = dec!(1.0001);
        };
        assert_eq!(refused(turned), Some(RefusalCode::ReducingOnly));
        let halted = |m: &mut Market<'_>| {
            large(m);
            m.state = TradingState::Halted;
        };
        assert_eq!(refused(halted), Some(RefusalCode::TradingHalted));
        let added = |m: &mut Market<'_>| {
            paused(m);
            m.side = Side::Buy;
        };
        assert_eq!(refused(added), Some(RefusalCode::ReducingOnly));
    }

    #[test]
    fn what_is_allowed_only_because_it_reduces_is_known() {
        let symbol = "BTCUSDT".parse().unwrap();
        let now = Utc::now();
        let market = Market {
            symbol: &symbol,
            side: Side::Sell,
            reduce_only: false,
            quantity: dec!(0.025),
            price: dec!(40000),
            price_age_ms: 0,
            signal_began_at: now,
            now,
            held: dec!(0.03),
            coming: Decimal::ZERO,
            realised_today_usd: dec!(-199.99),
            orders_last_minute: 0,
            state: TradingState::Running,
        };
        let limits = limits();
        assert!(!limits.allows_only_reducing(&market), "it would be allowed to anybody");
        for market in [
            Market { state: TradingState::Reducing, ..market.clone() },
            Market { quantity: dec!(0.0250001), ..market.clone() },
            Market { realised_today_usd: dec!(-200), ..market.clone() },
            Market { orders_last_minute: 10, ..market.clone() },
        ] {
            assert_eq!(limits.check(&market), Ok(()));
            assert!(limits.allows_only_reducing(&market));
        }
    }

    #[test]
    fn a_position_is_what_is_held_what_comes_and_the_order() {
        let long = |m: &mut Market<'_>| (m.held, m.coming) = (dec!(0.05), dec!(0.015));
        assert_eq!(refused(long), None, "0.075 at 40000 is 3000");
        let more = |m: &mut Market<'_>| (m.held, m.coming) = (dec!(0.05), dec!(0.0151));
        assert_eq!(refused(more), Some(RefusalCode::PositionTooLarge));
        let short = |m: &mut Market<'_>| (m.side, m.held) = (Side::Sell, dec!(-0.0651));
        assert_eq!(refused(short), Some(RefusalCode::PositionTooLarge));
        let out = |m: &mut Market<'_>| (m.side, m.held) = (Side::Sell, dec!(5));
        assert_eq!(refused(out), None, "what makes it smaller gets out of it");
        let uncountable = |m: &mut Market<'_>| m.held = Decimal::MAX;
        assert_eq!(refused(uncountable), Some(RefusalCode::PositionTooLarge));
    }

    proptest! {
        /// However many orders are let through, and whichever of them are filled: the position is never larger.
        #[test]
        fn no_row_of_orders_makes_a_position_larger(
            orders in prop::collection::vec((any::<bool>(), 1_i64..250, 0_u8..3), 1..60)
        ) {
            let (limits, symbol, now) = (limits(), "BTCUSDT".parse().unwrap(), Utc::now());
            let price = dec!(40000);
            let (mut held, mut open) = (Decimal::ZERO, [Decimal::ZERO; 2]);
            for (buys, quantity, filled) in orders {
                let side = if buys { Side::Buy } else { Side::Sell };
                let place = usize::from(!buys);
                let quantity = Decimal::new(quantity, 4);
                let market = Market {
                    symbol: &symbol, side, reduce_only: false, quantity, price, price_age_ms: 0, signal_began_at: now, now, held,
                    coming: open[place], realised_today_usd: Decimal::ZERO, orders_last_minute: 0,
                    state: TradingState::Running,
                };
                if limits.check(&market).is_ok() {
                    if limits.allows_only_reducing(&market) {
                        // The exchange is told so: it is filled at once, and never turns the position.
                        held += side.signed(quantity.min(held.abs()));
                        continue;
                    }
                    open[place] += quantity;
                }
                // Nothing of what is open on this side is filled, half of it, or all.
                let fills = open[place] * Decimal::from(filled) / dec!(2);
                open[place] -= fills;
                held += side.signed(fills);
                prop_assert!(held.abs() * price <= limits.max_position_notional_usd, "{held}");
            }
        }
    }

    #[test]
    fn a_code_is_the_same_word_everywhere() {
        for code in RefusalCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
