//! What a report of the exchange does to an order and to its position: pure rules, no I/O.
//!
//! The exchange tells the whole of an order's fills each time, not each fill. What is booked is the difference to what is
//! booked already, so a report that is older, or the same again, changes nothing; and a position is made anew from what it
//! was before the order and from the order's whole fill, so it does not matter in how many parts that was told.

use domain::DecisionId;
use domain::trading::{Fill, OrderStatus, PnlError, Position, Side};
use rust_decimal::Decimal;

use super::exchange::Report;

/// What is known of an order's fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) status: OrderStatus,
    /// In the base currency.
    pub(crate) filled: Decimal,
    /// In the quote currency; none while nothing is filled.
    pub(crate) average_price: Option<Decimal>,
    pub(crate) fee: Decimal,
    pub(crate) realised: Decimal,
}

impl Figures {
    fn paid(&self) -> Result<Decimal, PnlError> {
        self.average_price.unwrap_or_default().checked_mul(self.filled).ok_or(PnlError::TooLarge)
    }
}

/// A position, what it brought, and from where it was last counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) position: Position,
    /// Since the beginning.
    pub(crate) realised: Decimal,
    pub(crate) fees: Decimal,
    /// The order that was filled last.
    pub(crate) last_order: Option<DecisionId>,
    /// The position when it became that, and what of the order had been counted then.
    pub(crate) base: Position,
    pub(crate) base_filled: Decimal,
    pub(crate) base_paid: Decimal,
    pub(crate) base_realised: Decimal,
}

/// What is new in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Booking {
    /// The order after it.
    pub(crate) order: Figures,
    /// The position after it.
    pub(crate) ledger: Ledger,
    /// How much more is filled, and at which price; none where only the fee has changed.
    pub(crate) fill: Option<(Decimal, Decimal)>,
    pub(crate) fee: Decimal,
    pub(crate) realised: Decimal,
}

/// What a report says that is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// Another status, and nothing to book.
    Status(OrderStatus),
    /// Something to book, and perhaps another status.
    Booking(Box<Booking>),
}

/// Compares a report with what is known of its order.
///
/// # Errors
/// When the numbers are no fill, or too large.
pub(crate) fn read(
    id: &DecisionId,
    side: Side,
    known: &Figures,
    ledger: &Ledger,
    report: &Report,
) -> Result<News, PnlError> {
    if report.filled < known.filled {
        return Ok(News::None);
    }
    let status = next_status(known.status, report);
    let more = report.filled > known.filled;
    // Of two reports with the same fills the one with the larger fee is the later one: it comes after the fill.
    let fee_told = report.filled > Decimal::ZERO && report.fee.abs() > known.fee.abs();
    if !more && !fee_told {
        return Ok(if status == known.status { News::None } else { News::Status(status) });
    }
    let Some(average) = report.average_price.filter(|price| *price > Decimal::ZERO) else {
        // Filled at no price: the exchange has not done its sums yet, and is asked again.
        return Ok(News::None);
    };
    let large = PnlError::TooLarge;
    let mut after = Figures { status, fee: report.fee, ..*known };
    let mut ledger = ledger.clone();
    let fill = if more {
        after.filled = report.filled;
        after.average_price = Some(average);
        let (before, paid) = (known.paid()?, after.paid()?);
        if ledger.last_order.as_ref() != Some(id) {
            ledger.last_order = Some(id.clone());
            ledger.base = ledger.position;
            ledger.base_filled = known.filled;
            ledger.base_paid = before;
            ledger.base_realised = known.realised;
        }
        let whole = price_of(after.filled - ledger.base_filled, paid, ledger.base_paid, average)?;
        let (position, realised) = ledger.base.apply(Fill { side, quantity: whole.0, price: whole.1 })?;
        ledger.position = position;
        after.realised = ledger.base_realised.checked_add(realised).ok_or(large)?;
        Some(price_of(after.filled - known.filled, paid, before, average)?)
    } else {
        None
    };
    let (fee, realised) = (after.fee - known.fee, after.realised - known.realised);
    ledger.fees = ledger.fees.checked_add(fee).ok_or(large)?;
    ledger.realised = ledger.realised.checked_add(realised).ok_or(large)?;
    Ok(News::Booking(Box::new(Booking { order: after, ledger, fill, fee, realised })))
}

