use rust_decimal_macros::dec;

use super::*;

const BTC: &str = "BTC-USDT";

fn market(side: Side, quantity: Decimal) -> NewOrder {
    let symbol = BTC.to_owned();
    NewOrder { symbol, side, kind: Kind::Market, quantity, reduce_only: false, client_id: None }
}

fn limit(side: Side, quantity: Decimal, price: Decimal, time_in_force: TimeInForce) -> NewOrder {
    NewOrder { kind: Kind::Limit { price, time_in_force }, ..market(side, quantity) }
}

fn prices(price: Decimal) -> Prices {
    Prices::from([(BTC.to_owned(), price)])
}

/// Places and makes it so.
fn place(state: &mut State, new: &NewOrder, price: Decimal) -> Order {
    let (order, change) = state.place(new, price, None, 1_700_000_000_000).unwrap();
    state.apply(change);
    order
}

#[test]
fn market_orders_are_filled_at_the_price_and_pay_a_fee() {
    let mut state = State::new(dec!(10000));
    let order = place(&mut state, &market(Side::Buy, dec!(0.1)), dec!(40000));
    assert_eq!((order.status, order.executed, order.average_price()), (Status::Filled, dec!(0.1), dec!(40000)));
    assert_eq!((order.commission, state.account.balance), (dec!(2), dec!(9998)));
    assert!(order.id > 1 << 53);
    let next = place(&mut state, &market(Side::Sell, dec!(0.1)), dec!(41000));
    assert!(next.id > order.id);
    assert_eq!((next.profit, state.account.balance), (dec!(100), dec!(10095.95)));
    assert_eq!(state.accepted, 2);
}

#[test]
fn limit_orders_wait_cross_and_free_their_margin() {
    let mut state = State::new(dec!(10000));
    let waiting = place(&mut state, &limit(Side::Buy, dec!(1), dec!(30000), TimeInForce::Gtc), dec!(40000));
    assert_eq!(waiting.status, Status::Pending);
    assert_eq!((state.frozen_margin(), state.available_margin()), (dec!(3000), dec!(7000)));
    assert!(state.look(&prices(dec!(30000.01)), false, 5).is_nothing());
    let change = state.look(&prices(dec!(29000)), false, 5);
    state.apply(change);
    let filled = state.by_id(waiting.id).unwrap();
    assert_eq!((filled.status, filled.average_price(), filled.commission), (Status::Filled, dec!(30000), dec!(6)));
    assert_eq!((state.frozen_margin(), state.account.used_margin()), (dec!(0), dec!(3000)));
    // Better than its limit, and so at once and as a taker.
    let better = place(&mut state, &limit(Side::Sell, dec!(1), dec!(30000), TimeInForce::Fok), dec!(31000));
    assert_eq!((better.status, better.average_price(), better.commission), (Status::Filled, dec!(31000), dec!(15.5)));
    for time_in_force in [TimeInForce::Ioc, TimeInForce::Fok] {
        let missed = place(&mut state, &limit(Side::Sell, dec!(1), dec!(32000), time_in_force), dec!(31000));
        assert_eq!((missed.status, missed.executed), (Status::Cancelled, dec!(0)));
    }
}

#[test]
fn reduce_only_orders_never_open() {
    let mut state = State::new(dec!(10000));
    let reduce = |side, quantity| NewOrder { reduce_only: true, ..market(side, quantity) };
    let refused = |state: &State, new: &NewOrder| state.place(new, dec!(100), None, 1).unwrap_err();
    assert_eq!(refused(&state, &reduce(Side::Sell, dec!(1))), ApiError::reduce_only());
    place(&mut state, &market(Side::Buy, dec!(2)), dec!(100));
    assert_eq!(refused(&state, &reduce(Side::Buy, dec!(1))), ApiError::reduce_only());
    assert_eq!(refused(&state, &reduce(Side::Sell, dec!(3))), ApiError::reduce_only());
    let waiting = NewOrder { reduce_only: true, ..limit(Side::Sell, dec!(2), dec!(110), TimeInForce::Gtc) };
    let waiting = place(&mut state, &waiting, dec!(100));
    place(&mut state, &reduce(Side::Sell, dec!(1.5)), dec!(100));
    let change = state.look(&prices(dec!(110)), false, 5);
    state.apply(change);
    let order = state.by_id(waiting.id).unwrap();
    assert_eq!((order.status, order.executed), (Status::Cancelled, dec!(0.5)), "more would have opened a short one");
    assert!(state.account.positions.is_empty());
}

