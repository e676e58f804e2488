//! The limits, asked in one place before every order that goes to the exchange: new, confirmed or sent again.
//!
//! The row of the trading state is locked first. So what is asked and what is then written are one step for every process:
//! whoever halts trading waits for those that are just being admitted, and admits nobody after.

use chrono::{DateTime, TimeDelta, Utc};
use domain::trading::{Market, OrderKind, Refusal, RefusalCode, Side, Signal, SignalAction};
use domain::{DecisionId, Symbol, TradingMode};
use rust_decimal::{Decimal, RoundingStrategy};
use storage::Transaction;

use super::clock::now;
use super::error::TradingError;
use super::prices::Quote;
use super::rules::Rules;
use super::state::Standing;
use super::table::Kept;
use super::{ledger, lookups, state};

/// How long a limit order is at the exchange before it rests there: one that the market has reached is filled at once, and
/// that is told a moment later.
const COMES_TO_REST: TimeDelta = TimeDelta::seconds(2);

/// What an order is about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sized {
    pub(crate) side: Side,
    pub(crate) quantity: Decimal,
    /// It may only make a position smaller.
    pub(crate) reduce_only: bool,
}

/// Everything that the limits look at, read behind the lock.
pub(crate) struct Behind {
    pub(crate) standing: Standing,
    pub(crate) held: Decimal,
    realised_today: Decimal,
    orders_last_minute: u32,
    /// Nobody knows what has become of another order of the symbol, so what is held of it may be something else.
    pub(crate) uncertain: bool,
    /// Another order of the symbol may be making the position larger just now, so what is held is not all that a close is
    /// meant to close.
    changing: bool,
    /// What other orders that may make a position larger can still buy and sell.
    coming: [Decimal; 2],
    now: DateTime<Utc>,
}

/// Locks the state and reads what the limits look at.
pub(super) async fn behind_lock(
    transaction: &mut Transaction,
    rules: &Rules,
    symbol: &Symbol,
    id: &DecisionId,
) -> Result<Behind, TradingError> {
    let standing = state::lock(transaction).await?;
    let now = now();
    // Whoever books a fill does not wait for this lock. So what is still to come is read before what is held: an order that
    // is booked in between counts twice, and never not at all.
    let uncertain = lookups::is_unknown(transaction, rules.mode, symbol, id).await?;
    let changing = lookups::is_changing(transaction, rules.mode, symbol, id, now - COMES_TO_REST).await?;
    let coming = [
        lookups::still_coming(transaction, rules.mode, symbol, Side::Buy, id).await?,
        lookups::still_coming(transaction, rules.mode, symbol, Side::Sell, id).await?,
    ];
    let orders_last_minute = lookups::count_since(transaction, rules.mode, now - TimeDelta::minutes(1), id).await?;
    let held = ledger::held(transaction, rules.mode, symbol).await?;
    let realised_today = ledger::realised_on(transaction, rules.mode, now.date_naive()).await?;
    Ok(Behind { standing, held, realised_today, orders_last_minute, uncertain, changing, coming, now })
}

impl Behind {
    /// Whether a signal has to come again before anything is said about it: a close, until it is known what there is to
    /// close. What is against it whatever is held is said at once.
    pub(super) fn holds_back(&self, rules: &Rules, signal: &Signal) -> bool {
        signal.action == SignalAction::Close && self.changing && self.admit_signal(rules, signal, None).is_ok()
    }

    /// Whether a signal may become an order, and which.
    ///
    /// Without a price there is no order, but there may be a reason against it that needs none.
    pub(super) fn admit_signal(
        &self,
        rules: &Rules,
        signal: &Signal,
        quote: Option<&Quote>,
    ) -> Result<Option<Sized>, Refusal> {
        if signal.paper_only && rules.mode == TradingMode::Live {
            let detail = "It is for paper only, and trading is live.";
            return Err(Refusal::new(RefusalCode::PaperOnly, detail));
        }
        let sized = match quote {
            Some(quote) => sized(rules, signal, self.held, quote.price),
            None => Ok(None),
        };
        match sized {
            Ok(Some(mut sized)) => {
                let quote = quote.ok_or_else(|| Refusal::new(RefusalCode::PriceTooOld, "There is no price."))?;
                let limit = signal.limit_price;
                let only = self.check(rules, &signal.symbol, sized, limit, quote, began(signal))?;
                sized.reduce_only |= only;
                Ok(Some(sized))
            }
            // What people would rather be told than that the order is too small.
            other => {
                let side = if signal.action == SignalAction::Sell { Side::Sell } else { Side::Buy };
                let reduce_only = signal.action == SignalAction::Close;
                let nothing = Sized { side, quantity: Decimal::ZERO, reduce_only };
                let market = self.market(&signal.symbol, nothing, Decimal::ZERO, 0, began(signal));
                if let Err(refusal) = rules.limits.check(&market)
                    && matches!(
                        refusal.code,
                        RefusalCode::TradingHalted | RefusalCode::SymbolNotAllowed | RefusalCode::SignalTooOld
                    )
                {
                    return Err(refusal);
                }
                other
            }
        }
    }