/// A quantity and its price: what was paid for it, or the average where rounding leaves nothing.
fn price_of(
    quantity: Decimal,
    paid: Decimal,
    before: Decimal,
    average: Decimal,
) -> Result<(Decimal, Decimal), PnlError> {
    if before.is_zero() {
        return Ok((quantity, average));
    }
    let difference = paid.checked_sub(before).ok_or(PnlError::TooLarge)?;
    let price = difference.checked_div(quantity).ok_or(PnlError::TooLarge)?;
    Ok((quantity, if price > Decimal::ZERO { price } else { average }))
}

/// Where an order stands after a report: where the report says, if it may go there, and nowhere that its fills deny.
fn next_status(known: OrderStatus, report: &Report) -> OrderStatus {
    let filled = report.filled > Decimal::ZERO;
    let told = match report.status {
        // Filled at no price, or nothing of it: not yet.
        Some(OrderStatus::Filled) if !filled || report.average_price.is_none() => OrderStatus::Submitted,
        Some(OrderStatus::Submitted | OrderStatus::PartiallyFilled) | None => {
            if filled {
                OrderStatus::PartiallyFilled
            } else {
                OrderStatus::Submitted
            }
        }
        // What was filled before stays filled.
        Some(OrderStatus::Rejected) if filled => OrderStatus::Cancelled,
        Some(other) => other,
    };
    if known.may_become(told) { told } else { known }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal_macros::dec;

    use super::*;

    fn id(number: u8) -> DecisionId {
        DecisionId::from_bytes([number; 16])
    }

    fn submitted() -> Figures {
        Figures {
            status: OrderStatus::Submitted,
            filled: Decimal::ZERO,
            average_price: None,
            fee: Decimal::ZERO,
            realised: Decimal::ZERO,
        }
    }

    fn report(status: OrderStatus, filled: Decimal, average: Decimal, fee: Decimal) -> Report {
        let average_price = (filled > Decimal::ZERO).then_some(average);
        Report { exchange_order_id: "1".to_owned(), status: Some(status), filled, average_price, fee }
    }

    /// Books reports one after the other.
    fn run(side: Side, ledger: &Ledger, reports: &[Report]) -> (Figures, Ledger) {
        reports.iter().fold((submitted(), ledger.clone()), |(order, ledger), report| {
            match read(&id(1), side, &order, &ledger, report).unwrap() {
                News::None => (order, ledger),
                News::Status(status) => (Figures { status, ..order }, ledger),
                News::Booking(booking) => (booking.order, booking.ledger),
            }
        })
    }

    #[test]
    fn what_is_new_is_booked_and_nothing_twice() {
        let half = report(OrderStatus::PartiallyFilled, dec!(0.5), dec!(100), dec!(0.05));
        let whole = report(OrderStatus::Filled, dec!(1), dec!(101), dec!(0.1));
        let (order, ledger) = run(Side::Buy, &Ledger::default(), &[half.clone(), half.clone(), whole.clone(), half]);
        assert_eq!((order.status, order.filled, order.average_price), (OrderStatus::Filled, dec!(1), Some(dec!(101))));
        assert_eq!((ledger.position.quantity, ledger.position.cost, ledger.fees), (dec!(1), dec!(101), dec!(0.1)));
        let News::None = read(&id(1), Side::Buy, &order, &ledger, &whole).unwrap() else { panic!("nothing is new") };
    }

    #[test]
    fn a_fill_without_a_price_waits_for_it() {
        let mut early = report(OrderStatus::Filled, dec!(1), dec!(100), dec!(0));
        early.average_price = None;
        assert_eq!(read(&id(1), Side::Buy, &submitted(), &Ledger::default(), &early).unwrap(), News::None);
        let nothing = report(OrderStatus::Filled, dec!(0), dec!(0), dec!(0));
        assert_eq!(read(&id(1), Side::Buy, &submitted(), &Ledger::default(), &nothing).unwrap(), News::None);
    }

    #[test]
    fn a_fee_that_comes_later_is_booked_too() {
        let filled = report(OrderStatus::Filled, dec!(1), dec!(100), dec!(0));
        let with_fee = Report { fee: dec!(0.05), ..filled.clone() };
        let (order, ledger) = run(Side::Buy, &Ledger::default(), &[filled.clone(), with_fee, filled]);
        assert_eq!((order.fee, ledger.fees, ledger.position.quantity), (dec!(0.05), dec!(0.05), dec!(1)));
    }

    #[test]
    fn what_is_filled_after_the_end_is_counted_and_the_end_stays() {
        let cancelled = report(OrderStatus::Cancelled, dec!(0.2), dec!(100), dec!(0));
        let more = report(OrderStatus::PartiallyFilled, dec!(0.3), dec!(100), dec!(0));
        let (order, ledger) = run(Side::Sell, &Ledger::default(), &[cancelled, more]);
        assert_eq!((order.status, ledger.position.quantity), (OrderStatus::Cancelled, dec!(-0.3)));
    }

    #[test]
    fn orders_that_take_turns_are_booked_part_by_part() {
        let mut ledger = Ledger::default();
        let (mut one, mut two) = (submitted(), submitted());
        for (number, filled) in [(1, dec!(1)), (2, dec!(1)), (1, dec!(2)), (2, dec!(3))] {
            let (order, side) = if number == 1 { (&mut one, Side::Buy) } else { (&mut two, Side::Sell) };
            let told = report(OrderStatus::PartiallyFilled, filled, dec!(100) + filled, dec!(0));
            let News::Booking(booking) = read(&id(number), side, order, &ledger, &told).unwrap() else {
                panic!("it is new");
            };
            (*order, ledger) = (booking.order, booking.ledger);
        }
        // Bought 2 for 204, sold 3 for 309: one is sold short at what the last two brought.
        assert_eq!(ledger.position.quantity, dec!(-1));
        let cash = dec!(309) - dec!(204);
        assert_eq!(ledger.realised, cash + ledger.position.cost);
        assert_eq!(ledger.realised, one.realised + two.realised);
    }

    /// An order's reports, first to last: fills grow, the fee with them.
    fn reports() -> impl Strategy<Value = Vec<Report>> {
        let part = (1_i64..5_000, 1_i64..9_000_000, 0_i64..1_000);
        (prop::collection::vec(part, 1..8), 0_usize..3).prop_map(|(parts, end)| {
            let (mut filled, mut paid, mut fee) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
            let mut all = vec![report(OrderStatus::Submitted, Decimal::ZERO, Decimal::ZERO, Decimal::ZERO)];
            for (quantity, price, more) in parts {
                let quantity = Decimal::new(quantity, 4);
                filled += quantity;
                paid += quantity * Decimal::new(price, 2);
                fee += Decimal::new(more, 4);
                // As exchanges round it.
                let average = (paid / filled).round_dp(4).max(dec!(0.0001));
                all.push(report(OrderStatus::PartiallyFilled, filled, average, fee));
            }
            let last = all.last().cloned().unwrap();
            let status = [OrderStatus::Filled, OrderStatus::Cancelled, OrderStatus::Expired][end];
            all.push(Report { status: Some(status), ..last });
            all
        })
    }

    proptest! {
        /// In whatever order reports come, and however often: the same fills, fee, profit and position.
        #[test]
        fn the_order_of_reports_makes_no_difference(
            (all, shuffled) in reports().prop_flat_map(|all| {
                let twice = [all.clone(), all.clone()].concat();
                (Just(all), Just(twice).prop_shuffle())
            }),
            sells in any::<bool>(),
            held in -20_000_i64..20_000,
        ) {
            let side = if sells { Side::Sell } else { Side::Buy };
            let quantity = Decimal::new(held, 4);
            let before = Ledger {
                position: Position { quantity, cost: quantity * dec!(250.5) },
                last_order: Some(id(9)),
                ..Ledger::default()
            };
            let (straight, again) = (run(side, &before, &all), run(side, &before, &shuffled));
            prop_assert_eq!(&straight.0, &again.0);
            prop_assert_eq!(&straight.1, &again.1);
            let last = all.last().unwrap();
            prop_assert_eq!(straight.0.filled, last.filled);
            prop_assert_eq!(straight.1.fees, last.fee);
            prop_assert_eq!(straight.1.position.quantity, quantity + side.signed(last.filled));
            prop_assert_eq!(straight.1.realised, straight.0.realised);
        }
    }
}
