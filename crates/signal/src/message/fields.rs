//! Fields by their names: the placeholders' own, and short ones.

use chrono::{DateTime, Utc};
use domain::trading::SignalAction;
use rust_decimal::Decimal;

use super::refused::shown;
use super::values::{self, Position};
use super::{Alert, Raw, Refused, ticker};

/// A value and the name it came under.
type Named<T> = Option<(&'static str, T)>;

#[derive(Clone, Copy)]
enum Field {
    Ticker,
    Action,
    Position,
    Quantity,
    Notional,
    LimitPrice,
    Price,
    OrderPrice,
    OrderId,
    Comment,
    Interval,
    TimeNow,
}

/// The names, in any case. Others are let through and left out, for an alert's message may be meant for several
/// receivers; so are `exchange`, `open`, `high`, `low`, `volume` and `time`, which no order needs.
const NAMES: &[(&str, Field)] = &[
    ("ticker", Field::Ticker),
    ("symbol", Field::Ticker),
    ("strategy.order.action", Field::Action),
    ("action", Field::Action),
    ("side", Field::Action),
    ("strategy.market_position", Field::Position),
    ("market_position", Field::Position),
    ("strategy.order.contracts", Field::Quantity),
    ("contracts", Field::Quantity),
    ("quantity", Field::Quantity),
    ("qty", Field::Quantity),
    ("notional", Field::Notional),
    ("limit_price", Field::LimitPrice),
    ("close", Field::Price),
    ("price", Field::Price),
    ("strategy.order.price", Field::OrderPrice),
    ("strategy.order.id", Field::OrderId),
    ("order_id", Field::OrderId),
    ("strategy.order.comment", Field::Comment),
    ("comment", Field::Comment),
    ("interval", Field::Interval),
    ("timenow", Field::TimeNow),
];

/// What is known of an alert, field by field.
#[derive(Default)]
pub(super) struct Fields {
    ticker: Named<String>,
    action: Named<SignalAction>,
    position: Named<Position>,
    quantity: Named<Decimal>,
    notional: Named<Decimal>,
    limit_price: Named<Decimal>,
    price: Named<Decimal>,
    order_price: Named<Decimal>,
    order_id: Named<Option<String>>,
    comment: Named<Option<String>>,
    interval: Named<Option<String>>,
    timenow: Named<DateTime<Utc>>,
}

/// Keeps a value; one that came before, under whichever name, must say the same.
fn put<T: PartialEq>(place: &mut Named<T>, name: &'static str, value: T) -> Result<(), Refused> {
    match place {
        None => {
            *place = Some((name, value));
            Ok(())
        }
        Some((_, before)) if *before == value => Ok(()),
        Some((first, _)) => Err(Refused::Twice(first, name)),
    }
}

impl Fields {
    pub(super) fn collect(pairs: Vec<(String, Raw)>) -> Result<Self, Refused> {
        let mut fields = Self::default();
        for (name, raw) in pairs {
            if raw == Raw::Nested {
                return Err(Refused::Nested(shown(&name)));
            }
            let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
            if let Some(&(name, field)) = known {
                fields.take(name, field, &raw)?;
            }
        }
        Ok(fields)
    }

    fn take(&mut self, name: &'static str, field: Field, raw: &Raw) -> Result<(), Refused> {
        match field {
            Field::Ticker => put(&mut self.ticker, name, values::present(name, raw)?.to_ascii_uppercase()),
            Field::Action => put(&mut self.action, name, values::action(name, raw)?),
            Field::Position => put(&mut self.position, name, values::position(name, raw)?),
            Field::Quantity => put(&mut self.quantity, name, values::number(name, raw)?),
            Field::Notional => put(&mut self.notional, name, values::number(name, raw)?),
            Field::LimitPrice => put(&mut self.limit_price, name, values::number(name, raw)?),
            Field::Price => put(&mut self.price, name, values::number(name, raw)?),
            Field::OrderPrice => put(&mut self.order_price, name, values::number(name, raw)?),
            Field::OrderId => put(&mut self.order_id, name, values::order_id(name, raw)?),
            Field::Comment => put(&mut self.comment, name, values::comment(name, raw)?),
            Field::Interval => put(&mut self.interval, name, values::interval(name, raw)?),
            Field::TimeNow => put(&mut self.timenow, name, values::time(name, raw)?),
        }
    }

    pub(super) fn alert(self) -> Result<Alert, Refused> {
        let (name, spelled) = self.ticker.ok_or(Refused::Missing("ticker"))?;
        let symbol = ticker::symbol(&spelled).ok_or(Refused::Symbol(name))?;
        // A strategy that leaves the market sends the side of the order that does it, `sell` where it was long, and the
        // position that it has then: that order closes, however much is held here.
        let flat = matches!(self.position, Some((_, Position::Flat)));
        let action = match self.action {
            _ if flat => SignalAction::Close,
            Some((_, action)) => action,
            None => return Err(Refused::Missing("action")),
        };
        // Flat means all of it, whatever size the strategy's own order had.
        let (quantity, notional) = if flat { (None, None) } else { (self.quantity, self.notional) };
        if let (Some((name, _)), Some(_)) = (&quantity, &notional) {
            return Err(Refused::TwoSizes(name));
        }
        Ok(Alert {
            ticker: spelled,
            symbol,
            action,
            quantity: quantity.map(|(_, number)| number),
            notional: notional.map(|(_, number)| number),
            limit_price: self.limit_price.map(|(_, number)| number),
            seen_price: self.price.or(self.order_price).map(|(_, number)| number),
            order_id: self.order_id.and_then(|(_, id)| id),
            comment: self.comment.and_then(|(_, words)| words),
            interval: self.interval.and_then(|(_, interval)| interval),
            alerted_at: self.timenow.map(|(_, time)| time),
        })
    }
}