    /// Whether an order that is written down may be sent now; then, whether it may only make a position smaller.
    pub(super) fn admit_order(&self, rules: &Rules, kept: &Kept, quote: &Quote) -> Result<bool, Refusal> {
        let order = &kept.order;
        let sized = Sized { side: order.side, quantity: order.quantity, reduce_only: order.reduce_only };
        let limit = match order.kind {
            OrderKind::Limit { price } => Some(price),
            OrderKind::Market => None,
        };
        self.check(rules, &order.symbol, sized, limit, quote, began(&kept.signal))
    }

    fn check(
        &self,
        rules: &Rules,
        symbol: &Symbol,
        sized: Sized,
        limit: Option<Decimal>,
        quote: &Quote,
        began: DateTime<Utc>,
    ) -> Result<bool, Refusal> {
        // A buyer pays the limit at most; a seller gets it at least, and what the market pays where that is more.
        let price = match (limit, sized.side) {
            (None, _) => quote.price,
            (Some(limit), Side::Buy) => limit,
            (Some(limit), Side::Sell) => limit.max(quote.price),
        };
        let market = self.market(symbol, sized, price, quote.age_ms(), began);
        rules.limits.check(&market)?;
        Ok(rules.limits.allows_only_reducing(&market))
    }

    fn market<'a>(
        &self,
        symbol: &'a Symbol,
        sized: Sized,
        price: Decimal,
        price_age_ms: u64,
        signal_began_at: DateTime<Utc>,
    ) -> Market<'a> {
        Market {
            symbol,
            side: sized.side,
            reduce_only: sized.reduce_only,
            quantity: sized.quantity,
            price,
            price_age_ms,
            signal_began_at,
            now: self.now,
            held: self.held,
            coming: self.coming[usize::from(sized.side == Side::Sell)],
            realised_today_usd: self.realised_today,
            orders_last_minute: self.orders_last_minute,
            state: self.standing.state,
        }
    }
}

/// Since when a signal is what it is: when its sender says that it was sent, if that was before it arrived. Nobody's clock
/// makes a signal younger.
fn began(signal: &Signal) -> DateTime<Utc> {
    signal.alerted_at.map_or(signal.received_at, |alerted_at| alerted_at.min(signal.received_at))
}

/// How much a signal means, cut to what the exchange takes.
fn sized(rules: &Rules, signal: &Signal, held: Decimal, price: Decimal) -> Result<Option<Sized>, Refusal> {
    let price = signal.limit_price.unwrap_or(price);
    let worth = |notional: Decimal| notional.checked_div(price).unwrap_or_default();
    let (side, wanted, reduce_only) = match signal.action {
        SignalAction::Close if held.is_zero() => {
            let detail = format!("Nothing of {} is held: there is nothing to close.", signal.symbol);
            return Err(Refusal::new(RefusalCode::NothingToClose, detail));
        }
        SignalAction::Close => {
            let side = if held.is_sign_negative() { Side::Buy } else { Side::Sell };
            let asked = signal.quantity.or_else(|| signal.notional.map(worth));
            (side, asked.map_or(held.abs(), |asked| asked.min(held.abs())), true)
        }
        action => {
            let side = if action == SignalAction::Buy { Side::Buy } else { Side::Sell };
            let wanted = signal.quantity.unwrap_or_else(|| worth(signal.notional.unwrap_or(rules.default_notional)));
            (side, wanted, false)
        }
    };
    let decimals = rules.decimals.of(&signal.symbol);
    let quantity = wanted.round_dp_with_strategy(decimals, RoundingStrategy::ToZero).normalize();
    if quantity <= Decimal::ZERO {
        let detail = format!(
            "{} of {} is less than the exchange trades: quantities have {decimals} decimals.",
            wanted.round_dp(12).normalize(),
            signal.symbol
        );
        return Err(Refusal::new(RefusalCode::QuantityTooSmall, detail));
    }
    Ok(Some(Sized { side, quantity, reduce_only }))
}