#[test]
fn margin_bounds_what_is_opened_and_not_what_is_closed() {
    let mut state = State::new(dec!(100));
    // A tenth is bound, and the fee is paid.
    assert_eq!(
        state.place(&market(Side::Buy, dec!(10)), dec!(100), None, 1).unwrap_err(),
        ApiError::insufficient_margin()
    );
    place(&mut state, &market(Side::Buy, dec!(9.9)), dec!(100));
    assert!(state.available_margin() < dec!(1));
    assert_eq!(
        state.place(&market(Side::Buy, dec!(0.5)), dec!(100), None, 1).unwrap_err(),
        ApiError::insufficient_margin()
    );
    let closed = place(&mut state, &market(Side::Sell, dec!(9.9)), dec!(95));
    assert_eq!((closed.status, closed.profit), (Status::Filled, dec!(-49.5)));
}

#[test]
fn client_ids_are_used_once_in_24_hours() {
    let mut state = State::new(dec!(10000));
    let new = NewOrder { client_id: Some("abc".to_owned()), ..market(Side::Buy, dec!(0.01)) };
    state.apply(state.receive("abc", 1));
    let (_, change) = state.place(&new, dec!(100), None, 1).unwrap();
    state.apply(change);
    state.apply(state.receive("abc", 2));
    assert_eq!(state.place(&new, dec!(100), None, ID_LIFETIME_MS).unwrap_err(), ApiError::duplicate_client_id());
    assert_eq!((state.seen["abc"].received, state.seen["abc"].accepted), (2, 1));
    let (_, change) = state.place(&new, dec!(100), None, ID_LIFETIME_MS + 1).unwrap();
    state.apply(change);
    assert_eq!(state.seen["abc"].accepted, 2);
}

#[test]
fn tricks_of_faults() {
    let mut state = State::new(dec!(10000));
    let trick = |state: &State, trick| state.place(&market(Side::Buy, dec!(1)), dec!(100), Some(trick), 1);
    assert_eq!(trick(&state, Trick::InsufficientMargin).unwrap_err(), ApiError::insufficient_margin());
    let (rejected, change) = trick(&state, Trick::Reject).unwrap();
    assert_eq!((rejected.status, change.account), (Status::Rejected, None));
    let (half, change) = trick(&state, Trick::PartialFill).unwrap();
    assert_eq!((half.status, half.executed), (Status::PartiallyFilled, dec!(0.5)));
    state.apply(change);
    assert!(state.look(&prices(dec!(102)), true, 5).is_nothing(), "the rest waits for the fault's end");
    state.apply(state.look(&prices(dec!(102)), false, 5));
    let order = state.by_id(half.id).unwrap();
    assert_eq!((order.status, order.average_price()), (Status::Filled, dec!(101)));
    assert_eq!(state.account.amount(BTC), dec!(1));
}

#[test]
fn cancelling_ends_what_is_open() {
    let mut state = State::new(dec!(10000));
    let one = place(&mut state, &limit(Side::Buy, dec!(1), dec!(10), TimeInForce::Gtc), dec!(100));
    let two = place(&mut state, &limit(Side::Buy, dec!(1), dec!(20), TimeInForce::Gtc), dec!(100));
    let (cancelled, change) = state.cancel(&one, 7).unwrap();
    assert_eq!((cancelled.status, cancelled.updated_ms), (Status::Cancelled, 7));
    state.apply(change);
    assert_eq!(state.cancel(&cancelled, 8).unwrap_err(), ApiError::already_final());
    state.apply(state.cancel_all(9));
    assert_eq!(state.by_id(two.id).unwrap().status, Status::Cancelled);
    assert_eq!(state.open().count(), 0);
}