#[cfg(test)]
mod tests {
    use domain::trading::SignalSource;
    use rust_decimal_macros::dec;
    use url::Url;

    use super::*;
    use crate::trading::settings::TradingSettings;

    fn rules() -> Rules {
        let nowhere: Url = "http://127.0.0.1:1/".parse().unwrap();
        TradingSettings::ephemeral(nowhere).checked().unwrap().unwrap().0
    }

    fn signal(action: SignalAction) -> Signal {
        Signal {
            signal_id: DecisionId::from_bytes([1; 16]),
            source: SignalSource::Tradingview,
            hook: None,
            symbol: "BTCUSDT".parse().unwrap(),
            action,
            quantity: None,
            notional: None,
            limit_price: None,
            seen_price: None,
            sender_order_id: None,
            comment: None,
            interval: None,
            paper_only: false,
            alerted_at: None,
            received_at: Utc::now(),
        }
    }

    fn size(signal: &Signal, held: Decimal) -> Result<(Side, Decimal, bool), RefusalCode> {
        let sized = sized(&rules(), signal, held, dec!(40000)).map_err(|refusal| refusal.code)?.unwrap();
        Ok((sized.side, sized.quantity, sized.reduce_only))
    }

    #[test]
    fn a_signal_says_how_much_or_the_settings_do() {
        use SignalAction::{Buy, Sell};
        assert_eq!(size(&signal(Buy), dec!(0)), Ok((Side::Buy, dec!(0.0025), false)), "100 USD");
        let exact = Signal { quantity: Some(dec!(0.01239)), ..signal(Sell) };
        assert_eq!(size(&exact, dec!(0)), Ok((Side::Sell, dec!(0.0123), false)), "cut, never rounded up");
        let worth = Signal { notional: Some(dec!(59.99)), ..signal(Buy) };
        assert_eq!(size(&worth, dec!(0)), Ok((Side::Buy, dec!(0.0014), false)));
        let limit = Signal { limit_price: Some(dec!(20000)), ..worth };
        assert_eq!(size(&limit, dec!(0)), Ok((Side::Buy, dec!(0.0029), false)), "at its own price");
        let dust = Signal { quantity: Some(dec!(0.00009)), ..signal(Buy) };
        assert_eq!(size(&dust, dec!(0)), Err(RefusalCode::QuantityTooSmall));
        let huge = Signal { notional: Some(Decimal::MAX), limit_price: Some(dec!(0.0000001)), ..signal(Buy) };
        assert_eq!(size(&huge, dec!(0)), Err(RefusalCode::QuantityTooSmall), "what cannot be counted is not traded");
    }

    #[test]
    fn a_signal_is_as_old_as_its_sender_says_and_never_younger_than_its_arrival() {
        let fresh = signal(SignalAction::Buy);
        assert_eq!(began(&fresh), fresh.received_at);
        let old = Signal { alerted_at: Some(fresh.received_at - TimeDelta::hours(2)), ..fresh.clone() };
        assert_eq!(began(&old), fresh.received_at - TimeDelta::hours(2));
        let ahead = Signal { alerted_at: Some(fresh.received_at + TimeDelta::hours(2)), ..fresh.clone() };
        assert_eq!(began(&ahead), fresh.received_at, "a clock that is wrong");
    }

    #[test]
    fn closing_takes_what_is_held_and_never_more() {
        let close = signal(SignalAction::Close);
        assert_eq!(size(&close, dec!(0)), Err(RefusalCode::NothingToClose));
        assert_eq!(size(&close, dec!(0.5)), Ok((Side::Sell, dec!(0.5), true)));
        assert_eq!(size(&close, dec!(-0.12345)), Ok((Side::Buy, dec!(0.1234), true)));
        let some = Signal { quantity: Some(dec!(0.2)), ..close.clone() };
        assert_eq!(size(&some, dec!(0.5)), Ok((Side::Sell, dec!(0.2), true)));
        let more = Signal { quantity: Some(dec!(2)), ..close };
        assert_eq!(size(&more, dec!(0.5)), Ok((Side::Sell, dec!(0.5), true)));
    }
}
